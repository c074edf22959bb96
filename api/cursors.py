"""Opaque places in a list: signed, and good for one partner and one query only."""

import base64
import binascii
import hmac
import json
from collections.abc import Mapping
from hashlib import sha256

from api.errors import ApiError, Code, ProblemItem
from engine.settings import Secrets

_TAG = 16


def cursor(last: str, *, partner: str, query: Mapping[str, object], secrets: Secrets) -> str:
    """The place after the item `last`."""
    _, key = secrets.current("cursor")
    body = last.encode()
    return base64.urlsafe_b64encode(_tag(key, partner, query, body) + body).decode().rstrip("=")


def place(text: str, *, partner: str, query: Mapping[str, object], secrets: Secrets) -> str:
    """The item a cursor stands after; a 400 for one that is not from this list."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    tag, body = raw[:_TAG], raw[_TAG:]
    for _, key in secrets.every("cursor"):
        if body and hmac.compare_digest(tag, _tag(key, partner, query, body)):
            return body.decode()
    message = "not a cursor of this list; start without one"
    item = ProblemItem(code="bad_cursor", message=message, parameter="cursor")
    raise ApiError(code=Code.VALIDATION_ERROR, detail=f"cursor: {message}", errors=(item,))


def _tag(key: bytes, partner: str, query: Mapping[str, object], body: bytes) -> bytes:
    bound = json.dumps([partner, query], sort_keys=True, default=str).encode()
    return hmac.digest(key, bound + b"\0" + body, sha256)[:_TAG]
