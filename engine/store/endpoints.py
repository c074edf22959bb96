"""Webhook endpoints and the deliveries on their way to them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import Delivery, Endpoint
from engine.store import events
from engine.store.database import newest
from engine.store.tables import deliveries, endpoints
from engine.store.tables import events as event_table


def add(
    c: sa.Connection, partner: str, *, url: str, types: Collection[str], secrets: Sequence[str]
) -> Endpoint:
    """An endpoint for these types of event (none: all); the secrets come sealed."""
    values = {
        "id": new_id(Kind.ENDPOINT),
        "partner": partner,
        "url": url,
        "types": sorted(types),
        "secrets": list(secrets),
        "created_at": utcnow(),
        "disabled_reason": "",
    }
    return _endpoint(c.execute(sa.insert(endpoints).values(values).returning(endpoints)).one())


def get(c: sa.Connection, partner: str, endpoint: str) -> Endpoint:
    """That endpoint of the partner."""
    query = sa.select(endpoints).where(*_mine(partner, endpoint))
    row = c.execute(query).first()
    if row is None:
        raise NotFound(f"there is no webhook endpoint {endpoint}")
    return _endpoint(row)


def page(
    c: sa.Connection, partner: str, *, limit: int = 50, before: str | None = None
) -> list[Endpoint]:
    """Endpoints, newest first."""
    query = sa.select(endpoints).where(endpoints.c.partner == partner)
    rows = c.execute(newest(query, endpoints, limit=limit, before=before))
    return [_endpoint(row) for row in rows]


def update(c: sa.Connection, partner: str, endpoint: str, **changes: Any) -> Endpoint:
    """Set `url`, `types`, `secrets`, `disabled_at`, `disabled_reason` or `failing_since`."""
    known = {"url", "types", "secrets", "disabled_at", "disabled_reason", "failing_since"}
    if unknown := set(changes) - known:
        raise TypeError(f"an endpoint has no {', '.join(sorted(unknown))} to change")
    values = {
        name: list(value) if name in ("types", "secrets") else value
        for name, value in changes.items()
    }
    if values:
        c.execute(sa.update(endpoints).where(*_mine(partner, endpoint)).values(values))
    return get(c, partner, endpoint)


def remove(c: sa.Connection, partner: str, endpoint: str) -> None:
    """The endpoint and its deliveries go."""
    if not c.execute(sa.delete(endpoints).where(*_mine(partner, endpoint))).rowcount:
        raise NotFound(f"there is no webhook endpoint {endpoint}")


def due(c: sa.Connection, *, now: datetime, limit: int = 100) -> list[Delivery]:
    """Deliveries of every partner whose time has come, the longest waiting first."""
    query = (
        sa.select(deliveries)
        .join(
            endpoints,
            sa.and_(
                endpoints.c.id == deliveries.c.endpoint,
                endpoints.c.partner == deliveries.c.partner,
            ),
        )
        .where(deliveries.c.due_at <= now, endpoints.c.disabled_at.is_(None))
        .order_by(deliveries.c.due_at)
        .limit(limit)
    )
    return [_delivery(row) for row in c.execute(query.execution_options(across_partners=True))]


def take(c: sa.Connection, partner: str, delivery: str, *, due_at: datetime) -> bool:
    """Reserve a delivery until `due_at`, so that only one sender tries it now."""
    statement = (
        sa.update(deliveries)
        .where(
            deliveries.c.partner == partner,
            deliveries.c.id == delivery,
            deliveries.c.due_at <= utcnow(),
        )
        .values(due_at=due_at)
    )
    return bool(c.execute(statement).rowcount)


def attempted(
    c: sa.Connection,
    partner: str,
    delivery: str,
    *,
    outcome: str,
    due_at: datetime | None,
    delivered: bool,
) -> Delivery:
    """Keep how an attempt ended; `due_at` None: no further one."""
    mine = (deliveries.c.partner == partner, deliveries.c.id == delivery)
    there = _delivery(c.execute(sa.select(deliveries).where(*mine)).one())
    now = utcnow()
    values = {
        "attempts": [*there.attempts, (now.isoformat(), outcome)],
        "due_at": due_at,
        "delivered_at": now if delivered else None,
    }
    row = c.execute(sa.update(deliveries).where(*mine).values(values).returning(deliveries)).one()
    return _delivery(row)


def deliveries_of(
    c: sa.Connection,
    partner: str,
    endpoint: str,
    *,
    limit: int = 50,
    before: str | None = None,
) -> list[Delivery]:
    """The endpoint's delivery log, newest first."""
    query = sa.select(deliveries).where(
        deliveries.c.partner == partner, deliveries.c.endpoint == endpoint
    )
    rows = c.execute(newest(query, deliveries, limit=limit, before=before))
    return [_delivery(row) for row in rows]


def resend(c: sa.Connection, partner: str, delivery: str) -> Delivery:
    """Try the delivery again at once, whatever became of it."""
    statement = (
        sa.update(deliveries)
        .where(deliveries.c.partner == partner, deliveries.c.id == delivery)
        .values(due_at=utcnow(), delivered_at=None)
    )
    row = c.execute(statement.returning(deliveries)).first()
    if row is None:
        raise NotFound(f"there is no delivery {delivery}")
    return _delivery(row)


def replay(
    c: sa.Connection, partner: str, endpoint: str, *, since: datetime, until: datetime
) -> int:
    """Deliver every event of that time again, in order; how many."""
    types = get(c, partner, endpoint).types
    query = sa.select(event_table.c.id, event_table.c.type).where(
        event_table.c.partner == partner, event_table.c.at >= since, event_table.c.at < until
    )
    rows = c.execute(query.order_by(event_table.c.id)).all()
    chosen = [row.id for row in rows if not types or row.type in types]
    for event in chosen:
        events.schedule(c, partner, endpoint=endpoint, event=event)
    return len(chosen)


def prune(c: sa.Connection, *, before: datetime) -> int:
    """Forget deliveries of every partner that ended and were made before that time; how many."""
    over = (deliveries.c.due_at.is_(None), deliveries.c.created_at < before)
    statement = sa.delete(deliveries).where(*over).execution_options(across_partners=True)
    return int(c.execute(statement).rowcount)


def _mine(partner: str, endpoint: str) -> tuple[sa.ColumnElement[bool], ...]:
    return endpoints.c.partner == partner, endpoints.c.id == endpoint


def _endpoint(row: sa.Row[Any]) -> Endpoint:
    values = {name: getattr(row, name) for name in Endpoint.__dataclass_fields__}
    return Endpoint(**values | {"types": tuple(row.types), "secrets": tuple(row.secrets)})


def _delivery(row: sa.Row[Any]) -> Delivery:
    values = {name: getattr(row, name) for name in Delivery.__dataclass_fields__}
    return Delivery(**values | {"attempts": tuple((at, how) for at, how in row.attempts)})
