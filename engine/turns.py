"""One turn of a run: claim it, let the pipeline advance it, keep what came out in one transaction.

Everything a turn does before its last transaction may happen again after a crash and is seen by
nobody; the last transaction happens once, because only the latest claim may make it.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TypeVar

import sqlalchemy as sa

from engine import failpoints, landing
from engine.binding.memory import Remembered, Scope, Trust
from engine.desk import Desk, Stop, claim_name, scratch
from engine.endings import end_badly, fail, keep
from engine.errors import Canceled, Conflict, NotFound, gist
from engine.files import content_key, result_key
from engine.ids import utcnow
from engine.model import Artifact, Confirmed, FailureCode, Progress, Run, RunKind
from engine.phase import Context, Input
from engine.replays import rejects
from engine.spending import DayPurse
from engine.store import companies, events, findings, memory, plans, proposals, runs, uploads
from engine.store.database import is_busy, transaction
from engine.undoing import undone

T = TypeVar("T")
log = logging.getLogger(__name__)

#: A turn whose worker died that often is not tried again: its file kills workers.
MOST_CLAIMS = 3
#: So long no other run reads it either; a reader that was mended meanwhile may try it after.
QUARANTINE = timedelta(days=1)


def take_turn(desk: Desk, partner: str, run: str, *, turn: int) -> None:
    """Work on a run's turn to its end, unless somebody else has taken it or it is over."""
    with _watched(desk, run) as stop:
        try:
            there = patiently(desk, lambda: _look(desk, partner, run))
            with desk.suspects if there.claim and there.turn == turn else nullcontext():
                claimed = patiently(desk, lambda: _claim(desk, partner, run, turn))
                stop.reason = stop.reason or ("canceled" if claimed.cancel_requested else "")
                end = _work(desk, claimed, stop)
                failpoints.hit("turn:before-settle")
                patiently(desk, end)
        except NotFound:
            log.info("run %s is gone", run)
        except Conflict as lost:
            log.warning("run %s: what this worker did does not count: %s", run, lost)
    failpoints.hit("turn:end")


@contextmanager
def _watched(desk: Desk, run: str) -> Iterator[Stop]:
    """What tells the turn to stop. A turn of the same run in this process is told at once."""
    stop = Stop()
    if (older := desk.working.get(run)) is not None:
        older.reason = older.reason or "superseded"
    desk.working[run] = stop
    try:
        yield stop
    finally:
        if desk.working.get(run) is stop:
            del desk.working[run]


def patiently(desk: Desk, act: Callable[[], T]) -> T:
    """`act()`, again and again while the database cannot be reached; it must be safe to repeat."""
    pause = 0.1
    while True:
        try:
            return act()
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if not is_busy(error) or desk.stopping.is_set():
                raise
            log.warning("the database is busy or away, trying again: %s", gist(error))
            desk.stopping.wait(pause)
            pause = min(pause * 2, 2)


def _look(desk: Desk, partner: str, run: str) -> Run:
    with desk.engine.begin() as c:
        return runs.get(c, partner, run)


def _claim(desk: Desk, partner: str, run: str, turn: int) -> Run:
    with transaction(desk.engine, "claim") as c:
        return runs.claim(c, partner, run, turn=turn, executor=desk.executor)


def _work(desk: Desk, run: Run, stop: Stop) -> Callable[[], None]:
    """Advance the run; the transaction that keeps how it ended."""
    if run.claim > MOST_CLAIMS:
        message = f"its worker died {MOST_CLAIMS} times while it worked on this run"
        return lambda: fail(desk, run, FailureCode.QUARANTINED, message)
    try:
        with scratch(desk, claim_name(run)) as folder:
            if stop():
                raise Canceled
            context = _context(desk, run, folder, stop)
            if past := _poisonous(desk, run, [each.digest for each in context.inputs]):
                message = f"its file crashed every worker in run {past} and is not read again today"
                return lambda: fail(desk, run, FailureCode.QUARANTINED, message)
            failpoints.hit("turn:before-advance")
            made = undone(desk, context) if run.kind is RunKind.UNDO else desk.advance(context)
            failpoints.hit("turn:after-advance")
            if stop():
                raise Canceled
            return lambda: keep(desk, run, made)
    except Exception as error:  # noqa: BLE001 - whatever it is, the run has to learn of it
        # Bound now: the name is gone when the answer is called.
        fault = error
        return lambda: end_badly(desk, run, stop, fault)


def _poisonous(desk: Desk, run: Run, digests: Sequence[str]) -> str | None:
    """A run of the same partner that these very bytes brought into quarantine a short time ago."""
    with desk.engine.begin() as c:
        for past in runs.quarantined(c, run.partner, since=utcnow() - QUARANTINE):
            known = [uploads.get(c, run.partner, each).digest for each in past.uploads]
            if known and set(known) <= set(digests):
                return past.id
    return None


def _context(desk: Desk, run: Run, folder: Path, stop: Stop) -> Context:
    with desk.engine.begin() as c:
        version = plans.version(c, run.partner, run.plan, number=run.plan_version).version
        sent = [uploads.get(c, run.partner, each) for each in run.uploads]
        known = memory.recall(c, run.partner)
        company = companies.get(c, run.partner, run.company)
        earlier = findings.last_read(c, run.partner, source=company.source)
        made = proposals.of_run(c, run.partner, run.id)
        files = {each.name: each for each in runs.artifacts_of(c, run.partner, run.id)}
    inputs = []
    for each in sent:
        key = content_key(run.partner, run.company, each.digest or "0")
        path = desk.files.fetch(key, folder, digest=each.digest or "")
        inputs.append(Input(upload=each.id, name=each.name, path=path, digest=each.digest or ""))
    failpoints.hit("turn:inputs-here")
    decided = next((each for each in made if each.blocking and each.decision), None)
    ground = landing.Ground(folder=folder, settings=desk.settings, cancel=stop)

    def store_file(path: Path, *, name: str, media_type: str, records: int) -> Artifact:
        stored = desk.files.put_file(result_key(run.partner, run.company, run.id), path)
        failpoints.hit("turn:file-stored")
        return Artifact(
            name=name, key=stored.key, media_type=media_type, size=stored.size,
            digest=stored.digest, records=records,
        )  # fmt: skip

    def fetch_file(name: str) -> Path | None:
        if name not in files:
            return None
        return desk.files.fetch(files[name].key, folder, digest=files[name].digest)

    return Context(
        run=run,
        version=version,
        inputs=tuple(inputs),
        folder=folder,
        memory=tuple(_remembered(each, run, company.source) for each in known),
        earlier=tuple(earlier),
        progress=_reporter(desk, run, stop),
        cancel=stop,
        store_file=store_file,
        fetch_file=fetch_file,
        rejects=rejects(desk, run, folder) if run.kind is RunKind.REPLAY else None,
        land=partial(landing.land, desk, run, ground),
        stored=landing.stored(run, ground, sheets=company.sheets, versions=[version]),
        proposal=decided.proposal if decided else None,
        decision=decided.decision if decided else None,
        purse=DayPurse(engine=desk.engine, settings=desk.settings, partner=run.partner),
    )


def _remembered(known: Confirmed, run: Run, source: str) -> Remembered:
    if known.company == run.company:
        scope = Scope.COMPANY
    else:
        scope = Scope.SOURCE if known.source == source else Scope.PARTNER
    return Remembered(
        template=known.template, field=known.field, headers=known.headers, shape=known.shape,
        scope=scope, trust=Trust(known.trust), count=known.count,
    )  # fmt: skip


def _reporter(desk: Desk, run: Run, stop: Stop) -> Callable[[Progress], None]:
    """Writes what a child tells, at most once a second; a new phase is an event."""
    last, phase, fence = 0.0, "", (run.turn, run.claim)

    def report(progress: Progress) -> None:
        nonlocal last, phase
        fresh = progress.phase != phase
        if not fresh and monotonic() - last < 1:
            return
        last, phase = monotonic(), progress.phase
        try:
            with transaction(desk.engine, "progress") as c:
                mine = runs.show(c, run.partner, run.id, fence=fence, progress=progress)
                if mine and fresh:
                    data = {"phase": phase, "done": progress.done, "total": progress.total}
                    events.append(
                        c, run.partner, run.id, "run.phase", actor=desk.executor, data=data
                    )
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            if not is_busy(error):
                raise
        else:
            if not mine:
                stop.reason = stop.reason or "superseded"

    return report
