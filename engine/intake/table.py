"""Where the table is: lines above it, its header, its first record, what stands below it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine.intake.source import Choice, ReadCode, ReadNote
from plans.plan import Read

_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,'\u2019 ]*%?\)?[$€£¥]?|[-+]?\d*\.?\d+[eE][-+]?\d+")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d)?.*")
_OTHER = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+|(?i:true|false|yes|no|null|n/a)|-")
_TOTAL = re.compile(r"(?i)\W*(grand\s+|sub\s?)?(total|sum|summe|gesamt|totals|totale|итого|合计)\b")

Cells = Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Indexes into the sampled records."""

    header: tuple[int, ...]
    first: int
    width: int
    columns: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    notes: tuple[ReadNote, ...] = ()


def find(rows: Sequence[Cells], read: Read) -> Region:
    """The region of the table among the first records of a file or sheet."""
    width = _width(rows)
    top = _top(rows, width)
    given = read.header_row is not None or read.has_header is not None or read.first_row is not None
    if read.header_row is not None:
        top = read.header_row - 1
    elif read.first_row is not None and read.has_header is False:
        top = read.first_row - 1
    has_header, sure = _has_header(rows, top, width)
    if read.header_rows == 0 or read.has_header is False:
        has_header, sure = False, 1.0
    elif read.has_header or read.header_row is not None or read.header_rows:
        has_header, sure = True, 1.0
    depth = 0
    if has_header:
        depth = read.header_rows or _header_depth(rows, top, width)
    header = tuple(range(top, min(top + depth, len(rows))))
    first = read.first_row - 1 if read.first_row is not None else top + depth
    notes = []
    if top:
        notes.append(
            ReadNote(code=ReadCode.PREAMBLE, message="lines above the table", count=top, row=1)
        )
    units = has_header and read.first_row is None and _is_units(rows, first, width)
    if units:
        notes.append(ReadNote(code=ReadCode.UNITS_ROW, message="a row of units", row=first + 1))
        first += 1
    width = max([width, *(len(_trim(rows[at])) for at in header)])
    columns = _columns([rows[at] for at in header], width)
    return Region(
        header=header,
        first=first,
        width=width,
        columns=columns,
        choices=(
            Choice(
                what="header",
                value=",".join(str(at + 1) for at in header) or "none",
                confidence=round(sure, 3),
                given=given,
            ),
        ),
        notes=(*notes, *_header_notes(header, columns)),
    )


def footer(rows: Sequence[Cells], width: int) -> int:
    """How many of the last records (given in order) stand below the table."""
    count = 0
    for cells in reversed(rows):
        filled = [cell for cell in cells if cell.strip()]
        if not filled or (len(filled) == 1 and width > 2 and len(cells) < width):
            count += 1
            continue
        if _TOTAL.match(filled[0]) and len(filled) < max(2, 0.8 * width):
            count += 1
            continue
        break
    return count if any(any(c.strip() for c in cells) for cells in rows[len(rows) - count :]) else 0


def _trim(cells: Cells) -> Cells:
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def _width(rows: Sequence[Cells]) -> int:
    """The usual number of cells of a record; the lower part of the sample counts more."""
    body = [len(cells) for cells in rows if any(cell.strip() for cell in cells)]
    counts = Counter(body[len(body) // 4 :] if len(body) > 8 else body)
    if not counts:
        return max((len(cells) for cells in rows), default=0)
    most = max(counts.values())
    return max(width for width, count in counts.items() if count >= 0.8 * most)


def _top(rows: Sequence[Cells], width: int) -> int:
    """The first record that belongs to the table."""
    for at, cells in enumerate(rows):
        filled = sum(bool(cell.strip()) for cell in cells)
        if len(cells) >= min(width, 2) and filled >= max(1, min(width, max(2, 0.5 * width))):
            return at
    return next((at for at, cells in enumerate(rows) if any(c.strip() for c in cells)), 0)


def _shape(cell: str) -> str:
    text = cell.strip()
    if not text:
        return ""
    if _NUMBER.fullmatch(text):
        return "n"
    if _DATE.fullmatch(text):
        return "d"
    return "o" if _OTHER.fullmatch(text) else "t"


def _has_header(rows: Sequence[Cells], top: int, width: int) -> tuple[bool, float]:
    if top >= len(rows):
        return False, 0.5
    head, body = rows[top], [cells for cells in rows[top + 1 : top + 200] if len(cells) == width]
    names = [cell.strip() for cell in head if cell.strip()]
    shapes = [_shape(cell) for cell in head]
    if not body:
        return (True, 0.6) if shapes.count("n") + shapes.count("d") == 0 else (False, 0.6)
    votes = 0.0
    for at, cell in enumerate(head[:width]):
        column = [cells[at] for cells in body]
        kinds = Counter(kind for kind in map(_shape, column) if kind)
        usual = max(kinds, key=lambda kind: kinds[kind], default="")
        text = cell.strip()
        if usual in ("n", "d", "o") and kinds[usual] >= 0.6 * sum(kinds.values()):
            votes += 1.0 if shapes[at] == "t" else -1.5 if shapes[at] == usual else -0.2
        elif (text and text in (each.strip() for each in column)) or (
            shapes[at] in ("n", "d", "o") and not text.isdigit()
        ):
            votes -= 0.7
        else:
            lengths = {len(each.strip()) for each in column}
            votes += 0.4 if lengths and len(lengths) <= 2 and len(text) not in lengths else 0.1
    if len(set(names)) < len(names):
        votes -= 0.3
    sure = min(1.0, 0.5 + abs(votes) / max(2, width))
    return votes > 0, sure


def _header_depth(rows: Sequence[Cells], top: int, width: int) -> int:
    """Header rows below the first: merged titles above, full names below."""
    head = rows[top]
    if top + 2 >= len(rows) or width < 3:
        return 1
    gaps = sum(not cell.strip() for cell in head[1:width])
    below, body = rows[top + 1], rows[top + 2 :]
    if gaps < 1 or not all(_shape(cell) in ("t", "") for cell in (*head, *below)):
        return 1
    filled_below = sum(bool(cell.strip()) for cell in below)
    typed = any(_shape(cell) in ("n", "d") for cells in body[:50] for cell in cells)
    distinct = len({c for c in below if c.strip()}) == filled_below
    return 2 if typed and filled_below >= gaps and distinct else 1


def _is_units(rows: Sequence[Cells], first: int, width: int) -> bool:
    """A row such as `(EUR), [kg], %` between the header and the numbers it describes."""
    if first + 1 >= len(rows) or width < 2:
        return False
    cells = [cell.strip() for cell in rows[first] if cell.strip()]
    bracketed = sum(bool(re.fullmatch(r"[(\\[].{1,12}[)\\]]|%|[$€£]", cell)) for cell in cells)
    return bool(cells) and bracketed == len(cells)


def _columns(header: Sequence[Cells], width: int) -> tuple[str, ...]:
    """Header cells as they stand; of several rows joined with a space, merged titles repeated."""
    if not header:
        return ("",) * width
    filled = [
        _fill(row, width) if at < len(header) - 1 else _pad(row, width)
        for at, row in enumerate(header)
    ]
    if len(filled) == 1:
        return tuple(filled[0])
    return tuple(
        " ".join(dict.fromkeys(part.strip() for part in parts if part.strip()))
        for parts in zip(*filled, strict=True)
    )


def _pad(row: Cells, width: int) -> list[str]:
    return [*row[:width], *[""] * (width - len(row))]


def _fill(row: Cells, width: int) -> list[str]:
    out, last = [], ""
    for cell in _pad(row, width):
        last = cell if cell.strip() else last
        out.append(last)
    return out


def _header_notes(header: tuple[int, ...], columns: tuple[str, ...]) -> list[ReadNote]:
    if not header:
        return [ReadNote(code=ReadCode.NO_HEADER, message="the first row is data")]
    notes, row = [], header[0] + 1
    if len(header) > 1:
        message = f"{len(header)} rows joined into one header"
        notes.append(ReadNote(code=ReadCode.MULTI_ROW_HEADER, message=message, row=row))
    if empty := sum(not name.strip() for name in columns):
        message = f"{empty} columns without a name"
        notes.append(ReadNote(code=ReadCode.EMPTY_HEADER, message=message, count=empty, row=row))
    counts = Counter(name for name in columns if name.strip())
    if twice := [name for name, count in counts.items() if count > 1]:
        message = "columns of one name: " + ", ".join(f"`{name}`" for name in twice[:10])
        notes.append(
            ReadNote(code=ReadCode.DUPLICATE_HEADER, message=message, count=len(twice), row=row)
        )
    return notes
