"""Ids and the time: prefix and ULID, so that later ids sort later."""

import secrets
import time
from datetime import UTC, datetime
from enum import StrEnum

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_last = 0


class Kind(StrEnum):
    """What an id names; its value is the id's prefix."""

    PARTNER = "ptn"
    KEY = "key"
    SOURCE = "src"
    TEMPLATE = "tpl"
    PLAN = "plan"
    COMPANY = "co"
    WORKBOOK = "wb"
    SHEET = "sh"
    UPLOAD = "up"
    RUN = "run"
    PROPOSAL = "prop"
    EVENT = "evt"
    ENDPOINT = "whe"
    DELIVERY = "whd"  #: of an event to an endpoint
    DESTINATION = "dst"
    EXPORT = "exp"
    ERRAND = "dlv"  #: a delivery of rows to a destination


def new_id(kind: Kind) -> str:
    """Prefix and ULID: 48 bits of milliseconds, 80 random bits; later ids of a process sort later."""
    global _last
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    if number >> 80 == _last >> 80:
        # Otherwise chance alone would say which of the two sorts first.
        number = _last + 1 + secrets.randbits(40)
    _last = number
    return _identifier(kind, number)


def earliest(kind: Kind, at: datetime) -> str:
    """Not an id, but what no id of that time sorts before."""
    return _identifier(kind, int(at.timestamp() * 1000) << 80)


def _identifier(kind: Kind, number: int) -> str:
    return f"{kind}_" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def folder_name(identifier: str) -> str:
    """An id as 32 hex digits: the only form in which it becomes part of a path."""
    number = 0
    for character in identifier.rpartition("_")[2]:
        number = number << 5 | _CROCKFORD.index(character)
    return f"{number:032x}"


def utcnow() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)
