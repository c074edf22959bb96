"""One field that does not come out right: what the plan says of it and what its column holds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.binding.bound import BoundTable
from engine.outcome import VALUE_CODES, CellGroup, Outcome
from engine.profile import Reading, readings
from engine.proposal import Repair, RepairKind
from plans.changes import Change
from plans.plan import Mapping, SheetPlan
from plans.template import FieldType, Severity, Template, TemplateField
from plans.transforms import COMBINING, Date, DateTime, Time
from plans.versions import PlanVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A field with invalid cells, over every table of its sheet."""

    sheet: SheetPlan
    template: Template
    field: TemplateField
    mapping: Mapping
    tables: tuple[BoundTable, ...]
    groups: tuple[CellGroup, ...]
    readings: tuple[Reading, ...]  #: of the whole column, for types written in several ways

    @property
    def values(self) -> dict[str, int]:
        """Invalid raw values with their counts, most frequent first."""
        counts: Counter[str] = Counter()
        for group in self.groups:
            if group.code in VALUE_CODES:
                counts.update(dict(group.values))
        counts.pop("", None)
        return dict(counts.most_common())

    @property
    def cells(self) -> int:
        """How many cells are invalid because of their value."""
        return sum(group.cells for group in self.groups if group.code in VALUE_CODES)

    @property
    def combines(self) -> bool:
        """Whether several columns become one value."""
        return any(isinstance(each, COMBINING) for each in self.mapping.transforms)

    def repair(
        self,
        name: str,
        kind: RepairKind,
        *changes: Change,
        summary: str,
        evidence: str,
        confidence: float,
    ) -> Repair:
        """A repair of this field; `name` tells it from the field's others."""
        return Repair(
            id=f"{self.sheet.name}.{self.field.name}.{name}",
            kind=kind,
            sheet=self.sheet.name,
            field=self.field.name,
            changes=changes,
            summary=summary,
            evidence=evidence,
            confidence=confidence,
        )


#: Types whose way of writing is proven on the whole column.
_FORMATTED = frozenset(
    {FieldType.DATE, FieldType.DATETIME, FieldType.TIME, FieldType.INTEGER, FieldType.DECIMAL}
)


def cases(version: PlanVersion, tables: Sequence[BoundTable], outcome: Outcome) -> tuple[Case, ...]:
    """Every mapped field with invalid cells of its own."""
    found = []
    for sheet in outcome.sheets:
        plan = version.plan.sheet(sheet.sheet)
        template = version.template(plan.template)
        fed = tuple(each for each in tables if each.binding.sheet == plan.name)
        for mapping in plan.mappings:
            groups = tuple(g for g in sheet.groups if g.field == mapping.field and _counts(g))
            if groups:
                case = Case(
                    sheet=plan,
                    template=template,
                    field=template.field(mapping.field),
                    mapping=mapping,
                    tables=fed,
                    groups=groups,
                    readings=_readings(template.field(mapping.field), mapping, fed),
                )
                found.append(case)
    return tuple(found)


def formats(mapping: Mapping) -> tuple[str, ...]:
    """The date, time or datetime formats the mapping reads besides ISO 8601."""
    readers = [each for each in mapping.transforms if isinstance(each, (Date, DateTime, Time))]
    return readers[-1].formats if readers else ()


def _counts(group: CellGroup) -> bool:
    return group.severity is Severity.ERROR or group.code in VALUE_CODES


def _readings(
    field: TemplateField, mapping: Mapping, tables: Sequence[BoundTable]
) -> tuple[Reading, ...]:
    if field.type not in _FORMATTED:
        return ()
    return tuple(
        reading
        for each in tables
        for column in dict.fromkeys(each.binding.columns(field.name) or ())
        for reading in readings(each.staged, column, formats=formats(mapping))
    )
