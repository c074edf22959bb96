"""One turn of a durable run: the pipeline between a worker's context and what it stores."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from engine.binding import Pass
from engine.binding.memory import Remembered, Scope, Trust, shape
from engine.binding.score import Model
from engine.errors import ProposalDrift, RowsChanged
from engine.mapping import Adviser
from engine.model import Artifact, Progress, RunStatus
from engine.phase import Advance, Context, SheetRows
from engine.pipeline import (
    Attempt,
    Request,
    Status,
    attempt,
)
from engine.policy import WhenInvalid
from engine.proposal import Verdict
from engine.questions import promised
from engine.readings import Earlier
from engine.replays import SETTLED
from engine.resent import Resent, settle
from engine.results import CSV, PARQUET, ResultFile, results
from engine.sandbox import Progress as Step
from engine.tables import Box, InputFile, Tables, read, read_again, said
from plans.plan import Read

#: The name of the file that a run's own rejected rows come in.
ORIGINAL = "rejected-rows.csv"
STAGING = "application/x-reknit-staging"
_TABLES = TypeAdapter(Tables)
_EARLIER = TypeAdapter(tuple[Earlier, ...])


def advance(
    context: Context, *, adviser: Adviser | None = None, weights: Model | None = None
) -> Advance:
    """Read once, try the plan, and say where the run stands; after a decision, try again."""
    box = Box(
        folder=context.folder,
        readable=tuple(each.path for each in context.inputs),
        cancel=context.cancel,
        progress=partial(_progress, context),
    )
    tables = _staged_before(context) or _read(context, box)
    box = replace(box, readable=(*box.readable, *(each.path for each in tables.staged)))
    made = attempt(
        context.version,
        tables,
        box=box,
        request=_request(context),
        memory=context.memory,
        seen=context.proposal if context.decision else None,
        adviser=adviser and replace(adviser, purse=context.purse),
        weights=weights,
    )
    _hold_to_proposal(context, made)
    if made.status is not Status.COMPLETED and context.run.landing:
        raise RowsChanged("tried again, the files are read differently than when rows were stored")
    return _advance(tables, made, *_store(context, box, tables, made))


def _hold_to_proposal(context: Context, made: Attempt) -> None:
    """Stop a run that a person decided on when it does not do what was shown (trust.md L12)."""
    seen, decision = context.proposal, context.decision
    goes_on = made.status is Status.COMPLETED and made.version.digest == context.version.digest
    if seen is None or decision is None or not goes_on:
        return
    shown = promised(seen, decision, valid=context.run.counts.valid)
    valid = made.outcome.accounting.valid
    if shown not in (None, valid):
        raise ProposalDrift(
            f"the proposal showed {shown} valid rows and now there are {valid}: nothing was "
            "written; import the files again"
        )


def _progress(context: Context, step: Step) -> None:
    context.progress(Progress(phase=step.phase, done=step.done, total=step.total or None))


def _read(context: Context, box: Box) -> Tables:
    files = [InputFile(name=each.name, path=each.path) for each in context.inputs]
    if context.rejects:
        again = [InputFile(name=ORIGINAL, path=path) for path in context.rejects.rejected]
        return read_again(files or again, context.rejects, plan=context.version.plan, box=box)
    given = _given(context)
    earlier = _EARLIER.validate_python(context.earlier)
    return read(files, plan=context.version.plan, given=given, box=box, earlier=earlier)


def _given(context: Context) -> Read:
    return Read.model_validate(context.run.options.get("read", {}))


def _staged_before(context: Context) -> Tables | None:
    """The tables an earlier turn staged, on this machine; None on the first turn, and when an
    answer says to read the files in another way.
    """
    index = context.fetch_file("staging/tables.json")
    if index is None:
        return None
    tables = _TABLES.validate_json(index.read_bytes())
    if tables.reads != said(context.version.plan, _given(context)):
        return None
    paths = [context.fetch_file(_staging(number)) for number in range(len(tables.staged))]
    if any(path is None for path in paths):
        return None
    moved = (
        replace(staged, path=path)
        for staged, path in zip(tables.staged, paths, strict=True)
        if path
    )
    return replace(tables, staged=tuple(moved))


def _staging(number: int) -> str:
    return f"staging/{number}.csv"


def _request(context: Context) -> Request:
    """What the call asked; a decision to take the valid rows changes its policy."""
    mapping = dict(context.run.options.get("mapping", {}))
    policy = context.run.policy
    if context.decision and context.decision.verdict is Verdict.TAKE_VALID:
        policy = policy.model_copy(update={"when_invalid": WhenInvalid.TAKE_VALID})
    return Request(policy=policy, mapping=mapping, stored=context.stored)


Rows = Mapping[str, Mapping[str, int]]


def _store(
    context: Context, box: Box, tables: Tables, made: Attempt
) -> tuple[tuple[Artifact, ...], Rows]:
    """Result files, and what became of the rows; while the run waits, its staging for the next turn.

    The report comes last: it tells what the sheets took.
    """
    safe = bool(context.run.options.get("safe", False))
    first = context.rejects.run if context.rejects else context.run.id
    write = partial(results, folder=context.folder / "results", safe=safe, run=first)
    files = box.call(write, made, tables)
    stored = [_kept(context, each) for each in files[1:]]
    if made.status is Status.NEEDS_ATTENTION:
        stored += _store_staging(context, tables)
    if made.status is Status.COMPLETED and tables.places:
        stored.append(_kept(context, _settled(context, box, tables, made)))
    landed = {}
    if made.status is Status.COMPLETED and not context.run.dry_run:
        landed = dict(context.land(sheet_rows(made)))
    for name, each in landed.items():
        if each.skipped:
            count = each.counts["skipped"]
            path, file = each.skipped, f"{name}/skipped-rows.csv"
            stored.append(context.store_file(path, name=file, media_type=CSV, records=count))
    rows = {name: each.counts for name, each in landed.items()}
    report = json.loads(files[0].path.read_bytes()) | {"rows": rows}
    files[0].path.write_text(json.dumps(report, indent=2, ensure_ascii=False), "utf-8")
    return (_kept(context, files[0]), *stored), rows


def _kept(context: Context, file: ResultFile) -> Artifact:
    return context.store_file(
        file.path, name=file.name, media_type=file.media_type, records=file.records
    )


def _settled(context: Context, box: Box, tables: Tables, made: Attempt) -> ResultFile:
    """Which rows of its origin this replay took in: later ones leave them out."""
    path = context.folder / SETTLED
    resent = Resent(staged=tables.staged, places=tables.places)
    count = box.call(partial(settle, to=path), made.outcome, resent)
    return ResultFile(name=SETTLED, path=path, media_type=PARQUET, records=count)


def sheet_rows(made: Attempt) -> tuple[SheetRows, ...]:
    """The valid rows by template: several sheets of a plan may fill one sheet of the company."""
    templates = dict.fromkeys(each.template for each in made.outcome.sheets)
    return tuple(
        SheetRows(
            template=made.version.template(name),
            records=sum(each.accounting.valid for each in of_template),
            parts=tuple(path for each in of_template for path in each.valid_parquet),
            fed=tuple(fed for each in of_template for fed in each.fed),
        )
        for name in templates
        for of_template in [[each for each in made.outcome.sheets if each.template == name]]
    )


def _store_staging(context: Context, tables: Tables) -> list[Artifact]:
    index = context.folder / "tables.json"
    index.write_bytes(_TABLES.dump_json(tables))
    stored = [
        context.store_file(
            each.path, name=_staging(number), media_type=STAGING, records=each.records
        )
        for number, each in enumerate(tables.staged)
    ]
    name = "staging/tables.json"
    return [*stored, context.store_file(index, name=name, media_type=STAGING, records=0)]


def _advance(tables: Tables, made: Attempt, artifacts: tuple[Artifact, ...], rows: Rows) -> Advance:
    report = next(each.key for each in artifacts if each.name == "report.json")
    failed = made.status is Status.FAILED
    groups = [group for sheet in made.outcome.sheets for group in sheet.groups]
    return Advance(
        status=RunStatus(made.status.value),
        version=made.version,
        accounting=made.outcome.accounting,
        code="invalid_rows" if failed else None,
        message=made.reason,
        proposal=made.proposal,
        # Findings never hold cells.
        read=_plain([replace(each.source, views=()) for each in tables.staged]),
        bindings=tuple(
            {"table": each.bound.table, **_plain([each.bound.binding])[0]} for each in made.inputs
        ),
        drifts=_plain(made.drifts),
        heals=_plain([*made.healed, *made.approved]),
        groups=_plain(groups),
        artifacts=artifacts,
        report=report,
        remember=_confirmed(made) if made.status is Status.COMPLETED else (),
        rows=rows,
        facts={"coverage": _coverage(made)},
    )


def _coverage(made: Attempt) -> dict[str, Any]:
    return {
        sheet.sheet: {fill.field: [fill.filled, fill.distinct] for fill in sheet.coverage}
        for sheet in made.outcome.sheets
    }


def _confirmed(made: Attempt) -> tuple[Remembered, ...]:
    """Every binding of a run that went through: evidence for the next file."""
    return tuple(
        Remembered(
            template=made.version.plan.sheet(each.bound.binding.sheet).template,
            field=bound.field,
            headers=tuple(each.bound.staged.source.columns[index] for index in bound.columns),
            shape=shape(each.bound.staged.source),
            scope=Scope.COMPANY,
            trust=_trust(bound.by),
        )
        for each in made.inputs
        for bound in each.bound.binding.bounds
    )


def _trust(by: Pass) -> Trust:
    """A person's word, the plan's words, or what the passes made of it."""
    if by in (Pass.GIVEN, Pass.HUMAN):
        return Trust.HUMAN
    planned = (Pass.EXACT, Pass.NORMALISED, Pass.ALIAS)
    return Trust.APPROVED if by in planned else Trust.HEALED


def _plain(values: Sequence[Any]) -> tuple[Mapping[str, Any], ...]:
    """Frozen values as JSON-ready mappings."""
    return tuple(TypeAdapter(type(each)).dump_python(each, mode="json") for each in values)
