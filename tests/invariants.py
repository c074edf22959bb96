"""What must hold after every fault: trust.md I1 to I9 and I11, each violation in words."""

from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path

import sqlalchemy as sa
from sheets import rows_of
from worker import result

from engine.dataset import exists
from engine.errors import EngineError
from engine.files import Files, content_key, run_prefix
from engine.model import ENDED, TRANSITIONS, Event, Run, RunKind, RunStatus
from engine.settings import Settings
from engine.sheets import location
from engine.store import audit, companies, endpoints, events, partners, plans, proposals, runs
from engine.store import uploads as stored

ALL = 100_000
STATES = {f"run.{status}": status for status in RunStatus} | {"run.recovered": RunStatus.RUNNING}


def check_invariants(
    engine: sa.Engine, files: Files, *, accepted: Collection[str], folder: Path
) -> list[str]:
    """Every violation. `accepted`: runs whose start was confirmed to a caller."""
    found: list[str] = []
    with engine.begin() as c:
        seen: set[str] = set()
        for partner in partners.listed(c):
            for run in runs.page(c, partner.id, limit=ALL):
                seen.add(run.id)
                found += _run(c, run, files, folder)
            found += _keys(c, partner.id)
            found += _one_active(c, partner.id)
            found += _plans(c, partner.id)
            if (line := audit.verify(c, partner.id)) is not None:
                found.append(f"audit line {line} is not what was written")
    found += [f"I1 {run} was accepted and is gone" for run in accepted if run not in seen]
    found += [f"I11 left over: {path}" for path in _leftovers(folder)]
    return found


def _run(c: sa.Connection, run: Run, files: Files, folder: Path) -> Iterator[str]:
    history = events.of_run(c, run.partner, run.id, limit=ALL)
    if run.status not in ENDED | {RunStatus.NEEDS_ATTENTION}:
        yield f"I1 {run.id} never ended: {run.status} {run.progress}"
    if run.status is RunStatus.COMPLETED and not run.counts.adds_up:
        yield f"I3 {run.id} rows do not add up: {run.counts}"
    yield from _history(run, history)
    if run.kind is not RunKind.UNDO:
        yield from _files(c, run, files)
    yield from _decisions(c, run, history)
    yield from _deliveries(c, run, history)
    if run.options.get("rows") and run.ended:
        yield from _sheets(c, run, folder)


def _sheets(c: sa.Connection, run: Run, folder: Path) -> Iterator[str]:
    """The run's rows are in every sheet once, or in none: it did not complete, or was undone."""
    undone = runs.of_origin(c, run.partner, run.id, kind=RunKind.UNDO)
    wanted = 2 if run.status is RunStatus.COMPLETED and not undone else 0
    for sheet in companies.get(c, run.partner, run.company).sheets:
        place = location(Settings(data_dir=folder), run.partner, run.company, sheet=sheet.id)
        rows = rows_of(place, "_run") if exists(place) else []
        if rows != [(run.id,)] * wanted:
            yield f"{run.id} is {run.status} and has {rows} in sheet {sheet.name}"


def _history(run: Run, history: list[Event]) -> Iterator[str]:
    if [each.sequence for each in history] != list(range(1, len(history) + 1)):
        yield f"{run.id} has a gap in its events"
    states = [STATES[each.type] for each in history if each.type in STATES]
    for before, after in pairwise(states):
        if after not in TRANSITIONS[before] and (before, after) != (RunStatus.RUNNING,) * 2:
            yield f"{run.id} went from {before} to {after}"
    if not states or states[-1] is not run.status:
        yield f"{run.id} is {run.status} but its last event says otherwise"
    if sum(state in ENDED for state in states) > 1:
        yield f"{run.id} ended more than once"


def _files(c: sa.Connection, run: Run, files: Files) -> Iterator[str]:
    made = runs.artifacts_of(c, run.partner, run.id)
    names = {each.name for each in made}
    if run.expired_at is not None:
        if names:
            yield f"{run.id} is expired and still shows {sorted(names)}"
    elif run.status is RunStatus.COMPLETED and not run.options.get("approve"):
        if names != {"valid.csv"}:
            yield f"I5 {run.id} is completed with {sorted(names)}"
        texts = []
        for upload in run.uploads:
            key = content_key(
                run.partner, run.company, stored.get(c, run.partner, upload).digest or ""
            )
            texts.append(b"".join(files.get(key)).decode())
        expected = result(run.id, texts)
    for each in made:
        try:
            content = b"".join(files.get(each.key))
        except EngineError as error:
            yield f"I5 {run.id}: {each.name} is shown and not there: {error}"
            continue
        if len(content) != each.size:
            yield f"I5 {run.id}: {each.name} is not whole"
        elif run.status is RunStatus.COMPLETED and content.decode() != expected:
            yield f"I4 {run.id}: {each.name} differs from a run without faults"
    kept = {each.key for each in made}
    for key in files.keys(run_prefix(run.partner, run.company, run.id)):
        if key not in kept:
            yield f"I11 {run.id} left the file {key}"


def _decisions(c: sa.Connection, run: Run, history: list[Event]) -> Iterator[str]:
    told = [each.data for each in history if each.type == "run.decided"]
    etags = [each["etag"] for each in told]
    if len(set(etags)) < len(etags):
        yield f"I8 {run.id}: one proposal was decided twice"
    for record in proposals.of_run(c, run.partner, run.id):
        if record.open != (record.proposal.etag not in etags):
            yield f"I8 {run.id}: decision and event about {record.id} differ"
    if run.turn > 1 + len(told) + run.tries + 5:
        yield f"{run.id} needed {run.turn} turns"


def _deliveries(c: sa.Connection, run: Run, history: list[Event]) -> Iterator[str]:
    table = endpoints.deliveries
    query = sa.select(table.c.event).where(table.c.partner == run.partner)
    sent = set(c.execute(query).scalars())
    for each in history:
        if each.id not in sent:
            yield f"I9 {run.id}: nobody is told of {each.type}"


def _keys(c: sa.Connection, partner: str) -> Iterator[str]:
    by_key: dict[str, list[str]] = {}
    for run in runs.page(c, partner, limit=ALL):
        if "key" in run.metadata:
            by_key.setdefault(run.metadata["key"], []).append(run.id)
    for key, made in by_key.items():
        if len(made) > 1:
            yield f"I2 key {key} started {len(made)} runs"


def _one_active(c: sa.Connection, partner: str) -> Iterator[str]:
    for company in companies.page(c, partner, limit=ALL):
        made = runs.page(c, partner, company=company.id, limit=ALL)[::-1]
        made = [each for each in made if not each.waits]
        for first, second in pairwise(made):
            started = second.started_at or second.finished_at
            # A run's end is timed before it is committed, another's start of work long after.
            if first.finished_at is None or (started and started < first.finished_at):
                yield f"I6 {first.id} and {second.id} of one company were active at once"


def _plans(c: sa.Connection, partner: str) -> Iterator[str]:
    for plan in plans.page(c, partner, limit=ALL):
        try:
            made = plans.versions(c, partner, plan.id)
        except EngineError as error:
            yield f"I7 {error}"
            continue
        if [each.number for each in made] != list(range(plan.latest, 0, -1)):
            yield f"I7 plan {plan.id} lacks a version"
        for each in made:
            if each.run is None:
                continue
            history = events.of_run(c, partner, each.run, limit=ALL)
            told = [e.data for e in history if e.type == "run.decided"]
            numbers = [(e.get("plan", plan.id), e.get("plan_version")) for e in told]
            if (plan.id, each.number) not in numbers:
                yield f"I8 version {each.number} of plan {plan.id} was approved by nobody"


def _leftovers(folder: Path) -> Iterator[Path]:
    yield from (folder / "scratch").glob("*/*")
    yield from (folder / "files" / ".incoming").glob("*")
