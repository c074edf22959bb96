"""Systems data comes out of."""

import sqlalchemy as sa

from engine.errors import Conflict, NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import Source
from engine.store.database import insert, newest
from engine.store.tables import sources


def add(
    c: sa.Connection, partner: str, *, name: str, title: str = "", description: str = ""
) -> Source:
    """A new source; Conflict when the partner has one of that name."""
    values = {
        "id": new_id(Kind.SOURCE),
        "partner": partner,
        "name": name,
        "title": title,
        "description": description,
        "created_at": utcnow(),
    }
    statement = insert(c, sources).values(values).on_conflict_do_nothing().returning(sources)
    row = c.execute(statement).mappings().first()
    if row is None:
        raise Conflict(f"there is a source {name!r} already")
    return Source(**row)


def get(c: sa.Connection, partner: str, source: str) -> Source:
    """That source of the partner."""
    query = sa.select(sources).where(sources.c.partner == partner, sources.c.id == source)
    row = c.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no source {source}")
    return Source(**row)


def named(c: sa.Connection, partner: str, name: str) -> Source | None:
    """The source of that name."""
    query = sa.select(sources).where(sources.c.partner == partner, sources.c.name == name)
    row = c.execute(query).mappings().first()
    return None if row is None else Source(**row)


def page(
    c: sa.Connection, partner: str, *, limit: int = 50, before: str | None = None
) -> list[Source]:
    """Sources, newest first."""
    query = sa.select(sources).where(sources.c.partner == partner)
    rows = c.execute(newest(query, sources, limit=limit, before=before)).mappings()
    return [Source(**row) for row in rows]
