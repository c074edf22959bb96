"""The records of one table written as canonical text, with an account of every one of them."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from engine.errors import SourceCode
from engine.intake import table
from engine.intake.layout import OUTSIDE
from engine.intake.parse import STRAY, UNCLOSED, Record
from engine.intake.reading import Reading
from engine.intake.source import BrokenRow, ReadCode, ReadNote, told
from engine.intake.staging import Writer
from engine.intake.table import Region

#: Records kept back at the end to find what stands below the table.
FOOT = 40
#: From this width on a record of a single cell is no short row but something else.
WIDE = 4
TOO_MANY, TOO_FEW = "too_many_cells", "too_few_cells"
BAD_JSON = "broken_json"
_MESSAGES = {
    UNCLOSED: "a quote opens here and never closes",
    TOO_MANY: "more cells than the header has columns",
    TOO_FEW: "a row of one cell in a wide table; another delimiter?",
    STRAY: "a quote in the row closes nothing",
    BAD_JSON: "not valid JSON",
    OUTSIDE: "the line does not fit the columns of the others",
}


def blank(cells: Sequence[str], width: int) -> bool:
    """Whether no cell holds anything; in a wider table a line of white space is blank too."""
    return not any(cells) or (len(cells) == 1 < width and not cells[0].strip())


def is_header(cells: Sequence[str], region: Region) -> bool:
    """Whether a record repeats a header of one row, as joined exports and page breaks do."""
    columns = region.columns
    if len(region.header) != 1 or len(cells) < 2 or cells[0] != columns[0]:
        return False
    return tuple(cells) == columns


@dataclass(kw_only=True, slots=True)
class Account:
    """Writes records of a table and counts what becomes of each."""

    reading: Reading
    region: Region
    writer: Writer
    breaks: list[tuple[int, int]] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)
    below: list[Record] = field(default_factory=list)  #: records below the table
    blank: int = 0
    headers: list[int] = field(default_factory=list)  #: rows that repeat the header
    short: list[int] = field(default_factory=lambda: [0, 0])  #: how many, and the first row
    stray: list[int] = field(default_factory=lambda: [0, 0])
    expected: int = 0

    @property
    def skipped(self) -> int:
        """Records that are no rows."""
        return self.blank + len(self.headers) + len(self.below)

    def write(self, records: Iterable[Record], *, foot: int | None) -> None:
        """Write all but the records below the table: `foot` of them, or as many as look so."""
        waiting: deque[Record] = deque()
        read, width = self.reading.read, self.region.width
        last, keep = read.last_row, max(FOOT, read.footer_rows or 0)
        below: list[Record] = []
        for record in records:
            if blank(record.cells, width):
                self.blank += 1
            elif is_header(record.cells, self.region):
                self.headers.append(record.row)
                if foot is None and read.footer_rows is None:
                    # What stands below a page is no row either.
                    below += [waiting.pop() for _ in range(_foot(waiting, width))][::-1]
            elif last and record.row > last:
                below.append(record)
            elif record.problem not in ("", STRAY, OUTSIDE):
                self._break(record, record.problem)
            else:
                waiting.append(record)
                if len(waiting) > keep:
                    self._write(waiting.popleft())
        foot = read.footer_rows if foot is None else foot
        if foot is None:
            foot = 0 if last else _foot(waiting, width)
        while len(waiting) > foot:
            self._write(waiting.popleft())
        self.below = [*waiting, *below]

    def _write(self, record: Record) -> None:
        cells, width = record.cells, self.region.width
        if len(cells) != width or record.problem == OUTSIDE:
            if problem := _misshapen(record, width):
                self._break(record, problem)
                return
            if len(cells) < width:
                _occurred(self.short, record)
            cells = [*cells[:width], *[""] * (width - len(cells))]
        elif record.problem == STRAY:
            _occurred(self.stray, record)
        if record.row != self.expected:
            self.breaks.append((self.writer.records, record.row))
        self.expected = record.row + 1
        self.writer.write(cells)

    def _break(self, record: Record, code: str) -> None:
        reading = self.reading
        if len(self.broken) >= reading.limits.broken:
            message = (
                f"more than {reading.limits.broken:,} rows cannot be read; check the delimiter"
            )
            raise reading.file.error(SourceCode.NOT_A_TABLE, message, f"line {record.line}")
        row = BrokenRow(
            row=record.row,
            line=record.line,
            code=code,
            message=_MESSAGES[code],
            text=record.text[:10_000],
        )
        self.broken.append(row)

    def notes(self) -> list[ReadNote]:
        """What occurred."""
        foot = " ".join(filter(None, self.below[0].cells))[:200] if self.below else ""
        first_broken = min((each.row for each in self.broken), default=None)
        return told(
            (ReadCode.BLANK, self.blank, "blank rows", None),
            (
                ReadCode.FOOTER,
                len(self.below),
                f"rows below the table: {foot}",
                next((each.row for each in self.below), None),
            ),
            (
                ReadCode.REPEATED_HEADER,
                len(self.headers),
                "the header again among the rows",
                next(iter(self.headers), None),
            ),
            (
                ReadCode.RAGGED,
                self.short[0],
                "rows with fewer cells than the header, filled with empty ones",
                self.short[1],
            ),
            (
                ReadCode.STRAY_QUOTE,
                self.stray[0],
                "quotes that open nothing, kept as text",
                self.stray[1],
            ),
            (
                ReadCode.BROKEN,
                len(self.broken),
                "rows that cannot be read; each is an invalid row",
                first_broken,
            ),
        )


def _foot(records: Sequence[Record], width: int) -> int:
    """How many of the last records stand below the table, or below the page."""
    outside = takewhile(lambda each: each.problem == OUTSIDE, reversed(records))
    found = table.footer([(each.row, each.cells) for each in records], width)
    return max(found, sum(1 for _ in outside))


def _misshapen(record: Record, width: int) -> str:
    """Why a record of another width cannot be a row; "" where empty cells make it one."""
    if record.problem in (STRAY, OUTSIDE):
        return record.problem
    if len(record.cells) == 1 and width >= WIDE:
        return TOO_FEW
    return TOO_MANY if any(cell.strip() for cell in record.cells[width:]) else ""


def _occurred(count: list[int], record: Record) -> None:
    count[:] = [count[0] + 1, count[1] or record.row]
