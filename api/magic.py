"""The link a partner gives its customer: signed, for one company, revocable, good for some weeks."""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from engine.errors import SignatureInvalid
from engine.ids import utcnow
from engine.model import Company
from engine.settings import Secrets, Settings

DAYS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class MagicLink:
    """What a link opens. One with a lower epoch than its company's was revoked."""

    partner: str
    company: str
    epoch: int
    until: datetime


def magic_link(company: Company, *, settings: Settings, secrets: Secrets) -> str:
    """A URL that opens this company's import page and nothing else; the same all day long."""
    today = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    until = int((today + timedelta(days=DAYS)).timestamp())
    name, key = secrets.current("magic-link")
    body = f"{company.partner}.{company.id}.{company.link_epoch}.{until}.{name}"
    return f"{settings.public_url.rstrip('/')}/m/{body}.{_tag(key, body)}"


def opened(token: str, *, secrets: Secrets, now: datetime) -> MagicLink:
    """What a token opens; SignatureInvalid for a changed or old one. Compare its epoch yourself."""
    body, _, tag = token.rpartition(".")
    parts = body.split(".")
    key = dict(secrets.every("magic-link")).get(parts[-1])
    if (
        key is not None
        and len(parts) == 5
        and hmac.compare_digest(_tag(key, body).encode(), tag.encode())
    ):
        partner, company, epoch, until, _ = parts
        ends = datetime.fromtimestamp(int(until), UTC)
        if now < ends:
            return MagicLink(partner=partner, company=company, epoch=int(epoch), until=ends)
    raise SignatureInvalid("this link is not valid any more; ask for a new one")


def _tag(key: bytes, body: str) -> str:
    return urlsafe_b64encode(hmac.digest(key, body.encode(), sha256)[:24]).decode()
