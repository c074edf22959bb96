"""What every operation declares beside its function: its scope, and the codes it may refuse with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from fastapi import Depends, Request

from api.deps import needs
from api.errors import Code
from engine.model import Scope

#: How long an operation stays after it is deprecated.
NOTICE = timedelta(days=180)

#: Every operation with a key may end in these.
ALWAYS = (
    Code.VALIDATION_ERROR,
    Code.UNSUPPORTED_API_VERSION,
    Code.AMBIGUOUS_CREDENTIALS,
    Code.INVALID_KEY,
    Code.INSUFFICIENT_PERMISSIONS,
    Code.RATE_LIMITED,
    Code.INTERNAL_ERROR,
    Code.UNAVAILABLE,
)


def op(scope: Scope, *codes: Code, whole_partner: bool = False) -> dict[str, Any]:
    """Keyword arguments of a route: a key with `scope` may call it; `codes` are its own refusals."""
    return {
        "dependencies": [Depends(needs(scope, whole_partner=whole_partner))],
        "openapi_extra": {
            "security": [{"apiKey": [str(scope)]}, {"bearer": [str(scope)]}],
            "x-codes": [str(code) for code in (*ALWAYS, *codes)],
        },
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Retirement:
    """Since when an operation is deprecated, when it goes, and where to read about it."""

    since: datetime
    sunset: datetime
    link: str

    def headers(self) -> dict[str, str]:
        """RFC 9745, RFC 8594, and the page."""
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": format_datetime(self.sunset, usegmt=True),
            "Link": f'<{self.link}>; rel="deprecation"',
        }


def retiring(when: Retirement) -> dict[str, Any]:
    """Keyword arguments of a route that goes: every answer says so, and each use is counted."""
    if when.sunset - when.since < NOTICE:
        raise ValueError(f"an operation stays {NOTICE.days} days after it is deprecated")

    def warn(request: Request) -> None:
        request.scope["reknit.headers"] = request.scope.get("reknit.headers", {}) | when.headers()
        request.scope["reknit.deprecated"] = True

    return {"deprecated": True, "dependencies": [Depends(warn)]}


def signed(*codes: Code, body: str | None = None) -> dict[str, Any]:
    """Keyword arguments of a route that needs no key, because its URL is signed.

    `body` is the media type of bytes that the route reads by itself.
    """
    own: Sequence[Code] = (
        Code.VALIDATION_ERROR,
        Code.UNSUPPORTED_API_VERSION,
        Code.INVALID_SIGNATURE,
        Code.INTERNAL_ERROR,
        Code.UNAVAILABLE,
    )
    told: dict[str, Any] = {"security": [], "x-codes": [str(code) for code in (*own, *codes)]}
    if body is not None:
        binary = {"schema": {"type": "string", "format": "binary"}}
        told["requestBody"] = {"required": True, "content": {body: binary}}
    return {"openapi_extra": told}
