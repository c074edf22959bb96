"""A worker with a tiny pipeline for the tests of durable runs."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import children
import sqlalchemy as sa
from records import World, proposal
from sheets import part

from engine.accounting import Accounting
from engine.errors import Canceled, ChildCrashed, SourceCode, SourceError
from engine.files import open_files
from engine.model import Progress, Run, RunStatus
from engine.phase import Advance, Context, SheetRows
from engine.proposal import Decision, Proposal, Verdict
from engine.sandbox import Limits, call
from engine.settings import Settings
from engine.work import Work, Worker, prepare
from plans.plan import Plan
from plans.versions import PlanVersion, next_version

#: The sheets of a run with the option `rows`.
SHEETS = ("contacts", "leads")


def revise(version: PlanVersion, shown: Proposal, decision: Decision) -> PlanVersion:
    """Renames the e-mail column to what the answer says."""
    header = decision.answers.get("header", "Mail")
    text = version.plan.model_dump(mode="json")
    text["sheets"][0]["columns"][0]["from"] = [{"header": header}]
    return next_version(version, Plan.model_validate(text), author=decision.actor)


def advance(context: Context) -> Advance:
    """Does what the run's options say: `ask`, `fail`, `sleep`, `crash`, `steps`, `rows`, `spoilt`."""
    options = context.run.options
    for step in range(options.get("steps", 2)):
        context.progress(Progress(phase=f"step {step}", done=step, total=2))
        for _ in range(int(options.get("sleep", 0) * 20)):
            if context.cancel():
                raise Canceled("canceled")
            sleep(0.05)
    if options.get("crash"):
        raise ChildCrashed("the child died")
    if options.get("unreadable"):
        raise SourceError(SourceCode.EMPTY, "nothing in it", file="x.csv")
    if context.run.claim <= options.get("poison", 0):
        os.kill(os.getpid(), signal.SIGKILL)
    if options.get("fault", 0) > context.run.tries:
        raise RuntimeError("a fault")
    if name := options.get("child"):
        seconds = 2 if name == "hangs" else 60
        limits = Limits(folder=context.folder, seconds=seconds, memory=1 << 29)
        call(getattr(children, name), limits=limits, cancel=context.cancel)
    counts = Accounting(read=3, valid=2, invalid=1)
    if options.get("approve"):
        return approved(context)
    if options.get("ask") and context.decision is None:
        asked = proposal(etag=f"{context.run.id}-{context.run.turn}")
        status, shown = RunStatus.NEEDS_ATTENTION, asked
    else:
        status, shown = RunStatus.COMPLETED, None
    path = context.folder / "valid.csv"
    path.write_text(result(context.run.id, [each.path.read_text() for each in context.inputs]))
    stored = context.store_file(path, name="valid.csv", media_type="text/csv", records=2)
    rows = landed(context) if options.get("rows") and status is RunStatus.COMPLETED else {}
    if options.get("spoilt"):
        raise SourceError(SourceCode.EMPTY, "gone bad after its rows were stored", file="x.csv")
    return Advance(
        status=status, version=context.version, accounting=counts, proposal=shown,
        artifacts=(stored,), drifts=({"code": "column_renamed"},), rows=rows,
    )  # fmt: skip


def landed(context: Context) -> dict[str, dict[str, int]]:
    """Two rows for each of two sheets."""
    (first,) = context.version.templates
    found = []
    for name in SHEETS:
        path = context.folder / f"{name}.parquet"
        rows = [{"email": f"{n}@x.io", "name": context.run.id} for n in range(2)]
        part(path, rows)
        template = first.model_copy(update={"template": name})
        fed = (frozenset({"email", "name"}),)
        found.append(SheetRows(template=template, records=2, parts=(path,), fed=fed))
    return {name: dict(each.counts) for name, each in context.land(found).items()}


def result(run: str, inputs: Sequence[str]) -> str:
    """What the tiny pipeline makes of its inputs, whoever runs it and however often."""
    return f"{run}\n" + "".join(inputs).upper()


def approved(context: Context) -> Advance:
    """The import's policy accepted the revision."""
    shown = proposal(etag=f"{context.run.id}-policy")
    decision = Decision(etag=shown.etag, verdict=Verdict.ACCEPT, answers={}, actor="policy")
    return Advance(
        status=RunStatus.COMPLETED, version=revise(context.version, shown, decision),
        proposal=shown, approved=decision,
    )  # fmt: skip


def fast(folder: Path, **given: object) -> Settings:
    return Settings(
        data_dir=folder,
        **{
            "poll_seconds": 0.05, "heartbeat_seconds": 0.3, "dead_seconds": 2.0,
            "retry_seconds": 0.1, "workers": 4, "sweep_seconds": 1.0,
        } | given,
    )  # fmt: skip


@contextmanager
def working(
    engine: sa.Engine,
    settings: Settings,
    *,
    step: Callable[[Context], Advance] = advance,
    patience: float = 5,
) -> Iterator[Work]:
    """Work with a worker in this process."""
    prepare(engine)
    work = Work(engine, settings, revise=revise)
    worker = Worker(work, open_files(settings), advance=step)
    worker.start()
    try:
        yield work
    finally:
        worker.stop(seconds=patience)
        work.close()


def submit(work: Work, world: World, company: str | None = None, **options: object) -> Run:
    with work.engine.begin() as c:
        return work.submit(
            c, world.partner.id, company=company or world.company.id, options=options,
            actor="a test",
        )  # fmt: skip


def ended(work: Work, run: Run) -> Run:
    there = work.wait(run.partner, run.id, seconds=60)
    assert there.status not in (RunStatus.QUEUED, RunStatus.RUNNING)
    return there
