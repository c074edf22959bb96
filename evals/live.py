"""Scores the same tasks with a model's word on what stays unsure: live, or as it was recorded."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import monotonic

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
    """What asking came to. `unanswered`: tasks without a usable answer, `left`: not asked in time."""

    tasks: int = 0
    unanswered: int = 0
    left: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0


def asked(
    tasks: Iterable[Task],
    model: Model,
    models: Models,
    *,
    mode: DataMode = DataMode.SHAPES,
    budget: Budget = PATIENT,
    seconds: float = float("inf"),
) -> tuple[list[Guess], Spent]:
    """One question a task about its unsure columns; guesses with the model's word weighed in."""
    found: list[Guess] = []
    spent, ends = Spent(), monotonic() + seconds
    for task in tasks:
        told = scores(task.fields, task.columns, model=model)
        unsure = open_fields(task, told)
        if not unsure:
            found += _guesses(task, told, None)
            continue
        if monotonic() >= ends:
            spent = replace(spent, left=spent.left + 1)
            continue
        # Every task is a run of its own: earlier failures are no reason not to ask.
        models.failures.clear()
        models.opened.clear()
        answer = consult(models, question(unsure, profiles(task), mode=mode), budget=budget)
        spent = Spent(
            tasks=spent.tasks + 1,
            unanswered=spent.unanswered + (answer.status not in (Status.ANSWERED, Status.CACHED)),
            left=spent.left,
            calls=spent.calls + len(answer.exchanges),
            prompt_tokens=spent.prompt_tokens + sum(e.prompt_tokens for e in answer.exchanges),
            output_tokens=spent.output_tokens + sum(e.output_tokens for e in answer.exchanges),
            cost=spent.cost + sum(e.cost or 0.0 for e in answer.exchanges),
        )
        found += _guesses(task, told, answer.answer)
    return found, spent


def open_fields(task: Task, told: Scores) -> tuple[Asked, ...]:
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


def profiles(task: Task) -> tuple[ColumnProfile, ...]:
    """The columns as a profile tells them; one without samples is known by its name alone."""
    bare = of_values([(each.names[0], []) for each in task.columns])
    return tuple(replace(each.values or bare[at], index=at) for at, each in enumerate(task.columns))


def _guesses(task: Task, told: Scores, answer: Answer | None) -> list[Guess]:
    chosen = {each.column: int(each.field[1:]) for each in (answer.matches if answer else ())}
    return [
        _guess(task, told, at, chosen.get(at))
        for at in range(len(task.columns))
        if at not in task.ignored
    ]


def _guess(task: Task, told: Scores, at: int, word: int | None) -> Guess:
    row = told.sure[at].copy()
    # Ranks stay those of the logits, but for the one the model chose.
    ranks = told.logits[at].copy()
    best = int(ranks.argmax())
    if word is not None:
        row[word] = confidence(float(row[word]))
        ranks[word] = float(np.max(ranks)) + 1e-6
        best = word
    truth = task.truth.get(at, frozenset())
    rank = 1 + min(int((ranks > ranks[field]).sum()) for field in truth) if truth else 0
    return Guess(
        suite=task.suite,
        matched=bool(truth),
        right=best in truth,
        rank=rank,
        sure=min(float(row[best]), 1.0),
        by_model=word is not None,
    )
