"""Puts what is left over into plain questions, with the options a person has."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.compiler.program import CellCode
from engine.drift import Drift, DriftCode
from engine.outcome import VALUE_CODES, CellGroup, Outcome
from engine.proposal import Custom, Option, Question, Repair, RepairKind, Target
from plans.changes import MapValues, SetDuplicates, SetExtraColumns, SetOptional
from plans.plan import Duplicates, ExtraColumns, SheetPlan
from plans.template import FieldType, Severity, TemplateField
from plans.versions import PlanVersion

#: Unknown values that get a question each; the rest share one.
EACH = 12
#: Allowed values offered as options; more of them are typed in.
OFFERED = 12
#: Ways to read a whole column, which come before the meaning of single values.
_READINGS = (RepairKind.FORMAT, RepairKind.CLEAN, RepairKind.AMBIGUOUS_FORMAT)
#: Types beside lists whose unreadable values may each stand for one.
_CODED = (FieldType.COUNTRY, FieldType.CURRENCY, FieldType.INTEGER, FieldType.DECIMAL)
_MISSING = (CellCode.REQUIRED, CellCode.MISSING_COLUMN)
LEAVE_OUT = Option(id="leave_out", label="Leave these rows out of the import")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """Everything wrong with one field (or, without a field, with rows) of one sheet."""

    sheet: SheetPlan
    field: TemplateField | None
    groups: tuple[CellGroup, ...]
    drifts: tuple[Drift, ...]
    fixed: int  #: cells the proposal's repairs see to
    options: tuple[Option, ...]
    best: Repair | None
    readable: bool  #: whether a repair would read the values another way

    @property
    def name(self) -> str:
        """How the field is called for a person."""
        return (self.field.title or self.field.name) if self.field else "the rows"

    @property
    def cells(self) -> int:
        """Invalid cells."""
        return sum(group.cells for group in self.groups)


def questions(
    version: PlanVersion,
    outcome: Outcome,
    *,
    firm: Sequence[Repair],
    options: Sequence[Repair],
    drifts: Sequence[Drift],
) -> tuple[Question, ...]:
    """One question a field that stays open after the firm repairs; unknown values get one each."""
    found: list[Question] = []
    for sheet in version.plan.sheets:
        for trouble in _troubles(version, sheet, outcome, firm, options, drifts):
            found += _asked(trouble, firm)
    return tuple(found)


def _troubles(
    version: PlanVersion,
    sheet: SheetPlan,
    outcome: Outcome,
    firm: Sequence[Repair],
    options: Sequence[Repair],
    drifts: Sequence[Drift],
) -> Iterable[Trouble]:
    groups = [
        group
        for each in outcome.sheets
        if each.sheet == sheet.name
        for group in each.groups
        if group.severity is Severity.ERROR
    ]
    blocking = [each for each in drifts if each.sheet == sheet.name and _blocks(each, sheet)]
    template = version.template(sheet.template)
    fields = dict.fromkeys([*(g.field for g in groups), *(d.field for d in blocking)])
    for name in fields:
        mine = [each for each in firm if (each.sheet, each.field) == (sheet.name, name)]
        rest = [each for each in options if (each.sheet, each.field) == (sheet.name, name)]
        yield Trouble(
            sheet=sheet,
            field=template.field(name) if name else None,
            groups=tuple(group for group in groups if group.field == name),
            drifts=tuple(drift for drift in blocking if drift.field == name),
            fixed=sum(each.effect.fixed for each in mine if each.effect),
            options=tuple(_option(each) for each in _ranked(rest)),
            best=_best(rest),
            readable=any(each.kind in _READINGS for each in rest),
        )


def _blocks(drift: Drift, sheet: SheetPlan) -> bool:
    if drift.code is DriftCode.EXTRA:
        return sheet.extra_columns is ExtraColumns.REJECT
    return drift.code is DriftCode.MISSING and drift.used


def _asked(trouble: Trouble, firm: Sequence[Repair]) -> list[Question]:
    if trouble.drifts:
        return [_about_column(trouble)] if not _fed(trouble, firm) else []
    if trouble.cells <= trouble.fixed:
        return []
    unknown = _unknown(trouble, firm)
    if unknown:
        return _about_values(trouble, unknown)
    return [_about_cells(trouble)]


def _fed(trouble: Trouble, firm: Sequence[Repair]) -> bool:
    """Whether a repair of the proposal gives the field a column."""
    kinds = (RepairKind.REBIND, RepairKind.COLUMN)
    field = trouble.field.name if trouble.field else None
    return any(
        (each.sheet, each.field) == (trouble.sheet.name, field) and each.kind in kinds
        for each in firm
    )


def _unknown(trouble: Trouble, firm: Sequence[Repair]) -> Counter[str]:
    """Values that nothing maps yet: of a list, and a few of a field whose values are codes or numbers."""
    if trouble.field is None or trouble.field.type not in (FieldType.ENUM, *_CODED):
        return Counter()
    listed = trouble.field.type is FieldType.ENUM
    mapped = {
        value
        for each in firm
        if (each.sheet, each.field) == (trouble.sheet.name, trouble.field.name)
        for change in each.changes
        if isinstance(change, MapValues)
        for value in change.values
    }
    counts: Counter[str] = Counter()
    for group in trouble.groups:
        if group.code in VALUE_CODES:
            counts.update({value: n for value, n in group.values if value not in mapped})
    few = not trouble.readable and 2 <= sum(each.distinct for each in trouble.groups) <= EACH
    return counts if listed or few else Counter()


def _about_values(trouble: Trouble, unknown: Counter[str]) -> list[Question]:
    field, sheet = trouble.field, trouble.sheet
    if field is None:
        return []
    ranked = unknown.most_common()
    alone, rest = ranked[:EACH], ranked[EACH:]
    found = [
        _question(
            trouble,
            id=f"{sheet.name}.{field.name}.value-{at}",
            prompt=f"What is {value!r} in {trouble.name}?",
            affected=count,
            samples=(value,),
            options=(
                *_meanings(sheet, field, (value,)),
                *(trouble.options if not field.values else ()),
                LEAVE_OUT,
            ),
            custom=Custom.MEANING,
            hint=f"one of: {', '.join(field.values[:50])}"
            if field.values
            else "what it stands for",
            place=_place_of(trouble, value),
        )
        for at, (value, count) in enumerate(alone, 1)
    ]
    others = trouble.cells - trouble.fixed - sum(count for _, count in alone)
    if others > 0:
        found.append(
            _question(
                trouble,
                id=f"{sheet.name}.{field.name}",
                prompt=f"What about the other values of {trouble.name} that are not allowed?",
                affected=others,
                samples=tuple(value for value, _ in rest[:20]),
                options=(*trouble.options, LEAVE_OUT),
            )
        )
    return found


def _meanings(sheet: SheetPlan, field: TemplateField, values: Sequence[str]) -> tuple[Option, ...]:
    def option(id: str, label: str, to: str) -> Option:
        change = MapValues(sheet=sheet.name, field=field.name, values=dict.fromkeys(values, to))
        return Option(id=id, label=label, changes=(change,))

    offered = tuple(option(f"is-{at}", f"It is {to!r}", to) for at, to in enumerate(field.values))
    empty = () if field.required else (option("empty", "Treat it as empty", ""),)
    return (*offered[:OFFERED], *empty)


def _about_column(trouble: Trouble) -> Question:
    drift = trouble.drifts[0]
    if drift.code is DriftCode.EXTRA:
        return _about_extras(trouble)
    field = trouble.field
    name = field.name if field else ""
    change = SetOptional(sheet=trouble.sheet.name, field=name, optional=True)
    without = Option(
        id="without",
        label="This file has none: leave the field empty, and do not ask again",
        changes=(change,),
    )
    required = field is not None and field.required
    last = (
        LEAVE_OUT if required else Option(id="this_time", label="Leave the field empty this time")
    )
    return _question(
        trouble,
        id=f"{trouble.sheet.name}.{name}.column",
        prompt=f"Which column is {trouble.name}?",
        affected=trouble.cells,
        samples=(),
        options=(*trouble.options, *(() if required else (without,)), last),
        custom=Custom.HEADER,
        hint="the header of the column in the file",
        error=drift.message,
    )


def _about_extras(trouble: Trouble) -> Question:
    sheet = trouble.sheet.name
    names = tuple(drift.found or "" for drift in trouble.drifts)

    def option(id: str, label: str, to: ExtraColumns) -> Option:
        return Option(id=id, label=label, changes=(SetExtraColumns(sheet=sheet, extra_columns=to),))

    return _question(
        trouble,
        id=f"{sheet}.extra",
        prompt=f"The file has {len(names)} columns that no field uses. What should happen to them?",
        affected=0,
        samples=names[:20],
        options=(
            option("ignore", "Leave them out", ExtraColumns.IGNORE),
            option("keep", "Keep them beside the fields", ExtraColumns.KEEP),
        ),
        error=trouble.drifts[0].message,
    )


def _about_cells(trouble: Trouble) -> Question:
    codes = {group.code for group in trouble.groups}
    name = trouble.field.name if trouble.field else "rows"
    missing = bool(codes & set(_MISSING))
    dated = trouble.field is not None and trouble.field.type in (FieldType.DATE, FieldType.DATETIME)
    samples = tuple(dict.fromkeys(v for g in trouble.groups for v, _ in g.values if v))[:20]
    custom, hint = (
        (Custom.VALUE, "a value for the empty cells")
        if missing
        else (Custom.FORMAT, "a date format such as %d.%m.%Y")
        if dated and CellCode.FORMAT in codes
        else (Custom.MEANING, f"what {samples[0]!r} means")
        if trouble.field is not None and codes <= VALUE_CODES and len(samples) == 1
        else (None, "")
    )
    # The rest of the cells a firm repair fixes is small; what is shown covers all of them.
    return _question(
        trouble,
        id=f"{trouble.sheet.name}.{name}",
        prompt=_prompt(trouble, codes),
        affected=trouble.cells,
        samples=samples,
        options=(*trouble.options, *_of_duplicates(trouble, codes), LEAVE_OUT),
        custom=custom,
        hint=hint,
    )


def _prompt(trouble: Trouble, codes: set[CellCode]) -> str:
    one = trouble.cells == 1
    s = "s" if one else ""
    cells = f"{trouble.cells} cell{'' if one else 's'}"
    if CellCode.MISSING_COLUMN in codes:
        return f"Nothing feeds {trouble.name}, which every row needs. What should it be?"
    if CellCode.REQUIRED in codes:
        return f"{trouble.name} is empty in {cells}, but needed. What should happen?"
    if codes & VALUE_CODES:
        they = "it" if one else "they"
        return f"{cells} of {trouble.name} cannot be read. How should {they} be read?"
    if codes & {CellCode.UNIQUE, CellCode.UNIQUE_TOGETHER, CellCode.DUPLICATE}:
        return f"{cells} of {trouble.name} stand{s} in another row too. What should happen?"
    if CellCode.REFERENCE in codes:
        named = f"name{s} something that is not there"
        return f"{cells} of {trouble.name} {named}. What should happen?"
    return f"{cells} of {trouble.name} break{s} a rule. What should happen?"


def _of_duplicates(trouble: Trouble, codes: set[CellCode]) -> tuple[Option, ...]:
    if CellCode.DUPLICATE not in codes or trouble.sheet.duplicates is not Duplicates.REJECT:
        return ()

    def option(which: Duplicates) -> Option:
        change = SetDuplicates(sheet=trouble.sheet.name, duplicates=which)
        return Option(id=which.value, label=f"Keep the {which} row of each", changes=(change,))

    return (option(Duplicates.FIRST), option(Duplicates.LAST))


def _question(
    trouble: Trouble,
    *,
    id: str,
    prompt: str,
    affected: int,
    samples: tuple[str, ...],
    options: tuple[Option, ...],
    custom: Custom | None = None,
    hint: str = "",
    error: str = "",
    place: str | None = None,
) -> Question:
    group = max(trouble.groups, key=lambda each: each.cells, default=None)
    ids = {option.id for option in options}
    return Question(
        id=id,
        prompt=prompt,
        context=_place(trouble) if place is None else place,
        target=Target(
            sheet=trouble.sheet.name,
            field=trouble.field.name if trouble.field else None,
            column=group.column if group else None,
            affected=affected,
            samples=samples,
            error=error or (group.message if group else ""),
        ),
        options=options,
        recommended=trouble.best.id if trouble.best and trouble.best.id in ids else None,
        allow_custom=custom is not None,
        custom_hint=hint,
        custom=custom,
    )


def _place(trouble: Trouble) -> str:
    """Where the field's invalid cells begin."""
    group = max(trouble.groups, key=lambda each: each.cells, default=None)
    files = len({each.file for each in trouble.groups})
    return _rows(group.first_rows[:3], group.file, files) if group else ""


def _place_of(trouble: Trouble, value: str) -> str:
    """The same of one value's cells alone."""
    found = {
        group.file: rows
        for group in trouble.groups
        for (each, _), rows in zip(group.values, group.value_rows, strict=False)
        if each == value
    }
    return next((_rows(rows, file, len(found)) for file, rows in found.items()), "")


def _rows(rows: Sequence[int], file: str, files: int) -> str:
    more = f" and {files - 1} more files" if files > 1 else ""
    row = "row" if len(rows) == 1 else "rows"
    return f"first in {row} {', '.join(map(str, rows))} of {file}{more}" if rows else ""


def _option(repair: Repair) -> Option:
    return Option(id=repair.id, label=repair.summary, changes=repair.changes, effect=repair.effect)


def _ranked(repairs: Iterable[Repair]) -> list[Repair]:
    return sorted(repairs, key=lambda each: (each.kind is RepairKind.POLICY, -each.confidence))


def _best(repairs: Sequence[Repair]) -> Repair | None:
    """The option to recommend: likely, and clearly ahead."""
    ranked = [each for each in _ranked(repairs) if each.kind is not RepairKind.POLICY]
    if not ranked or ranked[0].confidence < 0.75:
        return None
    if len(ranked) > 1 and ranked[0].confidence - ranked[1].confidence < 0.1:
        return None
    return ranked[0]
