"""Asks a model about what the passes left open; every answer becomes a Repair to be tried.

The model chooses from column numbers, field names and allowed values; nothing it writes is used in
any other way, and nothing it says is applied without the trial and a person.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from pydantic import BaseModel, ConfigDict

from engine.binding.bound import BoundTable
from engine.binding.pairs import Side
from engine.binding.passes import names
from engine.binding.score import scores
from engine.llm import Child
from engine.mapping.converse import (
    Budget,
    Exchange,
    Models,
    Question,
    Status,
    Told,
    consult,
    schema_of,
)
from engine.mapping.shown import DataMode, clean, column, labels
from engine.outcome import Outcome
from engine.profile import Profile
from engine.proposal import Repair, RepairKind
from engine.settings import Settings
from plans.changes import AddAlias, AddMapping, Change, MapValues
from plans.plan import Mapping as PlanMapping
from plans.plan import SheetPlan
from plans.template import FieldType, Template, TemplateField
from plans.versions import PlanVersion

__all__ = [
    "Adviser", "Answer", "Budget", "DataMode", "Exchange", "Models", "Status", "Suggested", "adviser", "confidence", "suggest",
]  # fmt: skip

PROMPT_VERSION = "columns-1"
#: The model sees this many columns for a field, never the whole file when it is wide.
CANDIDATES = 12
#: A model's word multiplies the odds the data gives by this; it never makes anything sure.
WORD, CEILING = 4.0, 0.97


class Match(BaseModel):
    """A field and its column's number; -1 for none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    field: str
    column: int


class Meaning(BaseModel):
    """What an unknown value (by its number) of a list field means."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    field: str
    value: int
    means: str


class Answer(BaseModel):
    """Everything a model may say."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    matches: tuple[Match, ...]
    meanings: tuple[Meaning, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Open:
    """What is open in one table: fields with their candidate columns, and unknown values."""

    table: BoundTable
    sheet: SheetPlan
    fields: tuple[TemplateField, ...]
    candidates: dict[str, tuple[tuple[int, float], ...]]  #: field to (column, confidence so far)
    unknown: dict[str, tuple[tuple[str, int], ...]]  #: field to (value, cells)


@dataclass(frozen=True, kw_only=True, slots=True)
class Adviser:
    """The models a run may consult, what they may see and what they may cost."""

    models: Models
    mode: DataMode
    budget: Budget


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggested:
    """The model's repairs, untried, and everything that left the house for them."""

    repairs: tuple[Repair, ...]
    exchanges: tuple[Exchange, ...]
    status: Status
    budget: Budget


def suggest(
    version: PlanVersion,
    tables: Sequence[BoundTable],
    outcome: Outcome,
    *,
    models: Models | None,
    mode: DataMode = DataMode.SHAPES,
    budget: Budget | None = None,
) -> Suggested:
    """One consultation a table that has something open; none where nothing is."""
    budget = budget or Budget()
    if models is None or mode is DataMode.NONE:
        return Suggested(repairs=(), exchanges=(), status=Status.OFF, budget=budget)
    repairs: list[Repair] = []
    exchanges: list[Exchange] = []
    status = Status.ANSWERED
    for table in tables:
        left = _open(version, table, outcome, mode=mode)
        if not left.fields:
            continue
        told = consult(models, question(left, mode=mode), budget=budget)
        budget, status = told.budget, told.status
        exchanges += told.exchanges
        repairs += _repairs(left, told)
    return Suggested(
        repairs=tuple({each.id: each for each in repairs}.values()),
        exchanges=tuple(exchanges),
        status=status,
        budget=budget,
    )


def adviser(settings: Settings) -> Adviser | None:
    """The configured adviser, whose process starts at its first question; None without a model."""
    mode = DataMode(settings.llm_mode)
    if not settings.llm_model or mode is DataMode.NONE:
        return None
    names = [each.strip() for each in settings.llm_model.split(",")]
    child = Child(settings.llm_key.get_secret_value())
    models = Models(names=tuple(filter(None, names)), send=child, url=settings.llm_url)
    return Adviser(models=models, mode=mode, budget=Budget(cost=settings.llm_run_usd))


def question(left: Open, *, mode: DataMode) -> Question[Answer]:
    """What is open, as data between two markers nobody can guess."""
    body = json.dumps(_shown(left, mode=mode), ensure_ascii=False, separators=(",", ":"))
    marker = f"DATA-{secrets.token_hex(8)}"
    system = resources.files("engine").joinpath("prompts/columns.md").read_text("utf-8")
    columns = sorted({at for each in left.candidates.values() for at, _ in each})
    means = sorted({value for field in left.fields for value in field.values})
    return Question(
        system=system,
        user=f"{marker}\n{body}\n{marker}",
        schema=schema_of([field.name for field in left.fields], columns, means),
        form=Answer,
        key=f"{PROMPT_VERSION}\0{body}",
        check=lambda answer: _wrong(left, answer),
    )


def _open(version: PlanVersion, table: BoundTable, outcome: Outcome, *, mode: DataMode) -> Open:
    sheet = version.plan.sheet(table.binding.sheet)
    template = version.template(sheet.template)
    missing = [template.field(name) for name in _missing(sheet, template, table)]
    candidates = _candidates(missing, sheet, table)
    unknown = _unknown(sheet, template, outcome) if mode is DataMode.SAMPLES else {}
    fields = [field for field in missing if candidates.get(field.name)]
    fields += [template.field(name) for name in unknown if name not in candidates]
    return Open(
        table=table, sheet=sheet, fields=tuple(fields), candidates=candidates, unknown=unknown
    )


def _missing(sheet: SheetPlan, template: Template, table: BoundTable) -> list[str]:
    """Fields without a column: those the plan maps, and required ones it does not."""
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


def _candidates(
    missing: Sequence[TemplateField], sheet: SheetPlan, table: BoundTable
) -> dict[str, tuple[tuple[int, float], ...]]:
    """For every open field the free columns that are likeliest, best first."""
    free = [at for at in table.binding.extra if table.staged.source.columns[at]]
    if not missing or not free:
        return {}
    sides = [Side(names=_names(field, sheet), about=field.description) for field in missing]
    headers = [Side(names=(table.staged.source.columns[at],)) for at in free]
    told = scores(sides, headers)
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


def _unknown(
    sheet: SheetPlan, template: Template, outcome: Outcome
) -> dict[str, tuple[tuple[str, int], ...]]:
    """Values of list fields that no map knows."""
    return {
        group.field: group.values
        for each in outcome.sheets
        if each.sheet == sheet.name
        for group in each.groups
        if group.field and template.field(group.field).type is FieldType.ENUM and group.values
        if sheet.mapping(group.field)
    }


def _shown(left: Open, *, mode: DataMode) -> dict[str, Any]:
    profile: Profile = left.table.profile
    used = sorted({at for each in left.candidates.values() for at, _ in each})
    fields = []
    for field in left.fields:
        told: dict[str, Any] = {"name": field.name, "type": field.type.value}
        told |= {"title": field.title, "about": clean(field.description, longest=300)}
        told["candidates"] = [at for at, _ in left.candidates.get(field.name, ())]
        if field.name in left.unknown:
            shown = labels(left.unknown[field.name])
            told["unknown_values"] = [{"value": at, "text": text} for at, text in shown]
        if field.values:
            told["values"] = list(field.values[:100])
        fields.append({key: value for key, value in told.items() if value not in ("", [])})
    return {
        "fields": fields,
        "columns": [column(profile.columns[at], mode=mode) for at in used],
    }


def _wrong(left: Open, answer: Answer) -> str | None:
    """What an answer names that was not offered."""
    offered = {field.name: field for field in left.fields}
    taken: list[int] = []
    for match in answer.matches:
        columns = [at for at, _ in left.candidates.get(match.field, ())]
        if match.field not in offered:
            return f"there is no field {clean(match.field)!r}"
        if match.column != -1 and match.column not in columns:
            return f"column {match.column} is no candidate of {match.field}"
        taken += [match.column] if match.column != -1 else []
    if len(taken) != len(set(taken)):
        return "a column is used for two fields"
    fields = [match.field for match in answer.matches]
    if len(fields) != len(set(fields)):
        return "a field is answered twice"
    for meaning in answer.meanings:
        shown = [at for at, _ in labels(left.unknown.get(meaning.field, ()))]
        known = offered[meaning.field].values if meaning.field in offered else ()
        if meaning.value not in shown or meaning.means not in known:
            return f"value {meaning.value} of {clean(meaning.field)!r} cannot mean that"
    return None


def _repairs(left: Open, told: Told[Answer]) -> Iterable[Repair]:
    if told.answer is None:
        return
    for match in told.answer.matches:
        if match.column != -1:
            prior = dict(left.candidates[match.field])[match.column]
            yield _rebind(left, match, prior=prior, model=told.model)
    for field in left.fields:
        values = {
            left.unknown[field.name][meaning.value][0]: meaning.means
            for meaning in told.answer.meanings
            if meaning.field == field.name
        }
        if values:
            yield _meaning(left, field, values, model=told.model)


def _rebind(left: Open, match: Match, *, prior: float, model: str) -> Repair:
    header = left.table.staged.source.columns[match.column]
    mapping = left.sheet.mapping(match.field)
    change: Change
    if mapping is None or not mapping.columns:
        new = PlanMapping.model_validate({"field": match.field, "from": header})
        change = AddMapping(sheet=left.sheet.name, mapping=new)
    else:
        name = mapping.columns[0].names[0]
        change = AddAlias(sheet=left.sheet.name, field=match.field, header=name, alias=header)
    return Repair(
        id=f"{left.sheet.name}.{match.field}.column-{match.column}",
        kind=RepairKind.REBIND if mapping else RepairKind.COLUMN,
        sheet=left.sheet.name,
        field=match.field,
        changes=(change,),
        summary=f"Feed {match.field} from column {clean(header)!r}",
        evidence=f"{model or 'the model'} chose it; by itself the data says {prior:.2f}",
        confidence=confidence(prior),
        by="model",
    )


def _meaning(left: Open, field: TemplateField, values: dict[str, str], *, model: str) -> Repair:
    shown = ", ".join(f"{clean(old)!r} → {new!r}" for old, new in list(values.items())[:4])
    return Repair(
        id=f"{left.sheet.name}.{field.name}.meanings",
        kind=RepairKind.VALUES,
        sheet=left.sheet.name,
        field=field.name,
        changes=(MapValues(sheet=left.sheet.name, field=field.name, values=values),),
        summary=f"Map {len(values)} values of {field.name}: {shown}",
        evidence=f"{model or 'the model'} thinks so",
        confidence=0.8,
        by="model",
    )


def confidence(prior: float) -> float:
    """The data's odds, raised by the model's word: confidence is computed, never asked."""
    prior = min(max(prior, 0.05), 0.95)
    odds = WORD * prior / (1 - prior)
    return min(CEILING, odds / (1 + odds))
