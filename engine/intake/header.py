"""Which rows name the columns: by what fills the columns and what kind of values stand below."""

import re
from collections import Counter
from collections.abc import Sequence

from engine.intake.cells import Cells, is_code, shape, trim
from engine.intake.joined import YEAR, below_sections, column_kind, depth, merged_above
from plans.plan import Read

_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
#: How far down a table may begin.
TOP = 200
#: Pairs of names and values above a table that is as narrow as they are.
PAIRS = 15


def locate(rows: Sequence[Cells], width: int, read: Read) -> tuple[tuple[int, ...], int, float]:
    """Indexes of the header's records, of the first row, and how sure that is."""
    top = _top(rows, width)
    if read.header_row is not None:
        top = read.header_row - 1
    elif read.first_row is not None and read.has_header is False:
        top = read.first_row - 1
    present, sure = _has_header(rows, top, width)
    if read.header_rows == 0 or read.has_header is False:
        present, sure = False, 1.0
    elif read.has_header or read.header_row is not None or read.header_rows:
        present, sure = True, 1.0
    if (
        not present
        and read.has_header is None
        and (named := _names_above(rows, top, width)) is not None
    ):
        return (named,), named + 1, 0.6
    if not present:
        top = _first_data(rows, top, width)
        return (), top if read.first_row is None else read.first_row - 1, sure
    bottom = top + (read.header_rows or depth(rows, top, width))
    if read.header_row is None and read.header_rows is None:
        top = merged_above(rows, top, bottom, width)
        top = below_sections(rows, top, bottom, width)
    header = tuple(range(top, min(bottom, len(rows))))
    return header, bottom if read.first_row is None else read.first_row - 1, sure


def _top(rows: Sequence[Cells], width: int) -> int:
    """The first record that fills the columns which the records below fill."""
    if rows and re.fullmatch(r"sep=.?", rows[0][0], re.IGNORECASE):
        rows = [[], *rows[1:]]
    body = [cells for cells in rows[len(rows) // 3 :] if len(cells) == width]
    used = [
        at
        for at in range(width)
        if sum(bool(cells[at].strip()) for cells in body) >= 0.5 * len(body)
    ] or [*range(width)]
    best, most = 0, -1.0
    for at, cells in enumerate(rows[:TOP]):
        if not any(cell.strip() for cell in cells) or (width > 1 and len(trim(cells)) < 2):
            continue
        covered = sum(column < len(cells) and bool(cells[column].strip()) for column in used)
        share = covered / len(used)
        named = share >= 0.4 and len(trim(cells)) >= 3 and _are_names(cells)
        if (share >= 0.7 or named or _cornered(rows, at, width)) and len(cells) >= 0.7 * width:
            return _below_title(rows, at, width)
        if share > most + 0.15:
            best, most = at, share
    return best if most >= 0 else first_filled(rows)


def _cornered(rows: Sequence[Cells], at: int, width: int) -> bool:
    """Whether all columns are named but the first, which is full: its cells name the rows."""
    body = [cells for cells in rows[at + 1 : at + 50] if len(cells) == width]
    names = [cell.strip() for cell in rows[at][1:]]
    if width < 2 or len(rows[at]) != width or rows[at][0].strip() or not body:
        return False
    if len({*names, ""}) < width or not all(cells[0].strip() for cells in body):
        return False
    numbers = [float(name) for name in names if _PLAIN.fullmatch(name)]
    if numbers != sorted(numbers):
        return False
    # Two or three columns may also be a title above names.
    return width > 3 or not _has_header(rows, at + 1, width)[0]


def _numbered(rows: Sequence[Cells], at: int, width: int) -> bool:
    """Whether the columns are numbered, as pandas does it without names."""
    start = {"0": 0, "1": 1}.get(rows[at][0].strip())
    if start is None or width < 3 + 2 * start or len(rows) < at + 3:
        return False
    counted = [str(number) for number in range(start, start + width)]
    return [cell.strip() for cell in rows[at]] == counted and any(
        "." in cell for cells in rows[at + 1 : at + 50] for cell in cells
    )


def _below_title(rows: Sequence[Cells], at: int, width: int) -> int:
    """A wide line, or pairs of names and values, are titles when names of typed columns stand
    further down, below a gap or a lone cell.
    """
    for below in range(at + 1, min(len(rows) - 1, at + 1 + PAIRS)):
        parted = below > at + 1 and len(trim(rows[below - 1])) < min(2, width)
        if parted and _names_typed(rows, below, width, other_than=rows[at + 1 : below]):
            return below
        if len(_filled(rows[below])) > 2:
            break
    return at


def _names_typed(
    rows: Sequence[Cells], at: int, width: int, *, other_than: Sequence[Cells]
) -> bool:
    """Whether a row names columns, one of them of a kind that it has not in the other rows."""
    if len(rows[at]) != width or any(shape(cell) != "t" for cell in rows[at]):
        return False
    body = [cells for cells in rows[at + 1 : at + 50] if len(cells) == width]
    before = [cells for cells in other_than if len(cells) == width and any(trim(cells))]
    kinds = ((column_kind(body, column), column_kind(before, column)) for column in range(width))
    return any(kind in ("n", "d", "o") and kind != was for kind, was in kinds)


def _are_names(cells: Cells) -> bool:
    names = [cell.strip() for cell in cells if cell.strip()]
    distinct = len(set(names)) == len(names) >= 3
    return distinct and all(shape(name) == "t" and len(name) < 60 for name in names)


def first_filled(rows: Sequence[Cells]) -> int:
    """The first row that holds anything."""
    return next((at for at, cells in enumerate(rows) if any(c.strip() for c in cells)), 0)


def _has_header(rows: Sequence[Cells], top: int, width: int) -> tuple[bool, float]:
    if top >= len(rows):
        return False, 0.5
    if _cornered(rows, top, width) or _numbered(rows, top, width):
        return True, 0.9
    head = rows[top]
    body = [each for each in rows[top + 1 : top + 200] if len(each) == width and each != head]
    names = [cell.strip() for cell in head if cell.strip()]
    shapes = [shape(cell) for cell in head]
    if not body:
        return (True, 0.6) if shapes.count("n") + shapes.count("d") == 0 else (False, 0.6)
    votes = 0.0
    for at, cell in enumerate(head[:width]):
        column = [cells[at] for cells in body]
        kinds = Counter(kind for kind in map(shape, column) if kind)
        usual = max(kinds, key=lambda kind: kinds[kind], default="")
        text = cell.strip()
        if usual in ("n", "d", "o") and kinds[usual] >= 0.6 * sum(kinds.values()):
            votes += _typed_vote(text, shapes[at], usual, column)
        elif shapes[at] in ("n", "d", "o") and not (text.isdigit() or is_code(text)):
            votes -= 0.7
        elif text and text in (each.strip() for each in column):
            votes -= 0.45
        else:
            lengths = {len(each.strip()) for each in column}
            votes += 0.4 if lengths and len(lengths) <= 2 and len(text) not in lengths else 0.1
    if len(set(names)) < len(names):
        votes -= 0.3
    sure = min(1.0, 0.5 + abs(votes) / max(2, width))
    return votes > 0, sure


def _typed_vote(name: str, shape: str, usual: str, column: Sequence[str]) -> float:
    """What a first cell says above a column of numbers, dates or codes."""
    if shape == "t":
        return 1.0
    if shape != usual:
        return 0.2
    if shape == "o" and is_code(name) and not any(map(is_code, column)):
        return 0.5
    # A year above numbers that are no years is a name.
    years = [bool(YEAR.fullmatch(each.strip())) for each in column if each.strip()]
    return 0.5 if YEAR.fullmatch(name) and sum(years) < 0.5 * len(years) else -1.5


def _first_data(rows: Sequence[Cells], top: int, width: int) -> int:
    """Sparse rows right above the first full one are rows too, unless a header says otherwise."""
    while top > 0 and len(rows[top - 1]) == width and len(_filled(rows[top - 1])) >= 3:
        top -= 1
    return top


def _filled(cells: Cells) -> list[str]:
    return [cell for cell in cells if cell.strip()]


def _names_above(rows: Sequence[Cells], top: int, width: int) -> int | None:
    """The last row of several names above a row that is data; rows with values may be between."""
    for at in range(top - 1, -1, -1):
        names = [cell for cell in rows[at] if cell.strip()]
        if any(shape(name) != "t" for name in names):
            continue
        right_above = at == top - 1 and len(names) >= max(2, width / 2)
        if right_above and (len(rows[at]) == width or len(names) == len(rows[at]) == width - 1):
            return at
        if len(names) > 1:
            wide = abs(len(rows[at]) - len(rows[top])) <= 1 and len(names) >= 3
            return at if wide and len(set(names)) == len(names) else None
    return None
