"""Plants wrong repairs on real rows, as sure as can be, and counts what becomes of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from engine.binding.bound import BoundTable
from engine.proposal import Repair, RepairKind
from engine.questions import heals
from engine.trial import tried
from plans.changes import AddTransform, Change, MapValues, SetColumns, SetFormats, SetNumber
from plans.plan import Column, Mapping, SheetPlan
from plans.template import FieldType, TemplateField
from plans.transforms import Date, Number, Replace
from plans.versions import PlanVersion

_NUMBERS = (FieldType.INTEGER, FieldType.DECIMAL)


def planted(version: PlanVersion, tables: Sequence[BoundTable], *, folder: Path) -> Counter[str]:
    """Of the wrong repairs of these tables: `blocked` by the trial, `flagged` by it, or `applied`."""
    found = Counter[str]()
    for table in tables:
        sheet = version.plan.sheet(table.binding.sheet)
        made = tuple(_wrong(version, sheet, table))
        stood = {each.id: each for each in tried(version, [table], made, folder=folder)}
        for each in made:
            if each.id not in stood:
                found["blocked"] += 1
            else:
                found["applied" if heals([stood[each.id]]) else "flagged"] += 1
    return found


def _wrong(version: PlanVersion, sheet: SheetPlan, table: BoundTable) -> Iterator[Repair]:
    template = version.template(sheet.template)
    fed = [each for each in sheet.mappings if table.binding.columns(each.field)]
    for mapping in fed:
        yield from _of_values(sheet, mapping, template.field(mapping.field))
    for one, other in pairwise(each for each in fed if _plain(each)):
        if one.columns[0].header == other.columns[0].header:
            continue  # one column feeds both: nothing is swapped
        columns = (Column(header=other.columns[0].header),)
        change = SetColumns(sheet=sheet.name, field=one.field, columns=columns)
        yield _repair(sheet, one.field, "swapped", change, kind=RepairKind.REBIND)


def _plain(mapping: Mapping) -> bool:
    return len(mapping.columns) == 1 and mapping.columns[0].header is not None


def _of_values(sheet: SheetPlan, mapping: Mapping, field: TemplateField) -> Iterator[Repair]:
    of = {"sheet": sheet.name, "field": field.name}
    if field.type in _NUMBERS:
        sign = AddTransform(**of, transform=Replace(find="-", by=""), at="start")
        yield _repair(sheet, field.name, "sign", sign, kind=RepairKind.CLEAN)
        now = next((t for t in mapping.transforms if isinstance(t, Number)), Number())
        turned = {".": (",", "."), ",": (".", ",")}[now.decimal]
        marks = now.model_copy(update={"decimal": turned[0], "thousands": turned[1]})
        yield _repair(sheet, field.name, "marks", SetNumber(**of, number=marks))
        yield _repair(
            sheet,
            field.name,
            "scale",
            SetNumber(**of, number=now.model_copy(update={"scale": "100"})),
        )
    formats = [f for t in mapping.transforms if isinstance(t, Date) for f in t.formats]
    if field.type is FieldType.DATE and any({"%d", "%m"} <= {f[:2], f[3:5]} for f in formats):
        turned_formats = tuple(
            f.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m") for f in formats
        )
        yield _repair(sheet, field.name, "order", SetFormats(**of, formats=turned_formats))
    if field.type is FieldType.ENUM:
        lossy = MapValues(**of, values=dict.fromkeys(field.values, field.values[0]))
        yield _repair(sheet, field.name, "lossy", lossy, kind=RepairKind.CLEAN)


def _repair(
    sheet: SheetPlan,
    field: str,
    name: str,
    change: Change,
    *,
    kind: RepairKind = RepairKind.FORMAT,
) -> Repair:
    return Repair(
        id=f"{sheet.name}.{field}.{name}",
        kind=kind,
        sheet=sheet.name,
        field=field,
        changes=(change,),
        summary=f"planted: {name}",
        evidence="planted",
        confidence=0.999,
    )
