"""Scores the same tasks with a model's word on what stays unsure; only where somebody configures one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from engine.binding.score import Model, Scores, scores
from engine.mapping import Answer, Asked, Budget, DataMode, Models, Status, confidence, question
from engine.mapping.converse import consult
from engine.profile import ColumnProfile, of_values
from evals.mapping import BOUND, Guess
from evals.tasks import Task
from plans.template import TemplateField

CANDIDATES = 12
PATIENT = Budget(calls=3, prompt_tokens=40_000, output_tokens=2_000, cost=1.0, seconds=300.0)


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What asking came to."""

    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    unanswered: int = 0


def asked(
    tasks: Iterable[Task], model: Model, models: Models, *, mode: DataMode
) -> tuple[list[Guess], Spent]:
    """One question a task about its unsure columns; guesses with the model's word weighed in."""
    found: list[Guess] = []
    spent = Spent()
    for task in tasks:
        told = scores(task.fields, task.columns, model=model)
        answer = consult(
            models, question(_asked(task, told), _profiles(task), mode=mode), budget=PATIENT
        )
        spent = Spent(
            calls=spent.calls + len(answer.exchanges),
            prompt_tokens=spent.prompt_tokens + sum(e.prompt_tokens for e in answer.exchanges),
            output_tokens=spent.output_tokens + sum(e.output_tokens for e in answer.exchanges),
            cost=spent.cost + sum(e.cost or 0.0 for e in answer.exchanges),
            unanswered=spent.unanswered + (answer.status not in (Status.ANSWERED, Status.CACHED)),
        )
        chosen = _chosen(answer.answer)
        found += [_guess(task, told, at, chosen.get(at)) for at in range(len(task.columns))]
    return found, spent


def _asked(task: Task, told: Scores) -> tuple[Asked, ...]:
    """The unsure columns as the product asks about them: every field with its likeliest columns."""
    unsure = [at for at in range(len(task.columns)) if told.sure[at].max() < BOUND]
    candidates: dict[int, list[tuple[int, float]]] = {}
    for at in unsure:
        for field in told.logits[at].argsort()[::-1][:CANDIDATES]:
            candidates.setdefault(int(field), []).append((at, float(told.sure[at, field])))
    return tuple(
        Asked(
            field=TemplateField(name=f"f{field}", title=" / ".join(task.fields[field].names)),
            candidates=tuple(sorted(columns, key=lambda each: -each[1])[:CANDIDATES]),
        )
        for field, columns in sorted(candidates.items())
    )


def _profiles(task: Task) -> tuple[ColumnProfile, ...]:
    """The columns as a profile tells them; one without samples is known by its name alone."""
    bare = of_values([(each.names[0], []) for each in task.columns])
    return tuple(replace(each.values or bare[at], index=at) for at, each in enumerate(task.columns))


def _chosen(answer: Answer | None) -> dict[int, int]:
    matches = answer.matches if answer else ()
    return {each.column: int(each.field[1:]) for each in matches if each.field[1:].isdigit()}


def _guess(task: Task, told: Scores, at: int, word: int | None) -> Guess:
    row = told.sure[at].copy()
    if word is not None and word < len(row):
        row[word] = max(confidence(float(row[word])), float(np.max(row)) + 1e-6)
    best = int(row.argmax())
    truth = task.truth.get(at, frozenset())
    rank = 1 + min(int((row > row[field]).sum()) for field in truth) if truth else 0
    return Guess(
        suite=task.suite,
        matched=bool(truth),
        right=best in truth,
        rank=rank,
        sure=min(float(row[best]), 1.0),
    )
