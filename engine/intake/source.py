"""What intake hands on: how a table was read (Source) and its canonical text (Staged)."""

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from plans.plan import Read


class Format(StrEnum):
    """Kind of container a table came in."""

    CSV = "csv"
    XLSX = "xlsx"
    XLS = "xls"
    XLSB = "xlsb"
    ODS = "ods"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class ReadCode(StrEnum):
    """What intake noticed; none of them stops a file."""

    PREAMBLE = "preamble_skipped"  #: lines above the header
    FOOTER = "footer_skipped"  #: lines below the last row
    BLANK = "blank_rows_skipped"  #: rows without any value
    BROKEN = "broken_rows"  #: rows whose shape cannot be read; each is an invalid row
    RAGGED = "ragged_rows"  #: rows with fewer cells, filled with empty ones
    DUPLICATE_HEADER = "duplicate_header"  #: two columns of one name
    EMPTY_HEADER = "empty_header"  #: a column without a name
    NO_HEADER = "no_header"  #: the first row is data
    MULTI_ROW_HEADER = "multi_row_header"  #: several rows joined into one header
    REPEATED_HEADER = "repeated_header_skipped"  #: the header again among the rows
    UNITS_ROW = "units_row_skipped"  #: a row of units below the header
    MIXED_ENCODING = "mixed_encoding"  #: lines in another encoding than the file's
    MOJIBAKE = "mojibake"  #: text that looks decoded wrongly before it came here
    MIXED_NEWLINES = "mixed_newlines"  #: several kinds of line ends
    STRAY_QUOTE = "stray_quotes"  #: quotes that open nothing and were kept as text
    NUL_REMOVED = "nul_bytes_removed"  #: NUL characters taken out of cells
    HIDDEN = "hidden_rows_or_sheets"  #: hidden parts of a workbook that were read
    FORMULA_UNCACHED = "formula_without_value"  #: formula cells that were never calculated
    ERROR_CELL = "error_cells"  #: cells such as #DIV/0!
    MERGED = "merged_cells"  #: merged areas; the value stands in their first cell
    UNSURE = "unsure_reading"  #: another way to read the file is nearly as likely
    SLOW_PATH = "careful_reading"  #: the file needed the slow, careful reader
    OTHER_TABLE = "other_table_in_file"  #: another table below or beside, staged by itself
    DRAWN = "drawn_table"  #: cells parted by drawn lines
    ALIGNED = "aligned_columns"  #: cells parted by blanks alone
    TRANSPOSED = "transposed_table"  #: names down the first column; rows are the file's columns
    WRONG_EXTENSION = "wrong_extension"  #: the content is another format than the name says


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadNote:
    """One noticed thing: how often, and where first (1-based source row)."""

    code: ReadCode
    message: str
    count: int = 1
    row: int | None = None


def told(*found: tuple[ReadCode, int, str, int | None]) -> list[ReadNote]:
    """A note of each kind of thing that occurred: code, how often, message, first row."""
    return [
        ReadNote(code=code, message=message, count=count, row=row)
        for code, count, message, row in found
        if count
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One decision about reading: what was chosen, how sure (0..1), what else was possible."""

    what: str
    value: str
    confidence: float
    given: bool = False
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """One way to read a table, and what its first rows look like then."""

    read: Read
    label: str  #: in plain words
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Exactly how one table of one file was read."""

    file: str  #: the name the user gave; never a path
    digest: str  #: SHA-256 of the file's bytes, hex
    size: int
    format: Format
    member: str | None = None  #: path inside an archive
    sheet: str | None = None  #: workbook sheet
    encoding: str | None = None
    delimiter: str | None = None
    quote: str | None = None
    escape: str | None = None
    newline: str | None = None
    header_rows: tuple[int, ...] = ()  #: 1-based source rows that hold the header
    first_row: int = 1  #: source row of the first record
    columns: tuple[str, ...]  #: headers as they stand, several rows joined; "" when nameless
    choices: tuple[Choice, ...] = ()
    confidence: float = 1.0
    transposed: bool = False  #: row numbers count the file's columns
    views: tuple[View, ...] = ()  #: not sure: as it was read, and as it may be meant
    notes: tuple[ReadNote, ...] = ()
    read: int  #: records below the header: staged + broken + skipped
    broken: int = 0
    skipped: int = 0  #: blank and footer records


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """A byte range of the staged text that starts and ends at record boundaries."""

    index: int
    start: int
    end: int
    records: int
    first: int  #: 0-based ordinal of its first record


@dataclass(frozen=True, kw_only=True, slots=True)
class BrokenRow:
    """A record whose shape could not be read, kept with its text."""

    row: int  #: 1-based source row
    line: int  #: 1-based physical line
    code: str
    message: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """A table as canonical text: UTF-8, LF, `"` doubled inside quotes, `width` cells a record.

    Source rows run without a gap except at `breaks`: pairs of (0-based ordinal, source row of
    that record), the first one always for ordinal 0.
    """

    source: Source
    path: Path
    delimiter: str
    width: int
    records: int
    shards: tuple[Shard, ...]
    breaks: tuple[tuple[int, int], ...]
    broken: tuple[BrokenRow, ...] = ()

    def source_row(self, ordinal: int) -> int:
        """The 1-based source row of the record with this 0-based ordinal."""
        at = bisect_right(self.breaks, (ordinal, 1 << 62)) - 1
        start, row = self.breaks[at]
        return row + ordinal - start
