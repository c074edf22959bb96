"""Scores re-mapping on real drift: public address files whose headers changed, and the new mapping."""

import json
import lzma
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.binding.learned import Learned, learn
from engine.binding.memory import Remembered, Scope, Trust
from engine.binding.pairs import Side
from engine.binding.score import Model, Near, pair_features, scores
from evals.fit import Sample, fit

FOLDS = 5
#: Names of the fields as a template would have them.
_FIELDS = {
    "number": ("number", "house number"), "street": ("street", "street name"),
    "unit": ("unit", "apartment"), "city": ("city", "town"), "district": ("district", "county"),
    "region": ("region", "state"), "postcode": ("postcode", "zip code"), "id": ("id",),
}  # fmt: skip

Confirmed = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One file that changed: what fed its fields before, and which new column feeds them now."""

    source: str
    fields: tuple[str, ...]
    sides: tuple[Side, ...]
    columns: tuple[str, ...]
    truth: dict[str, frozenset[str]]
    changed: tuple[str, ...]


def events(folder: Path) -> list[Event]:
    """Every event with two or more columns to choose from."""
    found = [_event(raw) for path in folder.rglob("events.jsonl.xz") for raw in _lines(path)]
    return [each for each in found if len(each.columns) > 1 and each.changed]


def confirmed(folder: Path) -> Confirmed:
    """What maintainers confirmed, by source: (field, header)."""
    found: dict[str, set[tuple[str, str]]] = {}
    for path in folder.rglob("static.jsonl.xz"):
        for raw in _lines(path):
            source = raw["id"].partition("/")[2].partition("#")[0]
            found.setdefault(source, set()).update((f, c) for c, f in raw["truth"])
    for path in folder.rglob("events.jsonl.xz"):
        for raw in _lines(path):
            pairs = {(f, c) for side in ("before", "after") for f, (_, cs) in raw[side].items()
                     for c in cs}  # fmt: skip
            found.setdefault(raw["source"], set()).update(pairs)
    return {source: sorted(pairs) for source, pairs in found.items()}


def merged(known: Sequence[Confirmed]) -> Confirmed:
    """What several folders confirm, together."""
    every = {source for each in known for source in each}
    return {s: sorted({pair for each in known for pair in each.get(s, ())}) for s in sorted(every)}


def dictionaries(known: Confirmed) -> list[Learned]:
    """For every fold of sources what all other sources confirmed."""
    return [learn(_memory(known, at), template="addresses") for at in range(FOLDS)]


def samples(
    told: Sequence[Event],
    learned: Sequence[Learned],
    *,
    weight: float,
    near: Near | None = None,
) -> list[Sample]:
    """The events as figures to learn from."""
    found = []
    for each in told:
        truth = np.array(
            [[column in each.truth.get(f, ()) for f in each.fields] for column in each.columns],
            dtype=float,
        )
        known = learned[fold(each.source)]
        table = pair_features(each.sides, _columns(each), learned=known, near=near)
        counted = tuple(range(len(each.columns)))
        found.append(Sample(table=table, truth=truth, counted=counted, weight=weight))
    return found


def remapped(
    told: Sequence[Event], model: Sequence[Model], learned: Sequence[Learned] | None
) -> float:
    """Share of changed fields whose new column is found."""
    right = total = 0
    for each in told:
        at = fold(each.source)
        found = scores(
            each.sides, _columns(each), learned=learned[at] if learned else None, model=model[at]
        )
        for field in each.changed:
            best = int(found.sure[:, each.fields.index(field)].argmax())
            right += each.columns[best] in each.truth[field]
            total += 1
    return right / max(total, 1)


def models(
    told: Sequence[Event],
    made: Sequence[Sample],
    others: Sequence[Sample],
    *,
    near: Near | None = None,
) -> list[Model]:
    """For every fold of sources the model that has not seen its events."""
    return [
        fit(
            [*(s for e, s in zip(told, made, strict=True) if fold(e.source) != at), *others],
            near=near,
        )
        for at in range(FOLDS)
    ]


def fold(source: str) -> int:
    """Which part a source belongs to, the same in every run."""
    return zlib.crc32(source.encode()) % FOLDS


def _lines(path: Path) -> list[dict[str, Any]]:
    with lzma.open(path, "rt") as text:
        return [json.loads(line) for line in text]


def _memory(known: Confirmed, left_out: int) -> Iterable[Remembered]:
    return (
        Remembered(
            template="addresses",
            field=field,
            headers=(header,),
            shape="",
            scope=Scope.PARTNER,
            trust=Trust.HUMAN,
        )
        for source, pairs in known.items()
        if fold(source) != left_out
        for field, header in pairs
    )


def _event(raw: dict[str, Any]) -> Event:
    before, after = raw["before"], raw["after"]
    fields = tuple(sorted({*before, *after}))
    truth = {field: frozenset(columns) for field, (_, columns) in after.items() if columns}
    sides = tuple(
        Side(names=(*before.get(f, ("", []))[1], *_FIELDS.get(f, (f,))), key=f) for f in fields
    )
    return Event(
        source=raw["source"],
        fields=fields,
        sides=sides,
        columns=tuple(sorted({column for each in truth.values() for column in each})),
        truth=truth,
        changed=tuple(field for field in raw["changed"] if field in truth and field in fields),
    )


def _columns(event: Event) -> list[Side]:
    return [Side(names=(column,)) for column in event.columns]
