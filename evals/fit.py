"""Learns the weights of `engine.binding.score` from public tasks: logistic regression, two steps."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.binding.pairs import FEATURES
from engine.binding.score import Matrix, Model, Near, final_features

#: The open tasks carry no field types, so what types tell is set by hand.
BY_HAND = {"fits": 1.0, "misfits": -4.0}
#: Share of the fields that is left when some are taken away, in percent, and what such a task weighs:
#: real files have many columns without a field, the open tasks have few.
LEFT, THINNED = (67, 50, 50, 33), 0.15
#: How strongly weights are held back: what tells much in these suites must not tell too much in others.
HELD, HELD_FINAL = 4.0, 0.1
#: So many of a column's best fields teach the second model: the first is not always the right one.
TOP = 3


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One task as figures: columns by fields by features, and which pairs are true."""

    table: Matrix
    truth: Matrix
    counted: tuple[int, ...]  #: columns that are scored
    weight: float = 1.0


def fit(samples: Sequence[Sample], *, near: Near | None = None) -> Model:
    """Both models; the second also sees tasks with fields taken away, so that it can abstain."""
    rows = [
        sample.table[list(sample.counted)].reshape(-1, sample.table.shape[-1]) for sample in samples
    ]
    true = [sample.truth[list(sample.counted)].ravel() for sample in samples]
    weight = [np.full(len(each), sample.weight) for each, sample in zip(true, samples, strict=True)]
    pair = _logistic_fit(np.vstack(rows), np.concatenate(true), np.concatenate(weight), l2=HELD)
    pair = _by_hand(pair)
    tops = [_top(each, pair) for sample in samples for each in (sample, *_thinned(sample))]
    figures = np.vstack([each[0] for each in tops])
    right = np.concatenate([each[1] for each in tops])
    counts = np.concatenate([each[2] for each in tops])
    final = _logistic_fit(figures[:, :-1], right, counts, l2=HELD_FINAL)
    return Model(pair=tuple(pair.tolist()), final=tuple(final.tolist()), near=near)


def _top(sample: Sample, pair: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """For each scored column its best fields: final features, whether it is right, weight."""
    logits = sample.table @ pair[:-1] + pair[-1]
    figures = final_features(logits)
    columns = np.array(sample.counted, dtype=int)
    best = np.argsort(-logits[columns], axis=1)[:, :TOP].ravel()
    rows = columns.repeat(min(TOP, logits.shape[1]))
    return figures[rows, best], sample.truth[rows, best], np.full(len(rows), sample.weight)


def _thinned(sample: Sample) -> list[Sample]:
    """The task without some of its fields: their columns have no match any more."""
    fields = range(sample.table.shape[1])
    found = []
    for turn, share in enumerate(LEFT):
        kept = [at for at in fields if zlib.crc32(f"t{turn}.{at}".encode()) % 100 < share]
        if kept:
            found.append(
                Sample(
                    table=sample.table[:, kept],
                    truth=sample.truth[:, kept],
                    counted=sample.counted,
                    weight=sample.weight * THINNED,
                )
            )
    return found


def _by_hand(pair: Matrix) -> Matrix:
    pair = pair.copy()
    for name, value in BY_HAND.items():
        pair[FEATURES.index(name)] = value
    return pair


def _logistic_fit(figures: Matrix, true: Matrix, weight: Matrix, *, l2: float) -> Matrix:
    """Newton's method on the regularised likelihood; the bias is the last weight."""
    table = np.hstack([figures, np.ones((len(figures), 1))])
    shrink = np.r_[np.full(table.shape[1] - 1, l2), 1e-6]
    weights = np.zeros(table.shape[1])
    for _ in range(60):
        likely = 1 / (1 + np.exp(-np.clip(table @ weights, -30, 30)))
        slope = table.T @ (weight * (likely - true)) + shrink * weights
        curve = (table * (weight * likely * (1 - likely))[:, None]).T @ table + np.diag(shrink)
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < 1e-7:
            break
    return np.asarray(weights, dtype=np.float64)
