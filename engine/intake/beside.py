"""Tables side by side in one sheet or file: which columns each one has, where that is beyond doubt."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from engine.intake import table
from engine.intake.cells import Cells, shape
from engine.intake.parse import Record
from engine.intake.source import ReadCode, ReadNote
from plans.plan import Read

Span = tuple[int, int]


def spans(rows: Sequence[Cells], read: Read) -> tuple[Span, ...]:
    """First column and end of each table; none where all may be one table with an empty column.

    Each needs names of its own over rows of its own, and they have to differ in where they begin
    or end, or to be named alike: a report with a gap between its years is one table.
    """
    if read.header_row or read.first_row or read.last_row or read.transposed:
        return ()
    used = sorted({at for cells in rows for at, cell in enumerate(cells) if cell.strip()})
    runs = groupby(enumerate(used), key=lambda pair: pair[1] - pair[0])
    groups = [[at for _, at in run] for _, run in runs]
    found = tuple((group[0], group[-1] + 1) for group in groups)
    if len(found) < 2 or any(end - start < 2 for start, end in found):
        return ()
    tables = [_extent([cells[start:end] or [""] for cells in rows]) for start, end in found]
    if not all(tables) or not _apart([each for each in tables if each]):
        return ()
    return found


def cut(records: Sequence[Record], span: Span) -> Iterator[Record]:
    """The records of one of the tables."""
    start, end = span
    return (each._replace(cells=each.cells[start:end] or [""]) for each in records)


def note(span: Span, others: Sequence[Span]) -> ReadNote:
    """Where this table stands, and where the others."""
    told = ", ".join(_letters(each) for each in others if each != span)
    message = f"a table of columns {_letters(span)}; beside it others: {told}"
    return ReadNote(code=ReadCode.OTHER_TABLE, message=message, count=len(others) - 1)


Extent = tuple[tuple[str, ...], int, int]


def _extent(rows: Sequence[Cells]) -> Extent | None:
    """Names, last row of the header and last row of what may be a table, keyed by its first column."""
    region = table.find(rows, Read())
    body = [at for at in range(region.first, len(rows)) if any(map(str.strip, rows[at]))]
    names = tuple(each.strip() for each in region.columns)
    if not region.header or region.end is not None or len(body) < 2:
        return None
    if "" in names or any(shape(name) != "t" for name in names) or len({*names}) < len(names):
        return None
    if len(body) < 0.9 * (body[-1] + 1 - region.first):
        return None
    keys = [rows[at][0].strip() for at in body]
    if "" in keys or (len({*keys}) < len(keys) and any(shape(key) != "t" for key in keys)):
        return None
    return names, region.header[-1], body[-1]


def _apart(tables: Sequence[Extent]) -> bool:
    names, tops, ends = (set(each) for each in zip(*tables, strict=True))
    least = max(2, 0.2 * (max(ends) - min(tops)))
    return len(names) == 1 or len(tops) > 1 or max(ends) - min(ends) >= least


def _letters(span: Span) -> str:
    """Columns as a spreadsheet calls them."""
    return " to ".join(_letter(at) for at in (span[0], span[1] - 1))


def _letter(at: int) -> str:
    before, last = divmod(at, 26)
    return (_letter(before - 1) if before else "") + chr(65 + last)
