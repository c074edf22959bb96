"""Asks a model about what the passes left open; every answer becomes a Repair to be tried.

The model chooses from column numbers, field names, formats, units and allowed values; nothing it
writes is used in any other way, and nothing it says is applied without the trial and a person.
"""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from engine.binding.bound import BoundTable
from engine.binding.score import Model
from engine.llm import Child
from engine.mapping.advised import advised, confidence
from engine.mapping.answers import Answer, Asked, schema, wrong
from engine.mapping.converse import Budget, Exchange, Models, Question, Status, Told, consult
from engine.mapping.openings import Open, opened, shown
from engine.mapping.shown import DataMode
from engine.outcome import Outcome
from engine.phase import Purse
from engine.profile import ColumnProfile
from engine.proposal import Repair
from engine.settings import Settings
from plans.versions import PlanVersion

__all__ = [
    "Adviser", "Answer", "Asked", "Budget", "DataMode", "Exchange", "Models", "Open", "Status",
    "Suggested", "adviser", "confidence", "question", "suggest",
]  # fmt: skip

PROMPT_VERSION = "advice-1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Adviser:
    """The models a run may consult, what they may see and what they may cost."""

    models: Models
    mode: DataMode
    budget: Budget
    purse: Purse | None = None  #: the partner's day, beside the run's own budget


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
    purse: Purse | None = None,
    known: Sequence[Repair] = (),
    weights: Model | None = None,
) -> Suggested:
    """One consultation a table that has something open; none where nothing is.

    `known`: the data's own repairs; what a likely one sees to is not asked.
    """
    budget = budget or Budget()
    if models is None or mode is DataMode.NONE:
        return Suggested(repairs=(), exchanges=(), status=Status.OFF, budget=budget)
    repairs: list[Repair] = []
    exchanges: list[Exchange] = []
    status = Status.ANSWERED
    for table in tables:
        left = opened(version, table, outcome, mode=mode, known=known, weights=weights)
        if not left.asked:
            continue
        told = consult(
            models,
            question(left.asked, table.profile.columns, mode=mode),
            budget=budget,
            purse=purse,
        )
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


def question(
    asked: Sequence[Asked], columns: Sequence[ColumnProfile], *, mode: DataMode
) -> Question[Answer]:
    """What is open, as data between two markers nobody can guess."""
    body = json.dumps(shown(asked, columns, mode=mode), ensure_ascii=False, separators=(",", ":"))
    marker = f"DATA-{secrets.token_hex(8)}"
    return Question(
        system=resources.files("engine").joinpath("prompts/advice.md").read_text("utf-8"),
        user=f"{marker}\n{body}\n{marker}",
        schema=schema(asked),
        form=Answer,
        key=f"{PROMPT_VERSION}\0{mode}\0{body}",
        check=lambda answer: wrong(asked, answer),
    )


def _repairs(left: Open, told: Told[Answer]) -> tuple[Repair, ...]:
    return tuple(advised(left, told.answer, model=told.model)) if told.answer else ()
