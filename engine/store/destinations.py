"""Where a partner's rows can be delivered to; credentials go in sealed and are never shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import Conflict, NotFound
from engine.ids import utcnow
from engine.store.database import insert, newest
from engine.store.tables import destinations


@dataclass(frozen=True, kw_only=True, slots=True)
class DestinationRecord:
    """A destination by its name; `shown` is its document with the credentials masked."""

    id: str
    partner: str
    name: str  #: unique per partner
    shown: Mapping[str, Any]
    sealed: bytes = field(repr=False)
    created_at: datetime
    updated_at: datetime


def add(
    c: sa.Connection,
    partner: str,
    *,
    destination: str,
    name: str,
    shown: Mapping[str, Any],
    sealed: bytes,
) -> DestinationRecord:
    """A new destination under the id its credentials are sealed for; Conflict when the name is taken."""
    now = utcnow()
    values = {
        "id": destination, "partner": partner, "name": name, "shown": dict(shown),
        "sealed": sealed, "created_at": now, "updated_at": now,
    }  # fmt: skip
    statement = insert(c, destinations).values(values).on_conflict_do_nothing()
    row = c.execute(statement.returning(destinations)).first()
    if row is None:
        raise Conflict(f"there is a destination {name!r} already")
    return DestinationRecord(**row._mapping)


def get(c: sa.Connection, partner: str, destination: str) -> DestinationRecord:
    """That destination of the partner, by its id or name."""
    query = sa.select(destinations).where(
        destinations.c.partner == partner,
        sa.or_(destinations.c.id == destination, destinations.c.name == destination),
    )
    row = c.execute(query).first()
    if row is None:
        raise NotFound(f"there is no destination {destination}")
    return DestinationRecord(**row._mapping)


def page(
    c: sa.Connection, partner: str, *, limit: int = 50, before: str | None = None
) -> list[DestinationRecord]:
    """Destinations, newest first."""
    query = sa.select(destinations).where(destinations.c.partner == partner)
    rows = c.execute(newest(query, destinations, limit=limit, before=before))
    return [DestinationRecord(**row._mapping) for row in rows]


def update(
    c: sa.Connection, partner: str, destination: str, *, shown: Mapping[str, Any], sealed: bytes
) -> DestinationRecord:
    """Other credentials, or another place, under the same name."""
    mine = (destinations.c.partner == partner, destinations.c.id == destination)
    values = {"shown": dict(shown), "sealed": sealed, "updated_at": utcnow()}
    c.execute(sa.update(destinations).where(*mine).values(values))
    return get(c, partner, destination)


def remove(c: sa.Connection, partner: str, destination: str) -> None:
    """The destination and its credentials go."""
    mine = (destinations.c.partner == partner, destinations.c.id == destination)
    c.execute(sa.delete(destinations).where(*mine))
