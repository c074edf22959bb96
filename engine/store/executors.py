"""Heartbeats of worker processes, by the database's clock, and what waits for them."""

from collections.abc import Mapping

import sqlalchemy as sa

from engine.model import ACTIVE
from engine.store.database import database_now, insert
from engine.store.tables import executors, runs


def beat(c: sa.Connection, executor: str) -> None:
    """This process lives."""
    statement = insert(c, executors).values(id=executor, beat=database_now())
    again = statement.on_conflict_do_update(index_elements=["id"], set_={"beat": database_now()})
    c.execute(again)


def silent(c: sa.Connection, *, seconds: float) -> list[str]:
    """Processes that were not heard of for so long."""
    oldest = database_now() - int(seconds * 1_000_000)
    return list(c.execute(sa.select(executors.c.id).where(executors.c.beat < oldest)).scalars())


def leave(c: sa.Connection, executor: str, *, silent_seconds: float = 0) -> None:
    """Forget a process, if it stayed silent."""
    oldest = database_now() - int(silent_seconds * 1_000_000)
    c.execute(sa.delete(executors).where(executors.c.id == executor, executors.c.beat <= oldest))


def living(c: sa.Connection, *, seconds: float) -> list[str]:
    """Processes heard of lately."""
    oldest = database_now() - int(seconds * 1_000_000)
    return list(c.execute(sa.select(executors.c.id).where(executors.c.beat >= oldest)).scalars())


def load(c: sa.Connection) -> Mapping[str, int]:
    """How many runs of all partners have not ended, by status."""
    query = sa.select(runs.c.status, sa.func.count()).where(runs.c.status.in_(ACTIVE))
    found = c.execute(query.group_by(runs.c.status).execution_options(across_partners=True))
    return {**dict.fromkeys(sorted(ACTIVE), 0), **{status: n for status, n in found}}
