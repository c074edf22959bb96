"""Pollock's ten measures for one file, and two of our own: cell-exact rows and perfect files.

Pollock compares bags of cells and of records joined to one text, case and number format ignored;
a shifted column scores full marks there. `exact` and `perfect` do not forgive that.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Row = Sequence[str]
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """What a reader made of a file; the header is empty where there is none."""

    header: Row
    rows: Sequence[Row]
    why: str = ""  #: what the reader itself says of its reading
    asks: bool = False  #: whether it would rather be told how to read the file


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """All measures of one file, each 0..1."""

    success: float = 0.0
    header: tuple[float, float, float] = (0.0, 0.0, 0.0)
    record: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cell: tuple[float, float, float] = (0.0, 0.0, 0.0)
    exact: float = 0.0
    perfect: float = 0.0

    @property
    def pollock(self) -> float:
        """The sum of the ten, 10 at best."""
        return self.success + sum(self.header) + sum(self.record) + sum(self.cell)


def score(clean: Table, loaded: Table | None) -> Score:
    """Compare what was loaded (None: an error) with the clean table."""
    if loaded is None:
        return Score()
    rows = [tuple(each) for each in loaded.rows]
    truth = [tuple(each) for each in clean.rows]
    return Score(
        success=1.0,
        header=_overlap(map(_normal, clean.header), map(_normal, loaded.header)),
        record=_overlap(map(_joined, truth), map(_joined, rows)),
        cell=_overlap(
            (_normal(cell) for row in truth for cell in row),
            (_normal(cell) for row in rows for cell in row),
        ),
        exact=_overlap(truth, rows)[2],
        perfect=float(rows == truth and (not clean.header or [*loaded.header] == [*clean.header])),
    )


def mean(scores: Sequence[Score], weights: Sequence[float] | None = None) -> float:
    """Mean Pollock sum; weighted when weights are given."""
    weights = weights or [1.0] * len(scores)
    total = sum(each.pollock * weight for each, weight in zip(scores, weights, strict=True))
    return total / sum(weights)


def _overlap(truth: Iterable[object], loaded: Iterable[object]) -> tuple[float, float, float]:
    expected, found = Counter(truth), Counter(loaded)
    if not expected:
        return 1.0, 1.0, 1.0
    common = (expected & found).total()
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / expected.total(), common / found.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def _normal(cell: str) -> str:
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        return str(int(text)) if "." not in text else str(float(text))
    return cell.lower()


def _joined(row: Row) -> str:
    return "".join(_normal(cell) or "null" for cell in row)
