"""Our own signed URLs: whoever has one may do exactly what it says, until it ends."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from secrets import token_urlsafe
from urllib.parse import urlencode

from engine.errors import SignatureInvalid
from engine.settings import Secrets

#: A URL is never good for longer.
LONGEST = 3_600
_MEMBERS = ("partner", "expires", "size", "type", "nonce", "key", "signature")


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What a signed URL allows. `nonce` tells two grants for one path apart: use a PUT's once."""

    method: str
    path: str
    partner: str
    expires: int  #: Unix seconds
    size: int  #: exact bytes of a PUT, 0 for a GET
    content_type: str
    nonce: str


def grant(
    method: str,
    path: str,
    *,
    partner: str,
    now: datetime,
    seconds: float = LONGEST,
    size: int = 0,
    content_type: str = "",
) -> Grant:
    """A new grant that ends `seconds` from now."""
    return Grant(
        method=method,
        path=path,
        partner=partner,
        expires=int(now.timestamp() + min(seconds, LONGEST)),
        size=size,
        content_type=content_type,
        nonce=token_urlsafe(12),
    )


def sign(secrets: Secrets, allowed: Grant) -> str:
    """The query string to put behind the grant's path."""
    name, key = secrets.current("signed-url")
    members = {
        "partner": allowed.partner,
        "expires": str(allowed.expires),
        "size": str(allowed.size),
        "type": allowed.content_type,
        "nonce": allowed.nonce,
        "key": name,
    }
    return urlencode({**members, "signature": _signature(key, name, allowed)})


def check(
    secrets: Secrets, method: str, path: str, query: Mapping[str, str], *, now: datetime
) -> Grant:
    """The grant of a signed URL, or SignatureInvalid with one message for every reason."""
    wrong = SignatureInvalid("this URL is not signed by us, was changed, or has ended")
    if set(query) != set(_MEMBERS) or not (query["expires"] + query["size"]).isascii():
        raise wrong
    if not (query["expires"].isdigit() and query["size"].isdigit()):
        raise wrong
    allowed = Grant(
        method=method,
        path=path,
        partner=query["partner"],
        expires=int(query["expires"]),
        size=int(query["size"]),
        content_type=query["type"],
        nonce=query["nonce"],
    )
    keys = dict(secrets.every("signed-url"))
    name = query["key"]
    # An unknown key costs the same time as a known one.
    expected = _signature(keys.get(name, bytes(32)), name, allowed)
    genuine = hmac.compare_digest(expected.encode(), query["signature"].encode())
    left = allowed.expires - now.timestamp()
    if not genuine or name not in keys or not 0 < left <= LONGEST:
        raise wrong
    return allowed


def _signature(key: bytes, name: str, allowed: Grant) -> str:
    told = (
        name,
        allowed.method,
        allowed.path,
        allowed.partner,
        str(allowed.expires),
        str(allowed.size),
        allowed.content_type,
        allowed.nonce,
    )
    # Each member with its length, so that no two grants sign the same bytes.
    text = "".join(f"{len(each)}:{each}" for each in told)
    return urlsafe_b64encode(hmac.digest(key, text.encode(), sha256)).decode().rstrip("=")
