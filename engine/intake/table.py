"""Where the table is: lines above it, its header, its first record, what stands below it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.intake import header as headers
from engine.intake import joined
from engine.intake import names as naming
from engine.intake.cells import Cells, shape, trim
from engine.intake.source import Choice, ReadCode, ReadNote
from plans.plan import Read

_TOTAL = re.compile(
    r"(?i)\W*(grand\s+|sub\s?|transactions\s)?(totals?|sum|summe|gesamt|totale|итого|合计|(end)?saldo|kontostand|solde|(closing\s)?balance)\b|\*{1,3}$"
)

_REMARK = re.compile(
    r"(?i)\W*(source|sources|note|notes|remark|generated|exported|created|printed|report|page|end of"
    r"|copyright|legend|quelle|stand|hinweis|anmerkung|fuente|nota)\b|\s*[*\u00a9(]|\s*[_=-]{5,}\s*$|\x1a"
)
#: What numbers a footnote.
_NOTE = re.compile(r"[(\[]?(?:\d{1,2}|[a-z]|\*+)[.):\]]?|\W*")

FEW = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Indexes into the sampled records."""

    header: tuple[int, ...]
    first: int
    width: int
    columns: tuple[str, ...]
    end: int | None = None  #: first record of another table
    above: int = 0  #: records of the file above the sampled ones
    choices: tuple[Choice, ...] = ()
    notes: tuple[ReadNote, ...] = ()


def find(rows: Sequence[Cells], read: Read, *, above: int = 0) -> Region:
    """The region of the table among the first records of a file or sheet, `above` of them gone."""
    rows = _uncommented(rows)
    end = None if read.last_row or read.header_row or read.first_row else _other_table(rows)
    rows = rows[:end]
    width = _width(rows)
    header, first, sure = headers.locate(rows, width, read)
    notes = []
    if preamble := header[0] if header else first:
        message = "lines above the table"
        notes.append(
            ReadNote(code=ReadCode.PREAMBLE, message=message, count=preamble, row=above + 1)
        )
    if header and read.first_row is None and joined.is_units(rows, first, width):
        notes.append(
            ReadNote(code=ReadCode.UNITS_ROW, message="a row of units", row=above + first + 1)
        )
        first += 1
    names = [naming.fitted(rows[at], rows[first:], width) for at in header]
    width = max([width, *map(len, names)])
    columns = naming.columns_of(names, width)
    choice = Choice(
        what="header",
        value=",".join(str(above + at + 1) for at in header) or "none",
        confidence=round(sure, 3),
        given=any(
            each is not None
            for each in (read.header_row, read.header_rows, read.has_header, read.first_row)
        ),
    )
    return Region(
        header=header,
        first=first,
        width=width,
        columns=columns,
        end=end,
        above=above,
        choices=(choice,),
        notes=(*notes, *naming.notes_of(header, columns)),
    )


def _uncommented(rows: Sequence[Cells]) -> Sequence[Cells]:
    """With a block of comments at the top left blank; its last line may be the names."""
    count = next((at for at, cells in enumerate(rows) if cells[0].lstrip()[:1] != "#"), 0)
    if not 0 < count < len(rows) or len(rows[count]) == 1:
        return rows
    if rows[count - 1][0].lower() == "#fields:":  # the names of a W3C extended log
        return [*([""] for _ in range(count - 1)), rows[count - 1][1:], *rows[count:]]
    if len(rows[count - 1]) == len(rows[count]):
        count -= 1
    return [*([""] for _ in range(count)), *rows[count:]]


def narrowed(region: Region, rows: Sequence[Cells]) -> Region:
    """Without the columns at the right that only another table of the sheet fills."""
    used = max((len(trim(cells)) for cells in rows[: region.end]), default=region.width)
    return replace(region, width=used, columns=region.columns[:used])


def footer(rows: Sequence[tuple[int, Cells]], width: int) -> int:
    """How many of the last records (row number and cells, none blank) stand below the table."""
    if width < 2:
        return 0
    count, kinds = 0, _kinds([cells for _, cells in rows], width)
    for at in range(len(rows) - 1, 0, -1):
        cells, gap = rows[at][1], _gap_above(rows, at, kinds)
        filled = [cell for cell in cells if cell.strip()]
        whole = not gap or len(cells) == width
        if whole and len(filled) == 1 and shape(cells[0]) == kinds[0] in ("n", "d", "o"):
            break  # A row of which only the key is known.
        prose = gap and _is_prose(cells, kinds)
        if not filled or prose or _below_table(cells, filled, width, gap=gap):
            count = len(rows) - at
        # A lone word below a gap may be a poor row: it goes only with a footer above it.
        elif len(filled) > 1 or not gap:
            break
    return count


def _kinds(rows: Sequence[Cells], width: int) -> list[str]:
    """The commonest shape of each column, by the rows that are whole."""
    full = [cells for cells in rows if len(cells) == width]
    counts = (Counter(shape(cells[at]) for cells in full) for at in range(width))
    return [max(count, key=lambda kind: count[kind], default="") for count in counts]


def _is_prose(cells: Cells, kinds: Sequence[str]) -> bool:
    """A remark that the delimiter cut: too short, and text where numbers or dates belong."""
    typed = [at for at, kind in enumerate(kinds) if kind in ("n", "d") and at < len(cells)]
    found = [shape(cells[at]) for at in typed]
    return len(cells) < len(kinds) and "t" in found and not {*found} & {"n", "d"}


def _gap_above(rows: Sequence[tuple[int, Cells]], at: int, kinds: Sequence[str]) -> bool:
    """Whether blank rows part this row, and lone cells or prose right above it, from the table."""
    while at > 0:
        if rows[at][0] > rows[at - 1][0] + 1:
            return True
        at -= 1
        cells = rows[at][1]
        if sum(bool(cell.strip()) for cell in cells) > 1 and not _is_prose(cells, kinds):
            return False
    return False


def _below_table(cells: Cells, filled: Sequence[str], width: int, *, gap: bool) -> bool:
    """A total, or a lone cell that is no row: unpadded, a bare sum behind a gap, a remark."""
    if total := _TOTAL.match(filled[0]):
        rest = filled[0][total.end() :].strip()
        if len(filled) < max(2, 0.8 * width) or rest[:1] == ":" or (gap and not rest):
            return True
    if len(filled) > 1:
        return len(cells) == 2 < width - 2 and _NOTE.fullmatch(cells[0].strip()) is not None
    unpadded = len(cells) < width and width > 2
    bare_sum = gap and width > 3 and shape(filled[0].strip()) == "n"
    return unpadded or bare_sum or _is_remark(cells[0], gap=gap)


def _is_remark(text: str, *, gap: bool) -> bool:
    """A lone first cell that is prose: a source, a note, a date of export."""
    return bool(_REMARK.match(text)) or (bool(text.strip()) and (gap or len(text) > 40))


def _width(rows: Sequence[Cells]) -> int:
    """The usual number of cells of a record; the lower part of the sample counts more."""
    body = [len(cells) for cells in rows if any(cell.strip() for cell in cells)]
    body = body[len(body) // 4 :] if len(body) > 8 else body
    wide = [width for width in body if width > 1]
    counts = Counter(wide if len(wide) >= 0.35 * len(body) else body)
    if not counts:
        return max((len(cells) for cells in rows), default=0)
    most = max(counts.values())
    return max(width for width, count in counts.items() if count >= 0.8 * most)


def opens(before: Sequence[Cells], ahead: Sequence[Cells]) -> bool:
    """Whether below a gap names stand again, over other kinds of values than these names are."""
    at = next((n for n, cells in enumerate(ahead[:4]) if len(trim(cells)) > 1), None)
    before = [cells for cells in before if len(trim(cells)) > 1]
    if at is None or at + 1 >= len(ahead) or len(before) < 3:
        return False
    names, below = [cell.strip() for cell in trim(ahead[at])], trim(ahead[at + 1])
    named = all(shape(name) == "t" for name in names) and len({*names}) == len(names)
    if not named or not 1 < len(below) <= len(names) or _all_text(below):
        return False
    again = any([cell.strip() for cell in trim(cells)] == names for cells in before)
    return not _pairs(before, names) and not again and _typed_under(before, len(names))


def _pairs(rows: Sequence[Cells], names: Cells) -> bool:
    """Whether rows above wider names are a preamble of names and values."""
    filled = [sum(bool(cell.strip()) for cell in cells) for cells in rows]
    return len(rows) < FEW and filled.count(2) >= 0.7 * len(rows) and max(filled) < len(names)


def _typed_under(rows: Sequence[Cells], width: int) -> bool:
    """Whether a column of the rows holds values that no name looks like."""
    for at in range(width):
        kinds = Counter(shape(cells[at]) for cells in rows[1:] if at < len(cells))
        del kinds[""]
        if kinds and kinds["t"] <= 0.2 * kinds.total():
            return True
    return False


def _other_table(rows: Sequence[Cells]) -> int | None:
    """Where a second table begins: names below a gap, or a header of another width with rows as
    wide as it.
    """
    start = headers.first_filled(rows)
    above: Counter[int] = Counter()
    last = start
    for at in range(start, len(rows) - 1):
        cells = rows[at]
        if not trim(cells):
            continue
        if at > last + 1 and opens(rows[max(start, at - FEW) : at], rows[at : at + 6]):
            return at
        last = at
        if at >= len(rows) - 2:
            break
        usual, count = above.most_common(1)[0] if above else (len(cells), 0)
        other = len(cells) != usual and count >= 3 and above[len(cells)] <= 0.1 * count
        if other and not _pairs([each for each in rows[start:at] if len(trim(each)) > 1], cells):
            below = {len(each) for each in rows[at : at + 20]}
            header = len(trim(cells)) > 1 and _all_text(cells)
            if header and below == {len(cells)} and not _all_text(rows[at + 1]):
                return at
        if len(trim(cells)) > 1:
            above[len(cells)] += 1
    return None


def _all_text(cells: Cells) -> bool:
    trimmed = trim(cells)
    return bool(trimmed) and all(shape(cell) == "t" for cell in trimmed)
