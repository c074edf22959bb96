"""A sheet's file into a bucket of the partner: whole under its name, or not there."""

from urllib.parse import urlsplit

from pyarrow.fs import S3FileSystem

from engine.delivery.destination import Load, S3Destination
from engine.errors import DeliveryFailed
from engine.outbound import Outbound, allowed_addresses, check_url

_CHUNK = 8 << 20
_SECONDS = 30


def upload(destination: S3Destination, load: Load, *, delivery: str, policy: Outbound) -> None:
    """Store the file as `<prefix>/<sheet>/<delivery>.<format>`; the same delivery replaces it."""
    store = _store(destination, policy)
    prefix = destination.prefix.strip("/")
    path = "/".join(
        each
        for each in (destination.bucket, prefix, load.sheet, f"{delivery}.{destination.format}")
        if each
    )
    try:
        # The object becomes visible when the stream is closed; a killed process leaves none.
        with load.file.open("rb") as source, store.open_output_stream(path) as out:
            while chunk := source.read(_CHUNK):
                out.write(chunk)
    except OSError as error:
        reason = str(error).splitlines()[0][:300]
        raise DeliveryFailed(f"the bucket {destination.bucket} took no file: {reason}") from error


def _store(destination: S3Destination, policy: Outbound) -> S3FileSystem:
    scheme, host = "https", ""
    if destination.endpoint:
        parts = urlsplit(check_url(policy, destination.endpoint))
        scheme, host = parts.scheme, parts.netloc
        allowed_addresses(policy, parts.hostname or "", parts.port or 443)
    return S3FileSystem(
        access_key=destination.access_key,
        secret_key=destination.secret_key.get_secret_value(),
        region=destination.region,
        endpoint_override=host or None,
        scheme=scheme,
        connect_timeout=_SECONDS,
        request_timeout=_SECONDS,
    )
