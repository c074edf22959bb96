"""Settles how an unsure file is read: by the plan, by what was read before, else by a question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.binding.bound import BoundTable, Pass
from engine.binding.words import normalised
from engine.drift import Drift, DriftCode
from engine.intake.source import ReadCode, Source, Staged, View
from engine.proposal import Option, Preview, Proposal, Question, Target
from plans.changes import SetRead
from plans.plan import Plan, Read, SheetPlan
from plans.versions import PlanVersion

#: This share of a sheet's names makes it no accident.
ENOUGH = 0.2
#: A column found so speaks for the row that was taken for the header.
_BY_NAME = (Pass.EXACT, Pass.NORMALISED, Pass.ALIAS, Pass.FUZZY, Pass.REMEMBERED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """How a table of this source was read in the last run that went through."""

    columns: tuple[str, ...]
    encoding: str | None
    delimiter: str | None
    header_rows: tuple[int, ...]


def as_meant(
    stage: Callable[[Read], tuple[Staged, ...]],
    options: Read,
    given: Read,
    plan: Plan | None,
    earlier: Sequence[Earlier],
) -> list[Staged]:
    """A file's tables, staged as the plan and earlier files say; what stays open keeps its views.

    What only the plan says (`options`, but not `given`) is held against the file: where none of
    its columns come out so, but do by what the bytes say, the file has drifted.
    """
    tables = stage(options)
    if plan and options != given and not _fits(tables, plan):
        detected = stage(given)
        if _fits(detected, plan):
            tables, options = detected, given
    found = []
    for at, table in enumerate(tables):
        view = settled(table.source, plan, earlier)
        if view is not None and view != table.source.views[0]:
            again = stage(merged(options, view.read))
            table = again[at] if len(again) == len(tables) else table
        found.append(table if view is None else _sure(table))
    return found


def _sure(table: Staged) -> Staged:
    """Nothing left to ask."""
    notes = tuple(each for each in table.source.notes if each.code is not ReadCode.UNSURE)
    return replace(table, source=replace(table.source, views=(), notes=notes))


def _fits(tables: Sequence[Staged], plan: Plan) -> bool:
    """Whether any table has columns that the plan knows by name; a plan without names fits all."""
    columns = {normalised(each) for table in tables for each in table.source.columns}
    return max(_known(columns, plan), default=1.0) > 0


def settled(source: Source, plan: Plan | None, earlier: Sequence[Earlier]) -> View | None:
    """Which of a table's views is meant, as far as the plan or an earlier file says so."""
    said = [sheet.read for sheet in plan.sheets] if plan else []
    for view in source.views:
        if any(_says(read, view.read) for read in said):
            return view
    if plan and (named := _named(source.views, plan)):
        return named
    return next((v for v in source.views if any(_as_before(v, each) for each in earlier)), None)


def _says(read: Read, wanted: Read) -> bool:
    return all(
        getattr(read, name) == value
        for name, value in wanted.model_dump(exclude_defaults=True).items()
    )


def _named(views: Sequence[View], plan: Plan) -> View | None:
    """The one view under which columns have the names that the plan asks for."""
    points = [
        max((_known({normalised(each) for each in view.columns}, plan)), default=0.0)
        for view in views
    ]
    best = max(points, default=0.0)
    return views[points.index(best)] if best >= ENOUGH and points.count(best) == 1 else None


def _known(columns: set[str], plan: Plan) -> list[float]:
    """By sheet, the share of the columns it asks for."""
    wanted = [
        [column for mapping in sheet.mappings for column in mapping.columns if column.names]
        for sheet in plan.sheets
    ]
    return [
        sum(any(normalised(name) in columns for name in each.names) for each in sheet) / len(sheet)
        for sheet in wanted
        if sheet
    ]


def _as_before(view: View, earlier: Earlier) -> bool:
    """Whether the view makes the same columns in the same way as last time."""
    read = view.read
    return (
        sorted(map(normalised, view.columns)) == sorted(map(normalised, earlier.columns))
        and read.encoding in (None, earlier.encoding)
        and read.delimiter in (None, earlier.delimiter)
        and read.has_header in (None, bool(earlier.header_rows))
    )


def contradicted(sheet: SheetPlan, source: Source, earlier: Sequence[Earlier]) -> tuple[Drift, ...]:
    """Where a file of known columns is written in another way than its source's last one."""
    names = sorted(map(normalised, source.columns))
    last = next((e for e in earlier if sorted(map(normalised, e.columns)) == names), None)
    if last is None:
        return ()
    pairs = (
        (DriftCode.DELIMITER, sheet.read.delimiter, last.delimiter, source.delimiter),
        (DriftCode.ENCODING, sheet.read.encoding, last.encoding, source.encoding),
        (DriftCode.HEADER, sheet.read.header_row, _row(last.header_rows), _row(source.header_rows)),
    )
    return tuple(
        Drift(
            code=code,
            sheet=sheet.name,
            expected=before,
            found=now,
            message=f"the last file of this source had {before!r}, this one has {now!r}",
            used=False,
        )
        for code, planned, before, now in pairs
        if planned is None and before and now and before != now
    )


def _row(rows: Sequence[int]) -> str | None:
    return str(rows[-1]) if rows else None


def reading_questions(
    version: PlanVersion, inputs: Sequence[BoundTable], seen: Proposal | None
) -> tuple[Question, ...]:
    """One question for each sheet that a table feeds in a way nobody is sure of."""
    shown = {question.id for question in seen.questions} if seen else set()
    found = {
        each.binding.sheet: _question(version, each)
        for each in inputs
        if each.staged.source.views and not _proven(each, version.plan)
    }
    return tuple(each for each in found.values() if each.id not in shown)


def is_reading(question: Question) -> bool:
    """Whether a question is about how a file is read, not about its values."""
    return any(option.preview for option in question.options)


def _proven(table: BoundTable, plan: Plan) -> bool:
    """Found names prove where columns and rows begin; how letters are encoded they do not."""
    views, binding = table.staged.source.views, table.binding
    if any(view.read.encoding for view in views) or binding.missing:
        return False
    mappings = (plan.sheet(binding.sheet).mapping(each.field) for each in binding.bounds)
    named = any(column.names for each in mappings if each for column in each.columns)
    return named and any(each.by in _BY_NAME for each in binding.bounds)


def _question(version: PlanVersion, table: BoundTable) -> Question:
    source, sheet = table.staged.source, version.plan.sheet(table.binding.sheet)
    place = f", sheet {source.sheet}" if source.sheet else ""
    return Question(
        id=f"{sheet.name}.read",
        prompt=f"How should {source.file}{place} be read?",
        context="These are its rows under either reading; nothing is checked before you say which.",
        target=Target(
            sheet=sheet.name,
            field=None,
            column=None,
            affected=source.read,
            samples=(),
            error=f"only {source.confidence:.0%} sure how the file is meant",
        ),
        options=tuple(
            Option(
                id=f"reading-{number}",
                label=view.label,
                changes=(SetRead(sheet=sheet.name, read=merged(sheet.read, view.read)),),
                preview=Preview(columns=view.columns, rows=view.rows),
            )
            for number, view in enumerate(source.views, 1)
        ),
        recommended="reading-1",
    )


def merged(read: Read, more: Read) -> Read:
    """What both say; the second has the last word."""
    return Read.model_validate(
        {**read.model_dump(exclude_defaults=True), **more.model_dump(exclude_defaults=True)}
    )
