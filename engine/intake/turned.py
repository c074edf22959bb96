"""Tables that lie on their side: the names down the first column, a record in each further one."""

from collections import Counter
from collections.abc import Iterator, Sequence

from engine.intake.cells import Cells, shape, trim
from engine.intake.parse import Record
from engine.intake.source import Choice, ReadCode, ReadNote

#: More fields than any record has; and how many rows speak for themselves.
MOST, ENOUGH = 200, 4
NOTE = ReadNote(
    code=ReadCode.TRANSPOSED,
    message="the names stand in the first column: rows are the file's columns",
)


def lies(rows: Sequence[Cells], given: bool | None) -> Choice | None:
    """Whether the rows are fields: `true` or, not surely, `false`; None for a table that stands."""
    if given is not None:
        return _choice(1.0, given=True) if given else None
    rows = [trim(cells) for cells in rows if any(cell.strip() for cell in cells)]
    width = max(map(len, rows), default=0)
    if not (3 <= len(rows) <= MOST and width >= 3 and min(map(len, rows)) >= 2):
        return None
    names = [cells[0].strip() for cells in rows]
    if len({*names}) < len(names) or any(shape(name) != "t" for name in names):
        return None
    along = [_kinds(cells[1:]) for cells in rows]
    down = [_kinds([cells[at] for cells in rows[1:] if at < len(cells)]) for at in range(1, width)]
    # Every row holds one kind of value, of several kinds, and no column does.
    if (
        not all(map(_alike, along))
        or len({max(each, key=lambda k: each[k]) for each in along if each}) < 2
    ):
        return None
    if any(map(_alike, down)):
        return None
    if len(rows) < ENOUGH or width <= ENOUGH - 1:
        return _choice(0.75, value="false")
    return _choice(0.95)


def turned(rows: Sequence[Cells]) -> Iterator[list[str]]:
    """The columns as rows."""
    rows = [cells for cells in rows if any(cell.strip() for cell in cells)]
    for at in range(max(map(len, rows), default=0)):
        yield [cells[at] if at < len(cells) else "" for cells in rows]


def records(rows: Sequence[Cells]) -> Iterator[Record]:
    """The columns as records, numbered as columns."""
    for number, cells in enumerate(turned(rows), 1):
        yield Record(number, 1, cells, ",".join(cells))


def _kinds(cells: Cells) -> Counter[str]:
    kinds = Counter(map(shape, cells))
    del kinds[""]
    return kinds


def _alike(kinds: Counter[str]) -> bool:
    return max(kinds.values(), default=0) >= 0.9 * kinds.total()


def _choice(confidence: float, *, value: str = "true", given: bool = False) -> Choice:
    return Choice(what="transposed", value=value, confidence=confidence, given=given)
