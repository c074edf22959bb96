"""Runs and their states. Every change is one guarded update and an event in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.accounting import Accounting
from engine.errors import ActiveRun, Canceled, Conflict, NotFound, Superseded
from engine.ids import Kind, earliest, new_id, utcnow
from engine.model import (
    ACTIVE,
    ENDED,
    TRANSITIONS,
    Artifact,
    FailureCode,
    PlanVersionRecord,
    Progress,
    Run,
    RunKind,
    RunStatus,
)
from engine.policy import Policy
from engine.store import events
from engine.store.database import Instant, insert, newest
from engine.store.tables import artifacts, findings, runs

IN_LINE = "Waiting for the company's active import to end"


def add(
    c: sa.Connection,
    partner: str,
    *,
    company: str,
    plan: PlanVersionRecord,
    uploads: Sequence[str],
    options: Mapping[str, Any],
    policy: Policy,
    dry_run: bool,
    priority: int,
    metadata: Mapping[str, str],
    actor: str,
    kind: RunKind = RunKind.IMPORT,
    origin: str | None = None,
    queue: bool = False,
) -> Run:
    """A queued run, at its first turn. When the company has one that has not ended it waits for
    that one if it may `queue`, else ActiveRun.
    """
    now = utcnow()
    values = {
        "id": new_id(Kind.RUN), "partner": partner, "company": company, "kind": kind,
        "origin": origin, "plan": plan.plan, "plan_version": plan.number,
        "plan_digest": plan.version.digest, "status": RunStatus.QUEUED, "waits": False,
        "uploads": list(uploads), "options": dict(options), "dry_run": dry_run,
        "policy": policy.model_dump(mode="json", exclude_defaults=True),
        "priority": priority, "turn": 1, "claim": 0, "tries": 0, "sequence": 1,
        "progress": asdict(Progress()), "counts": asdict(Accounting()),
        "cancel_requested": False, "metadata": dict(metadata),
        "created_at": now, "updated_at": now,
    }  # fmt: skip
    while True:
        statement = insert(c, runs).values(values).on_conflict_do_nothing().returning(runs)
        row = c.execute(statement).first()
        if row is not None:
            break
        other = active(c, partner, company)
        if other is not None and not queue:
            raise ActiveRun(other.id)
        # Whoever ends that run waits for this transaction, and finds the new one in line.
        if other is not None and not lock(c, partner, other.id).ended:
            values |= {"waits": True, "progress": asdict(Progress(message=IN_LINE))}
    run = _record(row)
    events.record(
        c, partner, run.id, "run.queued", sequence=1, company=company, actor=actor,
        data={
            "status": run.status, "kind": run.kind, "origin": run.origin, "plan": run.plan,
            "plan_version": run.plan_version, "waits": run.waits,
        },
    )  # fmt: skip
    return run


def get(c: sa.Connection, partner: str, run: str) -> Run:
    """That run of the partner."""
    row = c.execute(sa.select(runs).where(runs.c.partner == partner, runs.c.id == run)).first()
    if row is None:
        raise NotFound(f"there is no run {run}")
    return _record(row)


def lock(c: sa.Connection, partner: str, run: str) -> Run:
    """The run, which nobody else changes until the transaction ends."""
    # An update that changes nothing takes the lock in every database.
    statement = (
        sa.update(runs)
        .where(runs.c.partner == partner, runs.c.id == run)
        .values(sequence=runs.c.sequence)
    )
    row = c.execute(statement.returning(runs)).first()
    if row is None:
        raise NotFound(f"there is no run {run}")
    return _record(row)


def active(c: sa.Connection, partner: str, company: str) -> Run | None:
    """The company's run that has not ended and waits for no other."""
    mine = (runs.c.partner == partner, runs.c.company == company)
    query = sa.select(runs).where(*mine, runs.c.status.in_(ACTIVE), runs.c.waits.is_(False))
    row = c.execute(query).first()
    return None if row is None else _record(row)


def page(
    c: sa.Connection,
    partner: str,
    *,
    limit: int = 50,
    before: str | None = None,
    company: str | None = None,
    status: Collection[RunStatus] = (),
    plan: str | None = None,
) -> list[Run]:
    """Runs, newest first."""
    query = sa.select(runs).where(runs.c.partner == partner)
    if company is not None:
        query = query.where(runs.c.company == company)
    if status:
        query = query.where(runs.c.status.in_(status))
    if plan is not None:
        query = query.where(runs.c.plan == plan)
    return [_record(row) for row in c.execute(newest(query, runs, limit=limit, before=before))]


def move(
    c: sa.Connection,
    partner: str,
    run: str,
    to: RunStatus,
    *,
    actor: str,
    since: Collection[RunStatus] | None = None,
    fence: tuple[int, int] | None = None,
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """The run enters `to` from a state that allows it (and is in `since`), or Conflict.

    `fence` is (turn, claim): a worker whose turn was taken over gets Superseded instead.
    """
    before = {each for each, after in TRANSITIONS.items() if to in after}
    before &= before if since is None else set(since)
    now = utcnow()
    values = {"status": to, "updated_at": now, "sequence": runs.c.sequence + 1, **changes}
    if to in ENDED:
        values |= {"finished_at": now, "executor": None}
    guards = [runs.c.partner == partner, runs.c.id == run, runs.c.status.in_(before)]
    if fence is not None:
        guards += [runs.c.turn == fence[0], runs.c.claim == fence[1]]
    row = c.execute(sa.update(runs).where(*guards).values(values).returning(runs)).first()
    if row is None:
        raise _lost(get(c, partner, run), to, fence)
    moved = _record(row)
    told = {"status": to, "error_code": moved.error_code} if moved.error_code else {"status": to}
    events.record(
        c, partner, run, f"run.{to}", sequence=row.sequence, company=moved.company, actor=actor,
        data={**told, **(data or {})},
    )  # fmt: skip
    return moved


def requeue(
    c: sa.Connection,
    run: Run,
    *,
    actor: str,
    since: Collection[RunStatus],
    fence: tuple[int, int] | None = None,
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """The run waits for a worker again, at its next turn; the caller enqueues that turn."""
    fresh = {"turn": run.turn + 1, "claim": 0, "executor": None}
    return move(
        c, run.partner, run.id, RunStatus.QUEUED, actor=actor, since=since,
        fence=fence or (run.turn, run.claim), data=data, **fresh, **changes,
    )  # fmt: skip


def claim(c: sa.Connection, partner: str, run: str, *, turn: int, executor: str) -> Run:
    """This executor works on that turn from now on; whoever did before is fenced off."""
    now = utcnow()
    mine = (runs.c.partner == partner, runs.c.id == run, runs.c.turn == turn)
    open_states = runs.c.status.in_((RunStatus.QUEUED, RunStatus.RUNNING))
    statement = (
        sa.update(runs)
        .where(*mine, open_states, runs.c.waits.is_(False))
        .values(
            status=RunStatus.RUNNING,
            claim=runs.c.claim + 1,
            executor=executor,
            sequence=runs.c.sequence + 1,
            started_at=sa.func.coalesce(runs.c.started_at, sa.literal(now, Instant())),
            updated_at=now,
        )
    )
    row = c.execute(statement.returning(runs)).first()
    if row is None:
        there = get(c, partner, run)
        raise Superseded(f"run {run} is {there.status} at turn {there.turn}, not at turn {turn}")
    claimed = _record(row)
    kind = "run.running" if claimed.claim == 1 else "run.recovered"
    events.record(
        c, partner, run, kind, sequence=row.sequence, company=claimed.company, actor=executor,
        data={"status": RunStatus.RUNNING, "turn": turn, "claim": claimed.claim},
    )  # fmt: skip
    return claimed


def show(
    c: sa.Connection, partner: str, run: str, *, fence: tuple[int, int], progress: Progress
) -> bool:
    """Show how far the run is; False when the turn was taken over or has ended."""
    statement = (
        sa.update(runs)
        .where(
            runs.c.partner == partner,
            runs.c.id == run,
            runs.c.turn == fence[0],
            runs.c.claim == fence[1],
            runs.c.status == RunStatus.RUNNING,
        )
        .values(progress=asdict(progress), updated_at=utcnow())
    )
    return bool(c.execute(statement).rowcount)


def ask_to_cancel(c: sa.Connection, partner: str, run: str, *, actor: str) -> Run:
    """A run nobody works on ends at once; a running one is asked to stop.

    Conflict once its rows are on their way into the sheets: it can only be undone then.
    """
    there = lock(c, partner, run)
    if there.landing and not there.ended:
        raise Conflict(f"run {run} is storing its rows; wait for its end, then undo it")
    idle = (RunStatus.QUEUED, RunStatus.NEEDS_ATTENTION)
    try:
        return move(c, partner, run, RunStatus.CANCELED, actor=actor, since=idle)
    except Conflict:
        statement = (
            sa.update(runs)
            .where(runs.c.partner == partner, runs.c.id == run, runs.c.status == RunStatus.RUNNING)
            .values(cancel_requested=True)
        )
        if not c.execute(statement).rowcount:
            there = get(c, partner, run)
            if there.status is RunStatus.CANCELED:
                return there
            raise
    return get(c, partner, run)


def land(c: sa.Connection, run: Run) -> Run:
    """From here on the run writes to sheets: no cancel any more, and only by its latest claim."""
    statement = (
        sa.update(runs)
        .where(
            runs.c.partner == run.partner,
            runs.c.id == run.id,
            runs.c.turn == run.turn,
            runs.c.claim == run.claim,
            runs.c.status == RunStatus.RUNNING,
            runs.c.cancel_requested.is_(False),
        )
        .values(landing=True, updated_at=utcnow())
    )
    row = c.execute(statement.returning(runs)).first()
    if row is not None:
        return _record(row)
    there = get(c, run.partner, run.id)
    if there.cancel_requested and (there.turn, there.claim) == (run.turn, run.claim):
        raise Canceled(f"run {run.id} was canceled")
    raise _lost(there, RunStatus.RUNNING, (run.turn, run.claim))


def of_origin(c: sa.Connection, partner: str, origin: str, *, kind: RunKind) -> list[Run]:
    """Completed runs of that kind about the run, oldest first."""
    query = sa.select(runs).where(
        runs.c.partner == partner, runs.c.origin == origin, runs.c.kind == kind,
        runs.c.status == RunStatus.COMPLETED,
    )  # fmt: skip
    return [_record(row) for row in c.execute(query.order_by(runs.c.id))]


def canceled_among(c: sa.Connection, working: Sequence[str]) -> list[str]:
    """Which of these runs, of any partner, somebody asked to cancel."""
    query = sa.select(runs.c.id).where(runs.c.id.in_(working), runs.c.cancel_requested)
    return list(c.execute(query.execution_options(across_partners=True)).scalars())


def untouched(c: sa.Connection, *, seconds: float, limit: int = 500) -> list[Run]:
    """Queued and running runs of every partner that should change and did not for so long."""
    late = runs.c.updated_at < utcnow() - timedelta(seconds=seconds)
    open_states = runs.c.status.in_((RunStatus.QUEUED, RunStatus.RUNNING))
    query = sa.select(runs).where(open_states, late, runs.c.waits.is_(False))
    query = query.order_by(runs.c.updated_at).limit(limit)
    return [_record(row) for row in c.execute(query.execution_options(across_partners=True))]


def quarantined(c: sa.Connection, partner: str, *, since: datetime) -> list[Run]:
    """The partner's runs of that time and later whose files killed their workers."""
    mine = (runs.c.partner == partner, runs.c.id >= earliest(Kind.RUN, since))
    query = sa.select(runs).where(*mine, runs.c.error_code == FailureCode.QUARANTINED)
    return [_record(row) for row in c.execute(query)]


def finished(
    c: sa.Connection,
    *,
    before: datetime,
    limit: int,
    expired: bool | None = None,
    swept: bool | None = None,
) -> list[Run]:
    """Runs of every partner that ended before that time, with or without these marks."""
    query = sa.select(runs).where(runs.c.finished_at < before)
    for wanted, column in ((expired, runs.c.expired_at), (swept, runs.c.swept_at)):
        if wanted is not None:
            query = query.where(column.is_not(None) if wanted else column.is_(None))
    query = query.order_by(runs.c.finished_at).limit(limit)
    return [_record(row) for row in c.execute(query.execution_options(across_partners=True))]


def using(c: sa.Connection, partner: str, company: str, *, upload: str) -> list[Run]:
    """The company's runs over that upload."""
    query = sa.select(runs).where(runs.c.partner == partner, runs.c.company == company)
    return [run for row in c.execute(query) if upload in (run := _record(row)).uploads]


def expire(c: sa.Connection, partner: str, run: str) -> None:
    """The run's files and findings are gone; that it was, and its events, stay."""
    for table in (artifacts, findings):
        c.execute(sa.delete(table).where(table.c.partner == partner, table.c.run == run))
    now = utcnow()
    mine = (runs.c.partner == partner, runs.c.id == run)
    c.execute(sa.update(runs).where(*mine).values(expired_at=now, swept_at=now, report=None))


def mark_swept(c: sa.Connection, partner: str, run: str) -> None:
    """No file lies about that the run does not name."""
    mine = (runs.c.partner == partner, runs.c.id == run)
    c.execute(sa.update(runs).where(*mine).values(swept_at=utcnow()))


def add_artifacts(c: sa.Connection, partner: str, run: str, *, made: Sequence[Artifact]) -> None:
    """These are the run's result files now; staged tables of an earlier turn stay beside them."""
    mine = (artifacts.c.partner == partner, artifacts.c.run == run)
    names = [each.name for each in made]
    gone = sa.or_(artifacts.c.name.in_(names), ~artifacts.c.name.startswith("staging/"))
    c.execute(sa.delete(artifacts).where(*mine, gone))
    for each in made:
        c.execute(sa.insert(artifacts).values(run=run, partner=partner, **asdict(each)))


def artifacts_of(c: sa.Connection, partner: str, run: str) -> list[Artifact]:
    """The run's result files by name."""
    mine = (artifacts.c.partner == partner, artifacts.c.run == run)
    rows = c.execute(sa.select(artifacts).where(*mine).order_by(artifacts.c.name)).mappings()
    return [Artifact(**{name: row[name] for name in Artifact.__dataclass_fields__}) for row in rows]


def _lost(there: Run, to: RunStatus, fence: tuple[int, int] | None) -> Conflict:
    if fence is not None and (there.turn, there.claim) != fence:
        return Superseded(f"another worker has taken turn {there.turn} of run {there.id}")
    return Conflict(f"run {there.id} is {there.status} and cannot become {to}")


def _record(row: sa.Row[Any]) -> Run:
    values = {name: getattr(row, name) for name in Run.__dataclass_fields__}
    values |= {
        "status": RunStatus(row.status),
        "kind": RunKind(row.kind),
        "uploads": tuple(row.uploads),
        "policy": Policy.model_validate(row.policy),
        "progress": Progress(**row.progress),
        "counts": Accounting(**row.counts),
    }
    return Run(**values)
