"""Columns that came under another name, or that nothing feeds yet."""

from collections.abc import Sequence

from engine.binding import Bound, Pass
from engine.binding.bound import BoundTable
from engine.binding.words import concepts
from engine.outcome import VALUE_CODES, Outcome
from engine.proposal import Repair, RepairKind
from plans.changes import AddAlias, AddMapping, Change, SetColumns
from plans.plan import Column, Mapping, SheetPlan
from plans.template import Template
from plans.versions import PlanVersion

#: Found by the plan's own words: nothing to remember.
_PLANNED = (Pass.EXACT, Pass.GIVEN)
#: A renamed column whose values fail is not proven, however well its name fits.
_UNPROVEN = 0.9


def renamed(
    version: PlanVersion, tables: Sequence[BoundTable], outcome: Outcome
) -> tuple[Repair, ...]:
    """Every other name a bound column came under, and every likely column for a missing field."""
    failing = {
        (sheet.sheet, group.field)
        for sheet in outcome.sheets
        for group in sheet.groups
        if group.code in VALUE_CODES
    }
    found: dict[str, Repair] = {}
    for table in tables:
        plan = version.plan.sheet(table.binding.sheet)
        for bound in table.binding.bounds:
            fails = (plan.name, bound.field) in failing
            for repair in _aliases(plan, table, bound, fails=fails):
                found.setdefault(repair.id, repair)
        for candidate in table.binding.candidates:
            for repair in _candidate(plan, table, candidate):
                found.setdefault(repair.id, repair)
    return tuple(found.values())


def unfed(
    version: PlanVersion, tables: Sequence[BoundTable], outcome: Outcome
) -> tuple[Repair, ...]:
    """Extra columns that go by the name of a required field no mapping feeds."""
    found: dict[str, Repair] = {}
    for table in tables:
        plan = version.plan.sheet(table.binding.sheet)
        template = version.template(plan.template)
        for at in table.binding.extra:
            for repair in _new_mapping(plan, template, table.staged.source.columns[at]):
                found.setdefault(repair.id, repair)
    return tuple(found.values())


def _aliases(plan: SheetPlan, table: BoundTable, bound: Bound, *, fails: bool) -> list[Repair]:
    mapping = plan.mapping(bound.field)
    if mapping is None or bound.by in _PLANNED:
        return []
    headers = table.staged.source.columns
    changes = [
        AddAlias(sheet=plan.name, field=bound.field, header=column.names[0], alias=headers[at])
        for column, at in zip(mapping.columns, bound.columns, strict=True)
        if column.names and headers[at] and headers[at] not in column.names
    ]
    if not changes:
        return []
    came = ", ".join(repr(change.alias) for change in changes)
    return [
        Repair(
            id=f"{plan.name}.{bound.field}.renamed",
            kind=RepairKind.REBIND,
            sheet=plan.name,
            field=bound.field,
            changes=tuple(changes),
            summary=f"Feed {bound.field} from {came} from now on",
            evidence=bound.evidence,
            confidence=min(bound.score, _UNPROVEN) if fails else bound.score,
            by="model" if bound.by is Pass.MODEL else "data",
        )
    ]


def _candidate(plan: SheetPlan, table: BoundTable, bound: Bound) -> list[Repair]:
    mapping = plan.mapping(bound.field)
    at = bound.columns[0]
    header = table.staged.source.columns[at]
    if mapping is None or mapping.optional:
        return []
    # Of several columns that become one value, the part that is gone.
    gone = [
        each for each in mapping.columns if not set(each.names) & set(table.staged.source.columns)
    ]
    if len(gone) != 1:
        return []
    name = gone[0].header
    change: Change | None = None
    if header and name is not None:
        change = AddAlias(sheet=plan.name, field=bound.field, header=name, alias=header)
    elif name is None and not header and len(mapping.columns) == 1:
        change = SetColumns(sheet=plan.name, field=bound.field, columns=(Column(position=at),))
    if change is None:
        return []
    return [
        Repair(
            id=f"{plan.name}.{bound.field}.column-{at}",
            kind=RepairKind.REBIND,
            sheet=plan.name,
            field=bound.field,
            changes=(change,),
            summary=f"Feed {bound.field} from column {repr(header) if header else f'number {at}'}",
            evidence=bound.evidence,
            # Candidates were doubted by the binding already; no trial makes a name sure.
            confidence=min(bound.score, 0.97),
            by="model" if bound.by is Pass.MODEL else "data",
        )
    ]


def _new_mapping(plan: SheetPlan, template: Template, header: str) -> list[Repair]:
    return [
        Repair(
            id=f"{plan.name}.{field.name}.mapping",
            kind=RepairKind.COLUMN,
            sheet=plan.name,
            field=field.name,
            changes=(
                AddMapping(
                    sheet=plan.name,
                    mapping=Mapping.model_validate({"field": field.name, "from": header}),
                ),
            ),
            summary=f"Feed {field.name}, which nothing feeds, from column {header!r}",
            evidence=f"the header {header!r} is a name of the field",
            confidence=0.9,
        )
        for field in template.fields
        if field.required and header and plan.mapping(field.name) is None
        if any(
            concepts(header) == concepts(name)
            for name in (field.name, field.title, *field.synonyms)
            if name
        )
    ]
