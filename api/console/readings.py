"""How files were read, for people: what they are, how sure that is, and what was noticed on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy
from pydantic import TypeAdapter

from engine.intake.source import ReadCode, Source
from engine.model import Run
from engine.store import findings
from engine.store.findings import Finding

_SOURCES = TypeAdapter(tuple[Source, ...])

#: What a note says; in other languages as the pages' own texts.
NOTICED: Mapping[ReadCode, str] = {
    ReadCode.PREAMBLE: "Rows above the header left out",
    ReadCode.FOOTER: "Rows below the table left out",
    ReadCode.BLANK: "Blank rows left out",
    ReadCode.BROKEN: "Rows whose shape cannot be read: each is an invalid row",
    ReadCode.RAGGED: "Rows with fewer cells, filled with empty ones",
    ReadCode.DUPLICATE_HEADER: "Columns of one name",
    ReadCode.EMPTY_HEADER: "Columns without a name",
    ReadCode.NO_HEADER: "No header: the first row is data",
    ReadCode.MULTI_ROW_HEADER: "Several rows joined into one header",
    ReadCode.REPEATED_HEADER: "The header again among the rows, left out",
    ReadCode.UNITS_ROW: "A row of units below the header left out",
    ReadCode.MIXED_ENCODING: "Lines in another encoding than the rest",
    ReadCode.MOJIBAKE: "Text that was spoilt before it came here",
    ReadCode.MIXED_NEWLINES: "Several kinds of line ends",
    ReadCode.STRAY_QUOTE: "Quotes that open nothing, kept as text",
    ReadCode.NUL_REMOVED: "NUL characters taken out",
    ReadCode.HIDDEN: "Hidden rows or sheets, read like the others",
    ReadCode.FORMULA_UNCACHED: "Formulas that were never calculated",
    ReadCode.ERROR_CELL: "Cells with an error such as #DIV/0!",
    ReadCode.MERGED: "Merged cells: the value stands in the first",
    ReadCode.UNSURE: "May be meant in another way",
    ReadCode.SLOW_PATH: "Read with care, because the file is unusual",
    ReadCode.OTHER_TABLE: "Another table in the same place, read by itself",
    ReadCode.DRAWN: "A table drawn with lines",
    ReadCode.ALIGNED: "Columns parted by blanks alone",
    ReadCode.TRANSPOSED: "Lies on its side: rows are the columns of the file",
    ReadCode.WRONG_EXTENSION: "Another kind of file than its name says",
}
#: Where the engine's words name more than ours.
_TOLD = (
    ReadCode.FOOTER,
    ReadCode.DUPLICATE_HEADER,
    ReadCode.MULTI_ROW_HEADER,
    ReadCode.MIXED_ENCODING,
    ReadCode.HIDDEN,
    ReadCode.UNSURE,
    ReadCode.SLOW_PATH,
    ReadCode.OTHER_TABLE,
    ReadCode.WRONG_EXTENSION,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteRow:
    """One noticed thing, in our words and, where they name more, the engine's."""

    label: str
    message: str
    count: int
    row: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadingRow:
    """How one table of a file was read."""

    file: str
    place: str  #: member of an archive, sheet of a workbook
    format: str
    encoding: str | None
    delimiter: str | None
    header: tuple[int, ...]  #: 1-based rows
    confidence: float
    notes: tuple[NoteRow, ...]


def readings_of(c: sqlalchemy.Connection, run: Run) -> tuple[ReadingRow, ...]:
    """Every table of a run's files."""
    found = findings.of_run(c, run.partner, run.id, kind=Finding.READ)
    return tuple(map(reading_row, _SOURCES.validate_python(found)))


def reading_row(source: Source) -> ReadingRow:
    """One table."""
    return ReadingRow(
        file=source.file,
        place=" / ".join(each for each in (source.member, source.sheet) if each),
        format=source.format.upper(),
        encoding=source.encoding,
        delimiter=source.delimiter,
        header=source.header_rows,
        confidence=source.confidence,
        notes=tuple(
            NoteRow(
                label=NOTICED[each.code],
                message=each.message if each.code in _TOLD else "",
                count=each.count,
                row=each.row,
            )
            for each in source.notes
        ),
    )


def noticed(found: Sequence[ReadingRow]) -> int:
    """How many things were noticed in all of them."""
    return sum(len(each.notes) for each in found)
