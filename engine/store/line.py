"""Imports that wait for their company's active run, and how the first of them takes its place.

The place is given on in the transaction that ends the active run, so nobody else gets in between
and no crash leaves a waiting run behind.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from engine import failpoints
from engine.errors import NotFound
from engine.ids import utcnow
from engine.model import Progress, Run, RunStatus
from engine.store import companies, events, plans
from engine.store import runs as store
from engine.store.tables import runs

Enqueue = Callable[[sa.Connection, Run, float], None]


def pass_on(c: sa.Connection, run: Run, enqueue: Enqueue) -> Run:
    """`run` itself; when it has ended the company's first waiting run is enqueued."""
    # One that was canceled while it waited had no place to give on.
    while run.ended and not run.waits and (waiting := _first(c, run)) is not None:
        if (admitted := _admit(c, waiting)) is not None:
            failpoints.hit("line:admitted")
            enqueue(c, admitted, 0)
            break
    return run


def cancel(c: sa.Connection, partner: str, run: str, *, actor: str, enqueue: Enqueue) -> Run:
    """End the run at once, or ask it to stop; the next in line begins."""
    before = store.lock(c, partner, run)
    there = store.ask_to_cancel(c, partner, run, actor=actor)
    return there if before.ended else pass_on(c, there, enqueue)


def _first(c: sa.Connection, run: Run) -> Run | None:
    """The longest waiting run of the company."""
    query = sa.select(runs.c.id).where(
        runs.c.partner == run.partner, runs.c.company == run.company,
        runs.c.status == RunStatus.QUEUED, runs.c.waits,
    )  # fmt: skip
    first = c.execute(query.order_by(runs.c.id).limit(1)).scalar()
    return None if first is None else store.get(c, run.partner, first)


def _admit(c: sa.Connection, run: Run) -> Run | None:
    """The run waits only for a worker now; None when it was canceled meanwhile."""
    changes = {"waits": False, "progress": asdict(Progress()), "updated_at": utcnow()}
    statement = (
        sa.update(runs)
        .where(
            runs.c.partner == run.partner,
            runs.c.id == run.id,
            runs.c.status == RunStatus.QUEUED,
            runs.c.waits,
        )
        .values(changes | _present_plan(c, run))
    )
    if not c.execute(statement).rowcount:
        return None
    there = store.get(c, run.partner, run.id)
    data = {"plan": there.plan, "plan_version": there.plan_version}
    events.append(c, run.partner, run.id, "run.admitted", actor="engine", data=data)
    return there


def _present_plan(c: sa.Connection, run: Run) -> dict[str, Any]:
    """The version in use now, unless the call named one: the run before may have revised it."""
    if "plan_id" in run.options:
        return {}
    with suppress(NotFound):
        source = companies.get(c, run.partner, run.company).source
        plan = plans.effective(c, run.partner, source=source, company=run.company)
        return plans.in_use(plans.version(c, run.partner, plan.id))
    return {}
