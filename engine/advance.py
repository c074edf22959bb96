"""One turn of a durable run: the pipeline between a worker's context and what it stores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import TypeAdapter

from engine.binding import Pass
from engine.binding.memory import Remembered, Scope, Trust, shape
from engine.mapping import Adviser
from engine.model import Artifact, Progress, RunStatus
from engine.phase import Advance, Context
from engine.pipeline import (
    Attempt,
    Box,
    InputFile,
    Request,
    Status,
    Tables,
    attempt,
    read,
)
from engine.policy import WhenInvalid
from engine.proposal import Verdict
from engine.results import results
from engine.sandbox import Progress as Step
from plans.plan import Read

STAGING = "application/x-reknit-staging"
_TABLES = TypeAdapter(Tables)


def advance(context: Context, *, adviser: Adviser | None = None) -> Advance:
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
        adviser=adviser,
    )
    return _advance(tables, made, _store(context, box, tables, made))


def _progress(context: Context, step: Step) -> None:
    context.progress(Progress(phase=step.phase, done=step.done, total=step.total or None))


def _read(context: Context, box: Box) -> Tables:
    files = [InputFile(name=each.name, path=each.path) for each in context.inputs]
    given = Read.model_validate(context.run.options.get("read", {}))
    return read(files, plan=context.version.plan, given=given, box=box)


def _staged_before(context: Context) -> Tables | None:
    """The tables an earlier turn staged, on this machine; None on the first turn."""
    index = context.fetch_file("staging/tables.json")
    if index is None:
        return None
    tables = _TABLES.validate_json(index.read_bytes())
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
    return Request(policy=policy, mapping=mapping)


def _store(context: Context, box: Box, tables: Tables, made: Attempt) -> tuple[Artifact, ...]:
    """Result files; while the run waits, also its staging for the next turn."""
    safe = bool(context.run.options.get("safe", False))
    files = box.call(partial(results, folder=context.folder / "results", safe=safe), made, tables)
    stored = [
        context.store_file(
            each.path, name=each.name, media_type=each.media_type, records=each.records
        )
        for each in files
    ]
    if made.status is Status.NEEDS_ATTENTION:
        stored += _store_staging(context, tables)
    return tuple(stored)


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


def _advance(tables: Tables, made: Attempt, artifacts: tuple[Artifact, ...]) -> Advance:
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
        read=_plain([each.source for each in tables.staged]),
        bindings=tuple(
            {"table": each.bound.table, **_plain([each.bound.binding])[0]} for each in made.inputs
        ),
        drifts=_plain(made.drifts),
        heals=_plain([*made.healed, *made.approved]),
        groups=_plain(groups),
        artifacts=artifacts,
        report=report,
        remember=_confirmed(made) if made.status is Status.COMPLETED else (),
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
