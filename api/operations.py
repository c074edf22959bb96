"""What every operation declares beside its function: its scope, and the codes it may refuse with."""

from collections.abc import Sequence
from typing import Any

from fastapi import Depends

from api.deps import needs
from api.errors import Code
from engine.model import Scope

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
