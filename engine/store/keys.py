"""API keys: shown once, kept as an HMAC. `rk_<environment>_` + 33 base62 digits + 6 of a CRC-32."""

import hmac
import re
import secrets as random
from binascii import crc32
from collections.abc import Collection, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import Key, Scope
from engine.settings import Secrets
from engine.store.database import Instant, newest
from engine.store.tables import keys

#: What scanners of leaked secrets look for.
PATTERN = re.compile(r"rk_(?:live|test)_[0-9A-Za-z]{39}")
SHOWN = 12
#: Dates on which the API's behaviour changed, newest last; a key keeps the newest of its birthday.
API_VERSIONS = ("2026-11-01",)
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def mint(
    c: sa.Connection,
    partner: str,
    *,
    secrets: Secrets,
    name: str,
    scopes: Collection[Scope],
    environment: str = "live",
    companies: Sequence[str] = (),
    addresses: Sequence[str] = (),
    days: float | None = 365,
    api_version: str = API_VERSIONS[-1],
) -> tuple[Key, str]:
    """A new key and its text, which nobody can read again."""
    text = new_text(environment)
    now = utcnow()
    values = {
        "id": new_id(Kind.KEY),
        "partner": partner,
        "name": name,
        "prefix": text[:SHOWN],
        "hash": _hash(secrets.current("pepper")[1], text),
        "scopes": sorted(scopes),
        "companies": list(companies),
        "addresses": list(addresses),
        "api_version": api_version,
        "created_at": now,
        "expires_at": None if days is None else now + timedelta(days=days),
    }
    row = c.execute(sa.insert(keys).values(values).returning(keys)).one()
    return _record(row), text


def new_text(environment: str) -> str:
    """24 random bytes and their checksum, in base62."""
    body = _base62(random.randbits(192), 33)
    head = f"rk_{environment}_"
    return head + body + _checksum(head + body)


def well_formed(text: str) -> bool:
    """Whether the text can be a key at all; asks no database."""
    return bool(PATTERN.fullmatch(text)) and hmac.compare_digest(_checksum(text[:-6]), text[-6:])


def find(c: sa.Connection, text: str, *, secrets: Secrets) -> Key | None:
    """The key of this text under any pepper in the ring; the caller asks whether it is live."""
    if not well_formed(text):
        return None
    found = None
    for _, pepper in secrets.every("pepper"):
        wanted = _hash(pepper, text)
        # Its neighbour at least, so that an unknown key takes as long to refuse as a dead one.
        nearest = sa.select(keys).where(keys.c.hash >= wanted).order_by(keys.c.hash).limit(1)
        row = c.execute(nearest.execution_options(across_partners=True)).first()
        key = _record(row) if row is not None else None
        if row is not None and hmac.compare_digest(row.hash, wanted):
            found = key
    return found


def get(c: sa.Connection, partner: str, key: str) -> Key:
    """That key of the partner."""
    row = c.execute(sa.select(keys).where(keys.c.partner == partner, keys.c.id == key)).first()
    if row is None:
        raise NotFound(f"there is no key {key}")
    return _record(row)


def page(
    c: sa.Connection, partner: str, *, limit: int = 50, before: str | None = None
) -> list[Key]:
    """Keys, newest first."""
    query = newest(
        sa.select(keys).where(keys.c.partner == partner), keys, limit=limit, before=before
    )
    return [_record(row) for row in c.execute(query)]


def revoke(c: sa.Connection, partner: str, key: str) -> Key:
    """The key opens nothing any more; again is no error."""
    update = (
        sa.update(keys)
        .where(keys.c.partner == partner, keys.c.id == key)
        .values(revoked_at=sa.func.coalesce(keys.c.revoked_at, sa.literal(utcnow(), Instant())))
    )
    row = c.execute(update.returning(keys)).first()
    if row is None:
        raise NotFound(f"there is no key {key}")
    return _record(row)


def touch(c: sa.Connection, partner: str, key: str) -> None:
    """The key was used; written at most once a minute."""
    now = utcnow()
    stale = sa.or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < now - timedelta(minutes=1))
    c.execute(
        sa.update(keys)
        .where(keys.c.partner == partner, keys.c.id == key, stale)
        .values(last_used_at=now)
    )


def _record(row: sa.Row[Any]) -> Key:
    values = {name: getattr(row, name) for name in Key.__dataclass_fields__}
    values["scopes"] = frozenset(Scope(each) for each in row.scopes)
    return Key(**values | {"companies": tuple(row.companies), "addresses": tuple(row.addresses)})


def _hash(pepper: bytes, text: str) -> str:
    return hmac.digest(pepper, text.encode(), sha256).hex()


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), 6)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
