"""Which rows name the columns: by what fills the columns and what kind of values stand below."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from engine.intake.cells import Cells, is_code, shape, trim
from engine.intake.names import columns_of
from plans.plan import Read

_PLAIN = re.compile(r"-?\d+(?:\.\d+)?")
_YEAR = re.compile(r"(?:19|20)\d\d")
#: How far down a table may begin, and how many rows its header may have.
TOP, DEEPEST = 200, 4
#: Longest title of a group of columns.
TITLE = 40
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
    bottom = top + (read.header_rows or _depth(rows, top, width))
    if read.header_row is None and read.header_rows is None:
        top = _merged_above(rows, top, bottom, width)
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
    kinds = ((_column_kind(body, column), _column_kind(before, column)) for column in range(width))
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
    years = [bool(_YEAR.fullmatch(each.strip())) for each in column if each.strip()]
    return 0.5 if _YEAR.fullmatch(name) and sum(years) < 0.5 * len(years) else -1.5


def _depth(rows: Sequence[Cells], top: int, width: int) -> int:
    """Rows of the header: further ones hold text where the columns hold numbers or dates."""
    depth = 2 if _named_below(rows, top, width) else 1
    while depth < DEEPEST and top + depth + 2 < len(rows):
        row = rows[top + depth]
        if is_units(rows, top + depth, width):
            break
        # Below the deepest header there are only rows, where the sample is that long.
        start = top + DEEPEST if len(rows) >= top + DEEPEST + 2 else top + depth + 1
        body = [cells for cells in rows[start : top + 200] if len(cells) == width]
        typed = [at for at in range(width) if _column_kind(body, at) in ("n", "d", "o")]
        shapes = [_name_shape(row, at, body) for at in typed]
        if any(kind in ("n", "d", "o") for kind in shapes) or not any(trim(row)):
            break
        # Where every column is typed a text is no value, and one is enough.
        enough = 1 if len(typed) == width == len(row) > 1 else max(2, 0.6 * len(typed))
        if shapes.count("t") < enough:
            break
        depth += 1
    return depth


def _named_below(rows: Sequence[Cells], top: int, width: int) -> bool:
    """Whether the row below names the columns under merged titles: names that repeat, or that leave
    blank what is named already and holds a value in every row.
    """
    if top + 2 >= len(rows) or len(rows[top + 1]) != width:
        return False
    head, below = [*rows[top], *[""] * width][:width], rows[top + 1]
    if _groups(head, below, width) and len({*below}) < width:
        return True
    merged = {at for at in range(1, width) if not head[at].strip()}
    under = merged | {at - 1 for at in merged}
    body = [cells for cells in rows[top + 2 : top + 50] if len(cells) == width]
    keys = {at for at in range(width) if all(cells[at].strip() for cells in body)}
    texts = all(shape(cell) in ("", "t") for cell in below)
    blank = {at for at in range(width) if not below[at].strip()}
    return (
        bool(merged and body and texts and head[0].strip() and blank & keys) and not blank & under
    )


def _name_shape(row: Cells, at: int, body: Sequence[Cells]) -> str:
    """The shape of a cell; a code above no codes is a name."""
    cell = row[at].strip() if at < len(row) else ""
    alike = any(is_code(cells[at].strip()) for cells in body)
    return "t" if is_code(cell) and not alike else shape(cell)


def is_units(rows: Sequence[Cells], first: int, width: int) -> bool:
    """A row such as `(EUR), [kg], %` between the header and the numbers it describes."""
    if first + 1 >= len(rows) or width < 2:
        return False
    cells = [cell.strip() for cell in rows[first] if cell.strip()]
    bracketed = sum(bool(re.fullmatch(r"[(\[].{1,12}[)\]]|%|[$€£]", cell)) for cell in cells)
    return bool(cells) and bracketed == len(cells)


def _column_kind(rows: Sequence[Cells], at: int) -> str:
    """The shape nearly all cells of a column have, "" when there is none."""
    kinds = Counter(kind for kind in (shape(cells[at]) for cells in rows) if kind)
    usual = max(kinds, key=lambda kind: kinds[kind], default="")
    return usual if kinds[usual] >= 0.8 * kinds.total() else ""


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


def _merged_above(rows: Sequence[Cells], top: int, bottom: int, width: int) -> int:
    """Also take rows above that group the names, or name what is empty or twofold without them."""
    while top > 0 and (
        _groups(rows[top - 1], rows[top], width) or _completes(rows, top, bottom, width)
    ):
        top -= 1
    return top


def _groups(above: Cells, names: Cells, width: int) -> bool:
    """Whether titles stand over two or more names each, and not one over all."""
    starts = [at for at, cell in enumerate(above) if cell.strip()]
    spans = [end - start for start, end in pairwise([*starts, width])]
    # The last of several groups may have one column.
    narrow = min(spans[:-1] if len(spans) > 2 else spans, default=0) < 2
    if len(above) != width or len(names) < width or narrow or starts == [0]:
        return False
    titled = all(shape(above[at]) == "t" and len(above[at]) <= TITLE for at in starts)
    return titled and all(shape(name) == "t" for name in names[starts[0] : width])


def _completes(rows: Sequence[Cells], top: int, bottom: int, width: int) -> bool:
    """Whether the row above names what is empty or twofold in the header alone."""
    above = trim(rows[top - 1])
    if len(_filled(above)) < 2 or len(above) > width:
        return False
    if any(shape(cell) in ("n", "d", "o") and not _YEAR.fullmatch(cell) for cell in above):
        return False
    now = columns_of(rows[top:bottom], width)
    return _unnamed(columns_of(rows[top - 1 : bottom], width)) < _unnamed(now)


def _unnamed(columns: Sequence[str]) -> int:
    names = [name for name in columns if name.strip()]
    return len(columns) - len(set(names))
