"""What one table leaves open: fields without a column, values nobody maps, dates and numbers nobody reads."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.binding.bound import BoundTable
from engine.binding.pairs import Side
from engine.binding.passes import names
from engine.binding.score import Model, scores
from engine.mapping.answers import Asked, meanings
from engine.mapping.shown import DataMode, clean, column, labels, pattern_of
from engine.mapping.units import shared_unit
from engine.outcome import VALUE_CODES, Outcome
from engine.profile import ColumnProfile
from engine.proposal import Repair
from plans.plan import Mapping, SheetPlan
from plans.template import FieldType, Severity, Template, TemplateField
from plans.transforms import COMBINING
from plans.versions import PlanVersion

#: The model sees this many columns for a field, never the whole file when it is wide.
CANDIDATES = 12
#: Shapes of unread values that are shown.
SHAPES = 6
#: A repair this likely settles a field: the model is not asked about it.
LIKELY = 0.8
_READ = frozenset({FieldType.DATE, FieldType.DATETIME, FieldType.INTEGER, FieldType.DECIMAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class Open:
    """What is open in one table."""

    table: BoundTable
    sheet: SheetPlan
    asked: tuple[Asked, ...]

    def of(self, field: str) -> Asked:
        """What is asked about this field."""
        return next(each for each in self.asked if each.field.name == field)

    def mapping(self, field: str) -> Mapping | None:
        """How the plan feeds the field so far."""
        return self.sheet.mapping(field)

    def header(self, column: int) -> str:
        """The column's header in the file."""
        return self.table.staged.source.columns[column]


def opened(
    version: PlanVersion,
    table: BoundTable,
    outcome: Outcome,
    *,
    mode: DataMode,
    known: Sequence[Repair] = (),
    weights: Model | None = None,
) -> Open:
    """What a model can be asked about this table, as far as the mode lets it see. `known`: repairs
    the data itself suggests."""
    sheet = version.plan.sheet(table.binding.sheet)
    template = version.template(sheet.template)
    asked = {each.field.name: each for each in _unfed(sheet, template, table, known, weights)}
    for name, values in _failing(sheet, outcome, known).items():
        if name not in asked and (about := _values(template.field(name), values, mode)):
            asked[name] = about
    return Open(table=table, sheet=sheet, asked=tuple(asked.values()))


def shown(
    asked: Sequence[Asked], columns: Sequence[ColumnProfile], *, mode: DataMode
) -> dict[str, Any]:
    """The open fields and the columns they may come from, as data for the prompt."""
    used = {at for each in asked for at, _ in each.candidates}
    used |= {at for each in asked for at in each.sources}
    return {
        "fields": [_told(each) for each in asked],
        "columns": [column(columns[at], mode=mode) for at in sorted(used)],
    }


def _told(asked: Asked) -> dict[str, Any]:
    field = asked.field
    told: dict[str, Any] = {"name": field.name, "type": field.type.value, "title": field.title}
    told |= {"about": clean(field.description, longest=300), "values": list(field.values[:100])}
    told |= {
        "candidates": [at for at, _ in asked.candidates],
        "sources": list(asked.sources),
        "unknown_values": [{"value": at, "text": text} for at, text in labels(asked.unknown)],
        "unread": [{"pattern": shape, "cells": cells} for shape, cells in asked.shapes],
        "unit": asked.unit,
    }
    return {key: value for key, value in told.items() if value not in ("", [])}


def _unfed(
    sheet: SheetPlan,
    template: Template,
    table: BoundTable,
    known: Sequence[Repair],
    weights: Model | None,
) -> Iterable[Asked]:
    """Fields without a column: those the plan maps to one, and required ones it does not map."""
    fed = {each.field for each in known if each.sheet == sheet.name and each.confidence >= LIKELY}
    missing = [template.field(name) for name in _missing(sheet, template, table) if name not in fed]
    candidates = _candidates(missing, sheet, table, weights)
    named = tuple(at for at, each in enumerate(table.staged.source.columns) if each)
    for field in missing:
        sources = named if _simple(sheet.mapping(field.name)) else ()
        likely = candidates.get(field.name, ())
        if likely or sources:
            yield Asked(field=field, candidates=likely, sources=sources[: 2 * CANDIDATES])


def _missing(sheet: SheetPlan, template: Template, table: BoundTable) -> list[str]:
    unmapped = [
        field.name
        for field in template.fields
        if field.required and field.default is None and sheet.mapping(field.name) is None
    ]
    one_column = [
        name
        for name in table.binding.missing
        if (mapping := sheet.mapping(name)) and len(mapping.columns) == 1
        if mapping.columns[0].header is not None
    ]
    return one_column + unmapped


def _simple(mapping: Mapping | None) -> bool:
    """Whether a part or a join can be put before what the mapping does already."""
    return mapping is None or not any(isinstance(each, COMBINING) for each in mapping.transforms)


def _candidates(
    missing: Sequence[TemplateField], sheet: SheetPlan, table: BoundTable, weights: Model | None
) -> dict[str, tuple[tuple[int, float], ...]]:
    """For every open field the free columns that are likeliest, best first."""
    free = [at for at in table.binding.extra if table.staged.source.columns[at]]
    if not missing or not free:
        return {}
    sides = [Side(names=_names(field, sheet), about=field.description) for field in missing]
    headers = [Side(names=(table.staged.source.columns[at],)) for at in free]
    told = scores(sides, headers, model=weights)
    return {
        field.name: tuple(
            (free[row], float(told.sure[row, at]))
            for row in told.logits[:, at].argsort()[::-1][:CANDIDATES]
        )
        for at, field in enumerate(missing)
    }


def _names(field: TemplateField, sheet: SheetPlan) -> tuple[str, ...]:
    mapping = sheet.mapping(field.name)
    known = mapping.columns[0].names if mapping and mapping.columns else ()
    return (*known, *names(field))


def _failing(
    sheet: SheetPlan, outcome: Outcome, known: Sequence[Repair]
) -> dict[str, Counter[str]]:
    """Fields whose values fail and that no likely repair of the data sees to, with these values."""
    settled = Counter[str]()
    for each in known:
        if each.sheet == sheet.name and each.field and each.confidence >= LIKELY and each.effect:
            settled[each.field] += each.effect.fixed
    cells, values = Counter[str](), dict[str, Counter[str]]()
    for group in (group for each in outcome.sheets if each.sheet == sheet.name
                  for group in each.groups):  # fmt: skip
        if group.field and group.code in VALUE_CODES and group.severity is Severity.ERROR:
            cells[group.field] += group.cells
            values.setdefault(group.field, Counter()).update(dict(group.values))
    return {
        name: told
        for name, told in values.items()
        if cells[name] > settled[name] and sheet.mapping(name)
    }


def _values(field: TemplateField, values: Counter[str], mode: DataMode) -> Asked | None:
    """What can be asked about a field's failing values; headers alone tell nothing of them."""
    values.pop("", None)
    ranked = tuple(values.most_common())
    if meanings(field):
        asked = Asked(field=field, unknown=ranked)
        return asked if mode is DataMode.SAMPLES and asked.numbers else None
    if field.type not in _READ or mode is DataMode.HEADERS or not ranked:
        return None
    shapes = Counter[str]()
    for value, count in ranked:
        shapes[pattern_of(value)] += count
    numeric = field.type in (FieldType.INTEGER, FieldType.DECIMAL)
    unit = shared_unit(value for value, _ in ranked) if numeric else ""
    return Asked(field=field, unread=ranked, shapes=tuple(shapes.most_common(SHAPES)), unit=unit)
