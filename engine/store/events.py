"""What happened to each run and errand, in order; every event brings its webhook deliveries along."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import Event
from engine.store.tables import deliveries, endpoints, errands, events, runs


def append(
    c: sa.Connection,
    partner: str,
    run: str,
    kind: str,
    *,
    actor: str,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """The run's next event. The row of the run stays locked until the transaction ends."""
    step = (
        sa.update(runs)
        .where(runs.c.partner == partner, runs.c.id == run)
        .values(sequence=runs.c.sequence + 1)
        .returning(runs.c.sequence, runs.c.company)
    )
    row = c.execute(step).first()
    if row is None:
        raise NotFound(f"there is no run {run}")
    return record(
        c, partner, run, kind, sequence=row.sequence, company=row.company, actor=actor, data=data
    )


def record(
    c: sa.Connection,
    partner: str,
    run: str | None,
    kind: str,
    *,
    sequence: int,
    company: str | None,
    actor: str,
    data: Mapping[str, Any] | None = None,
    errand: str | None = None,
) -> Event:
    """Write an event whose sequence number the caller has drawn from the run's or errand's row."""
    values = {
        "id": new_id(Kind.EVENT),
        "partner": partner,
        "company": company,
        "run": run,
        "errand": errand,
        "sequence": sequence,
        "type": kind,
        "data": dict(data or {}),
        "actor": actor,
        "at": utcnow(),
    }
    event = Event(**c.execute(sa.insert(events).values(values).returning(events)).mappings().one())
    _deliver(c, partner, event)
    return event


def of_run(
    c: sa.Connection, partner: str, run: str, *, after: int = 0, limit: int = 200
) -> list[Event]:
    """A run's events after that sequence number, oldest first."""
    query = sa.select(events).where(
        events.c.partner == partner, events.c.run == run, events.c.sequence > after
    )
    rows = c.execute(query.order_by(events.c.sequence).limit(limit)).mappings()
    return [Event(**row) for row in rows]


Mark = tuple[int, datetime]


def marks(c: sa.Connection, things: Collection[str]) -> Mapping[str, Mark]:
    """Of these runs and errands, of any partner, what changes whenever they do."""
    found = sa.union_all(
        *(
            sa.select(each.c.id, each.c.sequence, each.c.updated_at).where(each.c.id.in_(things))
            for each in (runs, errands)
        )
    )
    rows = c.execute(found.execution_options(across_partners=True))
    return {row.id: (row.sequence, row.updated_at) for row in rows}


def get(c: sa.Connection, partner: str, event: str) -> Event:
    """That event of the partner."""
    query = sa.select(events).where(events.c.partner == partner, events.c.id == event)
    row = c.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no event {event}")
    return Event(**row)


def page(
    c: sa.Connection,
    partner: str,
    *,
    limit: int = 50,
    before: str | None = None,
    kinds: Collection[str] = (),
) -> list[Event]:
    """The partner's events over all runs, newest first."""
    query = sa.select(events).where(events.c.partner == partner)
    if before is not None:
        query = query.where(events.c.id < before)
    if kinds:
        query = query.where(events.c.type.in_(kinds))
    rows = c.execute(query.order_by(events.c.id.desc()).limit(limit)).mappings()
    return [Event(**row) for row in rows]


def _deliver(c: sa.Connection, partner: str, event: Event) -> None:
    query = sa.select(endpoints.c.id, endpoints.c.types).where(
        endpoints.c.partner == partner, endpoints.c.disabled_at.is_(None)
    )
    wanted = [row.id for row in c.execute(query) if not row.types or event.type in row.types]
    for endpoint in wanted:
        schedule(c, partner, endpoint=endpoint, event=event.id)


def schedule(c: sa.Connection, partner: str, *, endpoint: str, event: str) -> str:
    """A delivery that is due at once."""
    now = utcnow()
    values = {
        "id": new_id(Kind.DELIVERY),
        "partner": partner,
        "endpoint": endpoint,
        "event": event,
        "attempts": [],
        "due_at": now,
        "created_at": now,
    }
    c.execute(sa.insert(deliveries).values(values))
    return str(values["id"])
