"""What the columns are called by the rows that name them, and what is odd about that."""

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, groupby, pairwise

from engine.intake.cells import Cells, shape, trim
from engine.intake.source import ReadCode, ReadNote, told


def columns_of(header: Sequence[Cells], width: int) -> tuple[str, ...]:
    """Header cells as they stand; of several rows joined with a space, merged titles repeated, and a
    name that only some columns have in two rows taken once.
    """
    if not header:
        return ("",) * width
    filled = [
        spread(row, width) if at < len(header) - 1 else _pad(row, width)
        for at, row in enumerate(header)
    ]
    if len(filled) == 1:
        return tuple(filled[0])
    columns = [
        [part.strip() for part in parts if part.strip()] for parts in zip(*filled, strict=True)
    ]
    if any(len({*parts}) > 1 for parts in columns):
        columns = [[part for part, _ in groupby(parts)] for parts in columns]
    return tuple(map(" ".join, columns))


def fitted(row: Cells, body: Sequence[Cells], width: int) -> Cells:
    """Header cells without the one nameless cell too many, or with the one that is missing above
    row numbers or row names.
    """
    cells = trim(row)
    nameless = [at for at, cell in enumerate(cells) if not cell.strip()]
    if len(cells) == width + 1 and len(nameless) == 1:
        return [*cells[: nameless[0]], *cells[nameless[0] + 1 :]]
    if len(row) == width - 1 and not nameless and _rows_named(body, width):
        return ["", *cells]
    return cells


def _rows_named(body: Sequence[Cells], width: int) -> bool:
    """Whether the first column counts or names the rows, and the last one is no end of lines."""
    full = [cells for cells in body if len(cells) == width][:50]
    first = [cells[0].strip() for cells in full]
    if len(first) < 2 or not all(cells[-1].strip() for cells in full):
        return False
    if all(shape(each) == "t" for each in first):
        return len(set(first)) == len(first) and len(full) == len(body[:50])
    if not all(each.isdecimal() and len(each) < 10 for each in first):
        return False
    start = int(first[0])
    return start in (0, 1) and [int(each) for each in first] == [*range(start, start + len(first))]


def _pad(row: Cells, width: int) -> list[str]:
    return [*row[:width], *[""] * (width - len(row))]


def spread(row: Cells, width: int) -> list[str]:
    """Merged titles repeated over the columns they span, unless the row repeats them itself."""
    cells = _pad(row, width)
    if any(cell.strip() and cell == after for cell, after in pairwise(cells)):
        return cells
    found = accumulate(cells, lambda last, cell: cell if cell.strip() else last, initial="")
    return [*found][1:]


def notes_of(header: tuple[int, ...], columns: tuple[str, ...]) -> list[ReadNote]:
    """What is odd about a header of these rows."""
    if not header:
        return [ReadNote(code=ReadCode.NO_HEADER, message="the first row is data")]
    row, rows = header[0] + 1, len(header)
    empty = sum(not name.strip() for name in columns)
    counts = Counter(name for name in columns if name.strip())
    twice = [name for name, count in counts.items() if count > 1]
    shown = ", ".join(f"`{name}`" for name in twice[:10])
    joined = f"{rows} rows joined into one header"
    return [
        *([ReadNote(code=ReadCode.MULTI_ROW_HEADER, message=joined, row=row)] if rows > 1 else []),
        *told(
            (ReadCode.EMPTY_HEADER, empty, f"{empty} columns without a name", row),
            (ReadCode.DUPLICATE_HEADER, len(twice), f"columns of one name: {shown}", row),
        ),
    ]
