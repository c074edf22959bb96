"""What each partner used up of what it may use, by name such as "llm_calls:2026-11-22"."""

from datetime import timedelta

import sqlalchemy as sa

from engine.errors import QuotaExceeded
from engine.ids import utcnow
from engine.store.database import insert
from engine.store.tables import quotas


def spend(
    c: sa.Connection, partner: str, *, name: str, limit: int, amount: int = 1, days: float = 2
) -> int:
    """Use `amount`; what is left, or QuotaExceeded and nothing is used."""
    mine = (quotas.c.partner == partner, quotas.c.name == name)
    fresh = {
        "partner": partner,
        "name": name,
        "used": 0,
        "expires_at": utcnow() + timedelta(days=days),
    }
    c.execute(insert(c, quotas).values(fresh).on_conflict_do_nothing())
    step = (
        sa.update(quotas)
        .where(*mine, quotas.c.used + amount <= limit)
        .values(used=quotas.c.used + amount)
    )
    used: int | None = c.execute(step.returning(quotas.c.used)).scalar()
    if used is None:
        raise QuotaExceeded(name, limit=limit)
    return limit - used


def settle(c: sa.Connection, partner: str, *, name: str, reserved: int, spent: int) -> None:
    """Turn what was reserved into what was spent; more than reserved counts too."""
    mine = (quotas.c.partner == partner, quotas.c.name == name)
    c.execute(sa.update(quotas).where(*mine).values(used=quotas.c.used + spent - reserved))


def used(c: sa.Connection, partner: str, name: str) -> int:
    """How much is used."""
    query = sa.select(quotas.c.used).where(quotas.c.partner == partner, quotas.c.name == name)
    return c.execute(query).scalar() or 0


def collect(c: sa.Connection) -> int:
    """Drop counters whose time is over; how many."""
    statement = sa.delete(quotas).where(quotas.c.expires_at <= utcnow())
    return c.execute(statement.execution_options(across_partners=True)).rowcount
