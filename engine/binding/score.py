"""One calibrated confidence for "this column feeds this field", from everything that speaks for it.

Two logistic models whose weights `evals/fit.py` learns from public mapping tasks: the first weighs
a pair by itself, the second asks how far it is ahead of its rivals.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process

from engine.binding.learned import Learned, support
from engine.binding.pairs import FEATURES, NOTHING, Side, features, in_company, weights
from engine.binding.similar import similarity
from engine.binding.vectors import installed
from engine.binding.vectors import near as near_by_vectors
from engine.settings import Settings, SettingsInvalid

#: A pair of names this unlike, with nothing remembered, is not worth weighing in a large schema.
NEAREST = 20
#: Above this many pairs only the nearest are weighed.
MANY = 20_000
_FAR = -12.0
#: A lead says no more beyond this: the twentieth street, city and country of a file are as clear as
#: an only one. Far behind stays far behind.
AHEAD, BEHIND = 2.0, -4.0
#: What the weights of word vectors go by.
NEAR = "near"
#: Two fields this close for one column are equals.
TIE = 0.02

Matrix = NDArray[np.float64]
Near = Callable[[Sequence[Side], Sequence[Side]], Matrix]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """Weights of the two models; the last one of each is the bias."""

    pair: tuple[float, ...]
    final: tuple[float, ...]
    near: Near | None = None  #: one more figure of a pair, weighed after `FEATURES`


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """Columns by fields: how much speaks for each pair, and how sure it is beside its rivals."""

    logits: Matrix
    sure: Matrix


@lru_cache(maxsize=1)
def shipped() -> Model:
    """The weights that come with the product."""
    return _read("weights.json", FEATURES)


def chosen(settings: Settings) -> Model:
    """The weights these settings ask for; SettingsInvalid when `reknit[embed]` is not installed."""
    if not settings.embed:
        return shipped()
    if not installed():
        raise SettingsInvalid("REKNIT_EMBED: install the extra first: pip install 'reknit[embed]'")
    return embedded()


@lru_cache(maxsize=1)
def embedded() -> Model:
    """The weights for those who installed `reknit[embed]`: word vectors are one more figure."""
    return replace(_read("weights_embed.json", (*FEATURES, NEAR)), near=near_by_vectors)


def scores(
    fields: Sequence[Side],
    columns: Sequence[Side],
    *,
    fits: Sequence[Sequence[float | None]] | None = None,
    learned: Learned | None = None,
    model: Model | None = None,
) -> Scores:
    """Weigh every column against every field."""
    model = model or shipped()
    if not fields or not columns:
        empty = np.zeros((len(columns), len(fields)))
        return Scores(logits=empty, sure=empty)
    table = pair_features(fields, columns, fits=fits, learned=learned, near=model.near)
    logits = table @ np.array(model.pair[:-1]) + model.pair[-1]
    figures = final_features(logits)
    sure = _logistic(figures @ np.array(model.final))
    # The tasks hardly have ties, so the model never learned that of two equals neither is sure.
    tied = np.abs(figures[..., 1]) < TIE
    return Scores(logits=logits, sure=np.where(tied, np.minimum(sure, 0.5), sure))


def pair_features(
    fields: Sequence[Side],
    columns: Sequence[Side],
    *,
    fits: Sequence[Sequence[float | None]] | None = None,
    learned: Learned | None = None,
    near: Near | None = None,
) -> Matrix:
    """Columns by fields by `FEATURES` and `near`; far pairs of a large schema stay all zero."""
    headers = [column.names[0] if column.names else "" for column in columns]
    fields, columns = in_company(fields), in_company(columns)
    weigh = weights([*fields, *columns])
    table = np.zeros((len(columns), len(fields), len(FEATURES)))
    close = _close(fields, columns)
    for c, column in enumerate(columns):
        known = support(learned, headers[c]) if learned and headers[c] else {}
        for f, field in enumerate(fields):
            remembered = known.get(field.key, NOTHING)
            if close is None or f in close[c] or remembered.header or remembered.words > 0.2:
                fit = fits[c][f] if fits else None
                table[c, f] = features(field, column, weigh=weigh, fits=fit, memory=remembered)
    if near is None:
        return table
    weighed = table.any(axis=-1, keepdims=True)
    return np.concatenate([table, near(fields, columns)[..., None] * weighed], axis=-1)


def final_features(logits: Matrix) -> Matrix:
    """Per pair: its logit, its lead over the column's other fields and the field's other columns."""
    lead = np.clip(_lead(logits), BEHIND, AHEAD)
    rivals = np.clip(_lead(logits.T).T, BEHIND, AHEAD)
    return np.stack([logits, lead, rivals, np.ones_like(logits)], axis=-1)


def nearest(name: str, among: Sequence[str], *, limit: int = NEAREST) -> list[int]:
    """Indexes of the closest names: candidates for a closer look."""
    found = process.extract(name, among, scorer=_similar, limit=limit)
    return [at for _, _, at in found]


def _similar(left: str, right: str, **_: object) -> float:
    return 100 * similarity(left, right)


def _close(fields: Sequence[Side], columns: Sequence[Side]) -> list[set[int]] | None:
    if len(fields) * len(columns) <= MANY:
        return None
    names = [max(field.names, key=len, default="") for field in fields]
    return [set(nearest(column.names[0], names)) if column.names else set() for column in columns]


def _read(name: str, figures: Sequence[str]) -> Model:
    raw = json.loads(resources.files("engine.binding").joinpath(name).read_text("utf-8"))
    pair = (*(raw["pair"][each] for each in figures), raw["pair"]["bias"])
    return Model(pair=pair, final=tuple(raw["final"]))


def _lead(logits: Matrix) -> Matrix:
    """How far each entry is ahead of the best other one in its row."""
    if logits.shape[1] == 1:
        return logits - _FAR
    order = np.sort(logits, axis=1)
    best, second = order[:, -1:], order[:, -2:-1]
    return logits - np.where(logits == best, second, best)


def _logistic(values: Matrix) -> Matrix:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -30, 30))), dtype=np.float64)
