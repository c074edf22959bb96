"""Where a company's sheets lie: below the files root, by ids, so that erasing takes them too."""

from urllib.parse import unquote, urlsplit

from engine.dataset.records import Location
from engine.files import company_prefix
from engine.ids import folder_name
from engine.settings import Settings


def location(settings: Settings, partner: str, company: str, *, sheet: str) -> Location:
    """The table of that sheet (its id): a folder, or a prefix of the bucket with its options."""
    below = f"{company_prefix(partner, company)}{folder_name(sheet)}"
    root = urlsplit(settings.files)
    if root.scheme == "file":
        return Location(url=f"{unquote(root.path)}/{below}")
    return Location(url=f"{settings.files.rstrip('/')}/{below}", options=_options(settings))


def _options(settings: Settings) -> tuple[tuple[str, str], ...]:
    options = [("AWS_REGION", settings.s3_region)]
    if settings.s3_endpoint:
        options += [
            ("AWS_ENDPOINT_URL", settings.s3_endpoint),
            ("AWS_ALLOW_HTTP", str(settings.s3_endpoint.startswith("http://")).lower()),
        ]
    if key := settings.s3_access_key.get_secret_value():
        options += [
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", settings.s3_secret_key.get_secret_value()),
        ]
    return tuple(options)
