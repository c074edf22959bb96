"""Tries candidate repairs on the staged rows with the very Program that would run, and judges them.

Reads the customer's bytes: call it in a sandbox child.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.binding import Binding, Bound, bind
from engine.binding.score import Model
from engine.compiler.program import Stored
from engine.compiler.sheet import compile_sheet
from engine.errors import CompileError
from engine.execute import Job, Part, compare, execute
from engine.proposal import Effect, Repair, RepairKind
from engine.repair import BoundTable
from plans.changes import AddAlias, AddFormats, SetFormats, SetNumber, apply
from plans.errors import ChangeConflict
from plans.versions import PlanVersion, next_version

SAMPLES = 20
Jobs = dict[str, Job]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What every try is held against."""

    version: PlanVersion
    tables: tuple[BoundTable, ...]
    stored: Stored
    jobs: Mapping[str, Job]  #: by sheet
    valid: int  #: rows
    folder: Path
    threads: int
    weights: Model | None = None  #: how columns are matched


def tried(
    version: PlanVersion,
    tables: Sequence[BoundTable],
    repairs: Sequence[Repair],
    *,
    folder: Path,
    threads: int = 2,
    valid: int | None = None,
    stored: Stored = (),
    weights: Model | None = None,
) -> tuple[Repair, ...]:
    """The repairs with their effect; those that fix nothing, or break more than they fix, are gone.

    `valid`: rows that are valid under this version, counted where nobody knows it.
    """
    if not repairs:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    jobs = jobs_of(version, tables, stored=stored)
    trial = Trial(
        version=version,
        tables=tuple(tables),
        stored=stored,
        jobs=jobs,
        valid=_valid(jobs, folder=folder, threads=threads) if valid is None else valid,
        folder=folder,
        threads=threads,
        weights=weights,
    )
    found = []
    for repair in repairs:
        effect = None if _steals(trial, repair) else _effect(trial, repair)
        if effect is not None and _stands(repair, effect):
            found.append(replace(repair, effect=effect))
    return tuple(found)


def undominated(repairs: Iterable[Repair]) -> tuple[Repair, ...]:
    """Without what a model said where the data knows a way to read the field that is no worse."""
    every = tuple(repairs)
    return tuple(
        each
        for each in every
        if each.by != "model" or not any(_dominates(other, each) for other in every)
    )


def _effect(trial: Trial, repair: Repair) -> Effect | None:
    """What the changes do to the rows; None when they do not fit plan or file, or do harm."""
    sheet, field = repair.sheet, repair.field
    try:
        plan = apply(trial.version.plan, *repair.changes)
        revised = next_version(trial.version, plan)
        jobs = jobs_of(revised, _rebound(revised, trial, sheet, field), stored=trial.stored)
    except (ChangeConflict, CompileError):
        return None
    before, after = trial.jobs[sheet], jobs[sheet]
    if [part.program for part in before.parts] == [part.program for part in after.parts]:
        return Effect(
            fixed=0, broken=0, changed=0, valid_before=trial.valid, valid_after=trial.valid
        )
    pieces = [
        compare(one, two, field=field, folder=trial.folder, limit=SAMPLES)
        for one, two in zip(before.parts, after.parts, strict=True)
        if field is not None
    ]
    broken, fixed = sum(each.broken for each in pieces), sum(each.fixed for each in pieces)
    changed = sum(each.changed for each in pieces)
    # The cells tell before every row is judged again.
    if broken > fixed or (changed and repair.kind is RepairKind.CLEAN):
        return None
    return Effect(
        fixed=fixed,
        broken=broken,
        changed=changed,
        valid_before=trial.valid,
        valid_after=_valid(jobs, folder=trial.folder, threads=trial.threads),
        samples=tuple(sample for piece in pieces for sample in piece.samples)[:SAMPLES],
    )


def jobs_of(version: PlanVersion, tables: Sequence[BoundTable], *, stored: Stored = ()) -> Jobs:
    """One job a sheet, compiled as for the run itself."""
    jobs: Jobs = {}
    for sheet in version.plan.sheets:
        template = version.template(sheet.template)
        parts = tuple(
            Part(
                program=compile_sheet(
                    sheet,
                    template,
                    each.binding,
                    each.staged.source,
                    width=each.staged.width,
                    delimiter=each.staged.delimiter,
                ),
                staged=each.staged,
                table=each.table,
            )
            for each in tables
            if each.binding.sheet == sheet.name
        )
        if parts:
            jobs[sheet.name] = Job(
                sheet=sheet.name, template=sheet.template, parts=parts, stored=stored
            )
    return jobs


def _valid(jobs: Jobs, *, folder: Path, threads: int) -> int:
    outcome = execute(tuple(jobs.values()), folder=folder, threads=threads, write=False)
    return outcome.accounting.valid


def _rebound(
    version: PlanVersion, trial: Trial, sheet: str, field: str | None
) -> tuple[BoundTable, ...]:
    """The same bindings, but this field of this sheet as the revised plan finds it."""
    plan = version.plan.sheet(sheet)
    template = version.template(plan.template)
    found = []
    for table in trial.tables:
        if table.binding.sheet == sheet and field is not None:
            source, seen = table.staged.source, table.profile
            fresh = bind(plan, template, source, seen, weights=trial.weights)
            table = replace(table, binding=_with(table.binding, field, fresh.bound(field)))
        found.append(table)
    return tuple(found)


def _with(binding: Binding, field: str, fresh: Bound | None) -> Binding:
    old = binding.bound(field)
    # A column the call gave, or a person or model chose, is not in the plan's words.
    bound = fresh or old
    others = tuple(each for each in binding.bounds if each.field != field)
    used = {column for each in (*others, bound) if each for column in each.columns}
    return replace(
        binding,
        bounds=(*others, bound) if bound else others,
        missing=tuple(each for each in binding.missing if each != field or bound is None),
        extra=tuple(at for at in (*binding.extra, *(old.columns if old else ())) if at not in used),
    )


def _steals(trial: Trial, repair: Repair) -> bool:
    """Whether it names a column for a field that feeds another one: harmless now, wrong tomorrow."""
    aliases = {change.alias for change in repair.changes if isinstance(change, AddAlias)}
    return any(
        table.staged.source.columns[at] in aliases
        for table in trial.tables
        if table.binding.sheet == repair.sheet
        for bound in table.binding.bounds
        if bound.field != repair.field and bound.field not in _sharing(trial, repair)
        for at in bound.columns
    )


def _sharing(trial: Trial, repair: Repair) -> set[str]:
    """Fields the plan feeds from the same columns as the repair's: a column that is split."""
    sheet = trial.version.plan.sheet(repair.sheet)
    headers = {change.header for change in repair.changes if isinstance(change, AddAlias)}
    return {
        mapping.field
        for mapping in sheet.mappings
        if any(headers & set(column.names) for column in mapping.columns)
    }


def _dominates(one: Repair, other: Repair) -> bool:
    """Whether both say how the field's values are written, and the first does it better."""
    same = (one.sheet, one.field) == (other.sheet, other.field) and one.id != other.id
    if not same or not (_reads(one) and _reads(other)) or not one.effect or not other.effect:
        return False
    good = (one.effect.fixed, -one.effect.broken, -one.effect.changed)
    less = (other.effect.fixed, -other.effect.broken, -other.effect.changed)
    return good != less and all(a >= b for a, b in zip(good, less, strict=True))


def _reads(repair: Repair) -> bool:
    return any(isinstance(each, (AddFormats, SetFormats, SetNumber)) for each in repair.changes)


def _stands(repair: Repair, effect: Effect) -> bool:
    """Whether it is worth showing: helps, and does no harm to rows either."""
    more = effect.valid_after - effect.valid_before
    if repair.kind in (RepairKind.REBIND, RepairKind.COLUMN):
        return more >= 0
    return more >= 0 and (effect.fixed > 0 or more > 0)
