"""How a turn ends. Each ending is one transaction that only the run's latest claim can make."""

import logging
from collections import Counter
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from engine import failpoints
from engine.decisions import adopt
from engine.desk import Desk, Stop
from engine.errors import (
    Canceled,
    ChildCrashed,
    ChildTimeout,
    CompileError,
    EngineError,
    GivenUp,
    NotFound,
    NotUndoable,
    ProposalDrift,
    RowsChanged,
    SourceError,
    StorageError,
    Superseded,
    UploadMismatch,
    gist,
)
from engine.landing import take_back
from engine.model import Confirmed, FailureCode, Progress, Run, RunStatus, Width
from engine.phase import Advance
from engine.store import companies, events, findings, line, memory, plans, proposals, runs
from engine.store.database import is_busy, transaction
from engine.store.findings import Finding
from plans.errors import PlanError

log = logging.getLogger(__name__)

#: Tries of a turn that ended in a fault of ours; of a child that died, one file's fault.
MOST_TRIES, MOST_CRASHES = 5, 3
#: Seconds before rows of a run that failed are taken back again.
LATER = 60.0


def keep(desk: Desk, run: Run, made: Advance) -> None:
    """How the turn ended and everything it found become visible at once."""
    with transaction(desk.engine, f"settle-{made.status}") as c:
        changes: dict[str, Any] = {
            "counts": asdict(made.accounting), "report": made.report,
            "progress": asdict(Progress(message=made.message or "")),
            "rows": {name: dict(counts) for name, counts in made.rows.items()},
            "error_code": made.code, "error_message": made.message if made.code else None,
        }  # fmt: skip
        told = {"counts": changes["counts"], "rows": changes["rows"], **made.facts}
        if made.status is RunStatus.NEEDS_ATTENTION and made.proposal is not None:
            shown = proposals.add(
                c, run.partner, run=run, proposal=made.proposal, version=made.version,
                blocking=True,
            )  # fmt: skip
            changes |= {"proposal": shown.id}
            told |= {"proposal": shown.id, "etag": made.proposal.etag}
        _tell(c, run, made)
        changes |= _approve_by_policy(c, run, made)
        moved = runs.move(
            c, run.partner, run.id, made.status, actor=desk.executor,
            fence=(run.turn, run.claim), data=told, **changes,
        )  # fmt: skip
        failpoints.hit("settle:moved")
        _keep_findings(c, run, made)
        failpoints.hit("settle:findings-kept")
        if moved.cancel_requested and not moved.ended:
            moved = runs.move(c, run.partner, run.id, RunStatus.CANCELED, actor=desk.executor)
        line.pass_on(c, moved, desk.enqueue)
    _log(run, moved)


def _log(run: Run, moved: Run) -> None:
    """One line about the end of a turn, which began when `run` was claimed; no cell is in it."""
    line = {
        "run": run.id, "partner": run.partner, "kind": run.kind, "turn": run.turn,
        "status": moved.status, "code": moved.error_code,
        "seconds": (moved.updated_at - run.updated_at).total_seconds(),
        "counts": asdict(moved.counts),
    }  # fmt: skip
    log.info("run", extra={name: value for name, value in line.items() if value is not None})


def _tell(c: sa.Connection, run: Run, made: Advance) -> None:
    for kind, found in (("run.drifted", made.drifts), ("run.healed", made.heals)):
        if found:
            codes = Counter(str(each.get("code") or each.get("kind")) for each in found)
            data = {"count": len(found), "codes": dict(codes)}
            events.append(c, run.partner, run.id, kind, actor="engine", data=data)


def _approve_by_policy(c: sa.Connection, run: Run, made: Advance) -> dict[str, Any]:
    """What the import's policy accepted without a person is decided all the same, and told."""
    if made.approved is None or made.proposal is None:
        return {}
    shown = proposals.add(
        c, run.partner, run=run, proposal=made.proposal, version=made.version, blocking=False
    )
    kept = adopt(
        c, run, made.version, author="policy", reason=made.approved.reason, width=Width.COMPANY
    )
    proposals.decide(c, run.partner, shown.id, decision=made.approved, made_version=kept.number)
    data = {"proposal": shown.id, "etag": made.proposal.etag, "plan_version": kept.number}
    events.append(c, run.partner, run.id, "run.decided", actor="policy", data=data)
    return plans.in_use(kept)


def _keep_findings(c: sa.Connection, run: Run, made: Advance) -> None:
    found = {
        Finding.READ: made.read, Finding.BINDING: made.bindings, Finding.DRIFT: made.drifts,
        Finding.HEAL: made.heals, Finding.GROUP: made.groups,
    }  # fmt: skip
    findings.replace(c, run.partner, run.id, found=found)
    runs.add_artifacts(c, run.partner, run.id, made=made.artifacts)
    if made.suggested is not None:
        proposals.add(
            c, run.partner, run=run, proposal=made.suggested, version=made.version, blocking=False
        )
    source = companies.get(c, run.partner, run.company).source
    memory.remember(
        c,
        run.partner,
        (
            Confirmed(
                source=source, company=run.company, template=each.template, field=each.field,
                headers=each.headers, shape=each.shape, trust=each.trust, count=each.count,
            )
            for each in made.remember
        ),
    )  # fmt: skip


def end_badly(desk: Desk, run: Run, stop: Stop, error: Exception) -> None:
    match error:
        case _ if stop.reason == "superseded" or isinstance(error, Superseded):
            raise Superseded(f"run {run.id} was taken over")
        case _ if stop.reason == "canceled" or (isinstance(error, Canceled) and not stop.reason):
            with transaction(desk.engine, "settle-canceled") as c:
                canceled = runs.move(
                    c, run.partner, run.id, RunStatus.CANCELED, actor=desk.executor,
                    fence=(run.turn, run.claim),
                )  # fmt: skip
                line.pass_on(c, canceled, desk.enqueue)
            _log(run, canceled)
        case _ if stop.reason == "leaving":
            _again(desk, run, tries=run.tries, message="", later=0)
        case SourceError():
            fail(desk, run, error.code, str(error))
        case PlanError() | CompileError():
            fail(desk, run, FailureCode.PLAN_MISFIT, str(error))
        case UploadMismatch() | NotFound():
            fail(desk, run, FailureCode.UPLOAD_CHANGED, str(error))
        case ChildTimeout():
            fail(desk, run, FailureCode.TIMEOUT, str(error))
        case NotUndoable():
            fail(desk, run, FailureCode.NOT_UNDOABLE, str(error))
        case ProposalDrift():
            fail(desk, run, FailureCode.PROPOSAL_DRIFT, str(error))
        case RowsChanged():
            fail(desk, run, FailureCode.ROWS_CHANGED, str(error))
        case GivenUp():
            fail(desk, run, FailureCode.INTERNAL, f"{error}; import its files again")
        case _:
            _retry(desk, run, error)


def _retry(desk: Desk, run: Run, error: Exception) -> None:
    """Try again after a while; after too many tries the run fails with a code that says whose fault."""
    told = {"run": run.id, "try": run.tries + 1}
    if isinstance(error, StorageError) or is_busy(error):
        log.error("what this run needs is away: %s", gist(error), extra=told)
    else:
        log.error("a turn of this run failed", extra=told, exc_info=error)
    crashed = isinstance(error, ChildCrashed)
    most = MOST_CRASHES if crashed else MOST_TRIES
    tries = run.tries + 1
    if tries < most:
        message = f"Retrying (attempt {tries + 1} of {most})"
        later = desk.settings.retry_seconds * 2 ** (tries - 1)
        _again(desk, run, tries=tries, message=message, later=later)
    elif crashed:
        fail(desk, run, FailureCode.QUARANTINED, f"{error}; its files crash the reader every time")
    elif isinstance(error, (StorageError, OSError)):
        fail(desk, run, FailureCode.STORAGE, "the disk or the file store failed; try again later")
    else:
        fail(desk, run, FailureCode.INTERNAL, f"a fault of ours, {most} times; run {run.id}")


def abandoned(desk: Desk, run: Run) -> None:
    """The workflow of the run's turn is gone without ending the run: try the turn once more."""
    fence = (run.turn, run.claim)
    with transaction(desk.engine, "sweep") as c:
        if run.status is RunStatus.QUEUED:
            runs.move(
                c, run.partner, run.id, RunStatus.RUNNING, actor="sweeper", fence=fence,
                since=(RunStatus.QUEUED,),
            )  # fmt: skip
    _retry(desk, run, RuntimeError("the turn ended without telling how"))


def _again(desk: Desk, run: Run, *, tries: int, message: str, later: float) -> None:
    with transaction(desk.engine, "settle-retry") as c:
        queued = runs.requeue(
            c, run, actor=desk.executor, since=(RunStatus.RUNNING,), tries=tries,
            data={"message": message, "after_seconds": later} if message else None,
            progress=asdict(Progress(message=message)),
        )  # fmt: skip
        desk.enqueue(c, queued, later)


def fail(desk: Desk, run: Run, code: str, message: str) -> None:
    """The run ends without rows; those that are in a sheet already are taken back first."""
    with desk.engine.begin() as c:
        there = runs.get(c, run.partner, run.id)
    if there.landing and (there.turn, there.claim) == (run.turn, run.claim):
        try:
            take_back(desk, run)
        except (EngineError, OSError) as error:
            told = {"run": run.id}
            log.error("its rows cannot be taken back now: %s", gist(error), extra=told)
            return _again(desk, run, tries=run.tries, message=message, later=LATER)
    with transaction(desk.engine, "settle-failed") as c:
        failed = runs.move(
            c, run.partner, run.id, RunStatus.FAILED, actor=desk.executor,
            fence=(run.turn, run.claim), error_code=code, error_message=message,
            progress=asdict(Progress()),
        )  # fmt: skip
        line.pass_on(c, failed, desk.enqueue)
    _log(run, failed)
