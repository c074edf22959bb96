"""Headers of several rows: which rows above and below the full one name the columns as well."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from engine.intake.cells import Cells, is_code, shape, trim
from engine.intake.names import columns_of, spread

YEAR = re.compile(r"(?:19|20)\d\d")
_UNIT = re.compile(r"[(\[].{1,12}[)\]]|%|[$€£]")
#: What query tools write below the names.
_TYPE = re.compile(
    r"(?i)u?(?:big|small|tiny)?int(?:eger)?\d*|[iuf]\d\d|float\d*|double|decimal(?:\(.*\))?|numeric"
    r"|str(?:ing)?|(?:var)?char|text|bool(?:ean)?|date|time|datetime(?:\[.*\])?|timestamp|object"
)
#: Most rows of a header, and longest title of a group of columns.
DEEPEST, TITLE = 4, 40


def depth(rows: Sequence[Cells], top: int, width: int) -> int:
    """Rows of the header: further ones hold text where the columns hold numbers or dates."""
    deep = 2 if _named_below(rows, top, width) else 1
    while deep < DEEPEST and top + deep + 2 < len(rows):
        row = rows[top + deep]
        if is_units(rows, top + deep, width):
            break
        # Below the deepest header there are only rows, where the sample is that long.
        start = top + DEEPEST if len(rows) >= top + DEEPEST + 2 else top + deep + 1
        body = [cells for cells in rows[start : top + 200] if len(cells) == width]
        typed = [at for at in range(width) if column_kind(body, at) in ("n", "d", "o")]
        shapes = [_name_shape(row, at, body) for at in typed]
        if any(kind in ("n", "d", "o") for kind in shapes) or not any(trim(row)):
            break
        # Where every column is typed a text is no value, and one is enough.
        enough = 1 if len(typed) == width == len(row) > 1 else max(2, 0.6 * len(typed))
        if shapes.count("t") < enough:
            break
        deep += 1
    return deep


def _named_below(rows: Sequence[Cells], top: int, width: int) -> bool:
    """Whether the row below names the columns under merged titles: names that repeat, or that leave
    blank what is named already and holds a value in every row.
    """
    if top + 2 >= len(rows) or len(rows[top + 1]) != width:
        return False
    head, below = [*rows[top], *[""] * width][:width], rows[top + 1]
    if _groups(head, below, width) and (len({*below}) < width or head == spread(head, width)):
        return True
    merged = {at for at in range(1, width) if not head[at].strip()}
    under = merged | {at - 1 for at in merged}
    body = [cells for cells in rows[top + 2 : top + 50] if len(cells) == width]
    keys = {at for at in range(width) if all(cells[at].strip() for cells in body)}
    texts = all(shape(cell) in ("", "t") for cell in below)
    blank = {at for at in range(width) if not below[at].strip()}
    told = merged and body and texts and head[0].strip()
    return bool(told and blank & keys and not blank & under)


def _name_shape(row: Cells, at: int, body: Sequence[Cells]) -> str:
    """The shape of a cell; a code above no codes is a name."""
    cell = row[at].strip() if at < len(row) else ""
    alike = any(is_code(cells[at].strip()) for cells in body)
    return "t" if is_code(cell) and not alike else shape(cell)


def is_units(rows: Sequence[Cells], first: int, width: int) -> bool:
    """A row such as `(EUR), [kg], %`, or of types, between the header and what it describes."""
    if first + 1 >= len(rows) or width < 2:
        return False
    return any(
        _all(rows[first], kind) and not _all(rows[first + 1], kind) for kind in (_UNIT, _TYPE)
    )


def _all(row: Cells, kind: re.Pattern[str]) -> bool:
    cells = [cell.strip() for cell in row if cell.strip()]
    return bool(cells) and all(kind.fullmatch(cell) for cell in cells)


def column_kind(rows: Sequence[Cells], at: int) -> str:
    """The shape nearly all cells of a column have, "" when there is none."""
    kinds = Counter(kind for kind in (shape(cells[at]) for cells in rows) if kind)
    usual = max(kinds, key=lambda kind: kinds[kind], default="")
    return usual if kinds[usual] >= 0.8 * kinds.total() else ""


def merged_above(rows: Sequence[Cells], top: int, bottom: int, width: int) -> int:
    """Also take rows above that group the names, or name what is empty or twofold without them."""
    while top > 0:
        names = columns_of(rows[top:bottom], width)
        # Rows filled at the same places are pairs of names and values.
        pairs = top > 1 and _starts(rows[top - 2]) == _starts(rows[top - 1])
        grouped = not pairs and _groups(rows[top - 1], names, width)
        if not grouped and not _completes(rows, top, bottom, width):
            break
        top -= 1
    return top


def below_sections(rows: Sequence[Cells], top: int, bottom: int, width: int) -> int:
    """Leave out titles that part all columns into sections, where the names alone tell them apart."""
    while bottom - top > 1:
        names = columns_of(rows[top + 1 : bottom], width)
        titles = spread(rows[top], width)
        if (
            len({*filter(None, names)}) < width
            or not all(titles)
            or not _groups(titles, names, width)
        ):
            break
        top += 1
    return top


def _starts(cells: Cells) -> list[int]:
    return [at for at, cell in enumerate(cells) if cell.strip()]


def _groups(above: Cells, names: Cells, width: int) -> bool:
    """Whether titles stand over two or more names each, and not one over all or in their middle."""
    titles = spread(above, width)
    spans = [len([*run]) for title, run in groupby(titles) if title.strip()]
    # The last of several groups may have one column.
    if len(above) != width or min(spans[:-1] if len(spans) > 2 else spans, default=0) < 2:
        return False
    central = width > 4 and 2 * spans[0] == width + 1
    if len(spans) == 1 and (spans[0] == width or central):
        return False
    titled = all(shape(title) == "t" and len(title) <= TITLE for title in titles if title.strip())
    under = [name for name, title in zip(names, titles, strict=False) if title.strip()]
    # "No" is what a column of numbers is called as often as an answer.
    return titled and all(shape(name) in ("t", "o") for name in under)


def _completes(rows: Sequence[Cells], top: int, bottom: int, width: int) -> bool:
    """Whether the row above names what is empty or twofold in the header alone."""
    above = trim(rows[top - 1])
    if len(_starts(above)) < 2 or len(above) > width:
        return False
    if any(shape(cell) in ("n", "d", "o") and not YEAR.fullmatch(cell) for cell in above):
        return False
    now = columns_of(rows[top:bottom], width)
    return _unnamed(columns_of(rows[top - 1 : bottom], width)) < _unnamed(now)


def _unnamed(columns: Sequence[str]) -> int:
    names = [name for name in columns if name.strip()]
    return len(columns) - len(set(names))
