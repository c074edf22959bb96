"""Scores the matching of columns to fields on tasks with a known truth."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engine.binding import SURE
from engine.binding.score import Model, Near, pair_features, scores
from evals.fit import Sample, fit
from evals.tasks import Task

#: From this confidence on a column counts as bound: the lowest at which both the left-out folds and
#: business exports that taught nothing keep .95 precision and at most .02 false positives.
BOUND = 0.935
FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What was said about one column, and whether it is so."""

    suite: str
    matched: bool  #: the column has a field
    right: bool
    rank: int  #: of the first true field, 0 without one
    sure: float
    by_model: bool = False


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a suite's guesses come to."""

    columns: int
    matched: int
    acc_at_1: float
    mrr: float
    bound: float  #: share of the matched columns that are bound, rightly
    precision: float  #: of the bound ones
    applied: float  #: precision of those that would be applied unasked
    false_positives: float  #: share of the unmatched columns that are bound
    f1: float
    ece: float


def sample(task: Task, *, near: Near | None = None) -> Sample:
    """The task as figures to learn from."""
    truth = np.zeros((len(task.columns), len(task.fields)))
    for column, fields in task.truth.items():
        truth[column, list(fields)] = 1.0
    counted = tuple(at for at in range(len(task.columns)) if at not in task.ignored)
    table = pair_features(task.fields, task.columns, near=near)
    return Sample(table=table, truth=truth, counted=counted)


def guesses(tasks: Sequence[Task], model: Callable[[Task], Model]) -> list[Guess]:
    """The best field of every scored column; `model` may differ by task."""
    return [guess for task in tasks for guess in _guesses(task, model(task))]


def left_out(
    tasks: Sequence[Task], extra: Sequence[Sample], *, near: Near | None = None
) -> Callable[[Task], Model]:
    """For every task the model that learned from the other folds' tasks only."""
    samples = {task.id: sample(task, near=near) for task in tasks}
    models = [
        fit([*(samples[t.id] for t in tasks if _fold(t) != fold), *extra], near=near)
        for fold in range(FOLDS)
    ]
    return lambda task: models[_fold(task)]


def figures(told: Sequence[Guess]) -> Figures:
    """Count the guesses."""
    matched = [each for each in told if each.matched]
    unmatched = [each for each in told if not each.matched]
    bound = [each for each in told if each.sure >= BOUND]
    right = sum(each.right for each in bound)
    precision, recall = right / max(len(bound), 1), right / max(len(matched), 1)
    return Figures(
        columns=len(told),
        matched=len(matched),
        acc_at_1=_mean([each.right for each in matched]),
        mrr=_mean([1 / each.rank for each in matched]),
        bound=recall,
        precision=precision if bound else 1.0,
        applied=_mean([each.right for each in told if each.sure >= SURE]) or 1.0,
        false_positives=_mean([each.sure >= BOUND for each in unmatched]),
        f1=2 * precision * recall / max(precision + recall, 1e-9),
        ece=calibration([(each.sure, each.right) for each in told]),
    )


def calibration(told: Sequence[tuple[float, bool]], *, bins: int = 10) -> float:
    """Expected calibration error: how far confidence is from being right, over equal bins."""
    error = 0.0
    for at in range(bins):
        mine = [each for each in told if min(int(each[0] * bins), bins - 1) == at]
        if mine:
            gap = _mean([sure for sure, _ in mine]) - _mean([right for _, right in mine])
            error += len(mine) / len(told) * abs(gap)
    return error


def _guesses(task: Task, model: Model) -> list[Guess]:
    told = scores(task.fields, task.columns, model=model)
    found = []
    for column in range(len(task.columns)):
        if column in task.ignored:
            continue
        truth = task.truth.get(column, frozenset())
        # As a run takes them: the surest first, by weight where two are equally sure.
        row = told.sure[column] + 1e-6 * told.logits[column]
        best = int(row.argmax())
        found.append(
            Guess(
                suite=task.suite,
                matched=bool(truth),
                right=best in truth,
                rank=1 + min(int((row > row[field]).sum()) for field in truth) if truth else 0,
                sure=float(told.sure[column, best]),
            )
        )
    return found


def _fold(task: Task) -> int:
    return zlib.crc32(task.id.encode()) % FOLDS


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
