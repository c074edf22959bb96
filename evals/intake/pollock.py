"""Scores every reader on a folder with `csv/` and `clean/` (and `parameters/`, weights if there)."""

import csv
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.intake.readers import others, reknit
from evals.intake.score import Score, Table, mean, score


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """One reader on one folder."""

    reader: str
    scores: Mapping[str, Score]
    weights: Mapping[str, float]
    tables: Mapping[str, Table | None] = field(default_factory=dict)  #: of ours alone

    @property
    def simple(self) -> float:
        """Mean over files."""
        return mean(list(self.scores.values()))

    @property
    def weighted(self) -> float:
        """Mean weighted by how often each kind of trouble occurs; simple without weights."""
        names = list(self.scores)
        return (
            mean([self.scores[n] for n in names], [self.weights.get(n, 0.0) for n in names])
            if self.weights
            else self.simple
        )

    @property
    def perfect(self) -> int:
        """Files read cell by cell as they are meant."""
        return sum(each.perfect == 1 for each in self.scores.values())

    def part(self, name: str) -> float:
        """Mean F1 of header, record or cell; or mean of exact and success."""
        values = [getattr(each, name) for each in self.scores.values()]
        return sum(v[2] if isinstance(v, tuple) else v for v in values) / len(values)


def evaluate(folder: Path, *, peers: bool = True) -> list[Result]:
    """Read every file with every reader and score it."""
    paths = sorted((folder / "csv").iterdir())
    given = {path.name: _parameters(folder, path.name) for path in paths}
    clean = {path.name: _clean(folder, path.name, given[path.name]) for path in paths}
    weights = _weights(folder)
    with tempfile.TemporaryDirectory() as work:
        loaded = reknit(paths, Path(work))
    results = [
        Result(
            reader="reknit",
            scores={n: score(clean[n], loaded[n]) for n in clean},
            weights=weights,
            tables=loaded,
        )
    ]
    for name, reader in others().items() if peers else ():
        scores = {}
        for path in paths:
            try:
                table: Table | None = reader(path, given[path.name])
            except Exception:  # noqa: BLE001 - a reader that fails scores nothing
                table = None
            scores[path.name] = score(clean[path.name], table)
        results.append(Result(reader=name, scores=scores, weights=weights))
    return results


def shapes(result: Result) -> dict[str, tuple[int, float, int]]:
    """By kind of trouble: files, mean Pollock sum, perfect files."""
    groups: dict[str, list[Score]] = defaultdict(list)
    for name, each in result.scores.items():
        groups[_shape(name)].append(each)
    return {
        shape: (len(each), mean(each), sum(s.perfect == 1 for s in each))
        for shape, each in sorted(groups.items())
    }


def wrong(result: Result) -> list[str]:
    """The files read wrong, worst first: name, Pollock sum, cell-exact share, what was noted."""
    found = sorted(
        (each.pollock, name, each) for name, each in result.scores.items() if each.perfect < 1
    )
    return [
        f"{total:6.3f}  {each.exact:.3f}  {name}  {table.why if table else 'refused'}"
        for total, name, each in found
        for table in [result.tables.get(name)]
    ]


#: Findings that tell of rows whose shape was doubtful.
_TELLS = ("broken_rows", "ragged_rows", "stray_quotes")


def calibration(result: Result) -> dict[str, tuple[int, int]]:
    """Files it would ask about, those it has findings on, the others: how many, how many wrong."""
    told = {"asked": (0, 0), "told": (0, 0), "silent": (0, 0)}
    for name, each in result.scores.items():
        table = result.tables.get(name)
        found = table is None or any(code in table.why for code in _TELLS)
        kind = "asked" if table and table.asks else "told" if found else "silent"
        files, bad = told[kind]
        told[kind] = files + 1, bad + (each.cell[2] < 1 or each.header[2] < 1)
    return told


def _shape(name: str) -> str:
    stem = name.rsplit(".", 1)[0]
    return (
        re.sub(r"_?\d+(_.*)?$", "", stem)
        if stem.startswith("row")
        else re.sub(r"_0x.*|_\d+$", "", stem)
    )


def _clean(folder: Path, name: str, given: Mapping[str, Any]) -> Table:
    with (folder / "clean" / name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if given.get("header_lines", 1) == 0:
        return Table(header=[], rows=rows)
    return Table(header=rows[0] if rows else [], rows=rows[1:])


def _parameters(folder: Path, name: str) -> dict[str, Any]:
    path = folder / "parameters" / f"{name}_parameters.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _weights(folder: Path) -> dict[str, float]:
    for path in (folder / "pollock_weights.json", folder.parent / "pollock_weights.json"):
        if path.exists():
            return json.loads(path.read_text())
    return {}
