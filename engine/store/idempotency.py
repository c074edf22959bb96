"""The first answer to each idempotency key, given again byte by byte."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.ids import utcnow
from engine.store.database import insert
from engine.store.tables import idempotency as table


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstAnswer:
    """The first answer to an idempotency key; `status` is None while it is being made."""

    fingerprint: str
    status: int | None
    body: bytes
    headers: Mapping[str, str]
    created_at: datetime
    expires_at: datetime


def begin(
    c: sa.Connection, partner: str, *, scope: str, key: str, fingerprint: str, days: float
) -> FirstAnswer | None:
    """None: the key is new and the caller goes on. Else what is known of it: compare fingerprints.

    In one transaction with the work and `finish`, a crash leaves either everything or nothing.
    """
    now = utcnow()
    c.execute(sa.delete(table).where(*_mine(partner, scope, key), table.c.expires_at <= now))
    values = {
        "partner": partner,
        "scope": scope,
        "key": key,
        "fingerprint": fingerprint,
        "headers": {},
        "body": b"",
        "created_at": now,
        "expires_at": now + timedelta(days=days),
    }
    fresh = insert(c, table).values(values).on_conflict_do_nothing().returning(table.c.key)
    if c.execute(fresh).first() is not None:
        return None
    return _record(c.execute(sa.select(table).where(*_mine(partner, scope, key))).one())


def finish(
    c: sa.Connection,
    partner: str,
    *,
    scope: str,
    key: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> None:
    """Keep the answer."""
    answer = {"status": status, "headers": dict(headers), "body": body}
    c.execute(sa.update(table).where(*_mine(partner, scope, key)).values(answer))


def forget(c: sa.Connection, partner: str, *, scope: str, key: str) -> None:
    """The request failed in a way worth trying again: the key is free."""
    c.execute(sa.delete(table).where(*_mine(partner, scope, key)))


def collect(c: sa.Connection) -> int:
    """Drop expired keys of every partner; how many."""
    statement = sa.delete(table).where(table.c.expires_at <= utcnow())
    return c.execute(statement.execution_options(across_partners=True)).rowcount


def _mine(partner: str, scope: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.partner == partner, table.c.scope == scope, table.c.key == key


def _record(row: sa.Row[Any]) -> FirstAnswer:
    return FirstAnswer(**{name: getattr(row, name) for name in FirstAnswer.__dataclass_fields__})
