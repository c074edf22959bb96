"""From a stream of records to a staged table: region, widths, blank and broken records, footer."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from engine.errors import SourceCode
from engine.intake import beside, table, turned, views
from engine.intake.cells import Cells
from engine.intake.formats import File
from engine.intake.limits import IntakeLimits
from engine.intake.parse import STRAY, UNCLOSED, Record
from engine.intake.several import Part
from engine.intake.source import BrokenRow, Format, ReadCode, ReadNote, Source, Staged
from engine.intake.staging import DELIMITER, Writer, index
from engine.intake.table import Region
from plans.plan import Read

#: Records looked at to find the table, and kept back at the end to find what stands below it.
HEAD, FOOT = 1_000, 40
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
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What is known of a table before its rows are read; becomes part of its Source."""

    file: File
    format: Format
    read: Read
    limits: IntakeLimits
    folder: Path
    facts: dict[str, object] = field(default_factory=dict)  #: further members of Source
    notes: tuple[ReadNote, ...] = ()
    report: Callable[[int], object] | None = None  #: takes the bytes read so far

    def out(self) -> Path:
        """A new file in the run's folder."""
        count = sum(1 for _ in self.folder.glob("staged-*.csv"))
        return self.folder / f"staged-{count:04d}.csv"


@dataclass(kw_only=True, slots=True)
class _Count:
    """What happened to the records, while it happens."""

    breaks: list[tuple[int, int]] = field(default_factory=list)
    broken: list[BrokenRow] = field(default_factory=list)
    blank: int = 0
    headers: list[int] = field(default_factory=list)  #: rows that repeat the header
    short: int = 0
    first_short: int | None = None
    stray: int = 0
    first_stray: int | None = None
    expected: int = 0


def stage_rows(
    records: Iterator[Record],
    reading: Reading,
    *,
    region: Region | None = None,
    below: bool = False,
) -> tuple[Staged, Iterator[Record] | None]:
    """Find the table among the records (or take the given one) and write it as canonical text.

    Also gives the records of the next table, where one begins. `below`: this is such a one.
    """
    foot = 0 if region else None
    head = list(islice(records, HEAD))
    if region is None:
        cells = [each.cells for each in head]
        region = table.find(cells, reading.read, above=head[0].row - 1 if below else 0)
        reading = shown(reading, cells, region)
        if below or region.end is not None:
            region = table.narrowed(region, cells)
    check(region, [each.problem for each in head], reading)
    alone = foot == 0 or reading.read.header_row or reading.read.first_row
    body = Part(chain(head[region.first :], records), region, alone=bool(alone))
    count = _Count()
    out = reading.out()
    with Writer(out, region.width, limit=reading.limits.inflated) as writer:
        under = _write(body, region, writer, count, reading, foot=foot)
    shards = index(writer, reading.limits)
    skipped = count.blank + len(count.headers) + len(under) + units_between(region)
    if writer.records == 0 and count.broken and count.broken[0].code == UNCLOSED:
        raise unclosed(count.broken[0].line, reading)
    staged = Staged(
        source=source(
            reading,
            region,
            notes=[*_notes(count, under), *body.notes],
            read=writer.records + len(count.broken) + skipped,
            broken=len(count.broken),
            skipped=skipped,
        ),
        path=out,
        delimiter=DELIMITER,
        width=region.width,
        records=writer.records,
        shards=shards,
        breaks=tuple(count.breaks) or ((0, region.above + region.first + 1),),
        broken=tuple(count.broken),
    )
    return staged, body.rest


def stage_tables(records: Iterator[Record], reading: Reading) -> Iterator[Staged]:
    """Every table among the records, beside or below each other; one on its side is turned."""
    head = list(islice(records, HEAD))
    spans = beside.spans([each.cells for each in head], reading.read)
    if spans:
        head += islice(records, reading.limits.beside)
    if not spans or len(head) > reading.limits.beside:
        yield from _stage_below(chain(head, records), reading)
        return
    for span in spans:
        notes = (*reading.notes, beside.note(span, spans))
        yield from _stage_below(beside.cut(head, span), replace(reading, notes=notes))


def _stage_below(records: Iterator[Record], reading: Reading) -> Iterator[Staged]:
    reading, left = _upright(records, reading)
    staged, rest = stage_rows(left, reading)
    yield staged
    while rest is not None:
        staged, rest = stage_rows(rest, reading, below=True)
        yield staged


def _upright(records: Iterator[Record], reading: Reading) -> tuple[Reading, Iterator[Record]]:
    head = list(islice(records, turned.MOST + 1))
    cells = [each.cells for each in head]
    choice = turned.lies(cells, reading.read.transposed)
    if choice is None:
        return reading, chain(head, records)
    facts = {**reading.facts}
    facts["choices"] = (*reading.facts.get("choices", ()), choice)  # type: ignore[misc]
    if choice.value == "false":
        facts["views"] = views.of_turned(cells, list(turned.turned(cells)))
        return replace(reading, facts=facts), iter(head)
    facts["transposed"] = True
    read = reading.read
    if read.has_header is None and read.header_row is None:
        read = read.model_copy(update={"has_header": True})
    notes = (*reading.notes, turned.NOTE)
    return replace(reading, facts=facts, notes=notes, read=read), turned.records(cells)


def shown(reading: Reading, rows: Sequence[Cells], region: Region) -> Reading:
    """With both readings, where one of them is not sure."""
    both = reading.facts.get("views") or views.of_header(rows, region, reading.read)
    if not both:
        return reading
    told = views.note(both)  # type: ignore[arg-type]
    return replace(reading, facts={**reading.facts, "views": both}, notes=(*reading.notes, told))


def source(
    reading: Reading,
    region: Region,
    *,
    notes: Iterable[ReadNote],
    read: int,
    broken: int,
    skipped: int,
) -> Source:
    """The Source of a table whose records are accounted for."""
    facts = dict(reading.facts)
    choices = (*facts.pop("choices", ()), *region.choices)  # type: ignore[misc]
    base = Source(
        file=reading.file.name,
        digest=reading.file.digest,
        size=reading.file.size,
        format=reading.format,
        member=reading.file.member,
        header_rows=tuple(region.above + at + 1 for at in region.header),
        first_row=region.above + region.first + 1,
        columns=region.columns,
        choices=choices,
        confidence=min((each.confidence for each in choices), default=1.0),
        notes=(*reading.notes, *region.notes, *notes),
        read=read,
        broken=broken,
        skipped=skipped,
    )
    return replace(base, **facts)  # type: ignore[arg-type]


def units_between(region: Region) -> int:
    """Records between the header and the first row: units and the like."""
    return region.first - (region.header[-1] + 1) if region.header else 0


def check(region: Region, problems: Sequence[str], reading: Reading) -> None:
    """Refuse what cannot be staged at all."""
    file, limits = reading.file, reading.limits
    if region.width == 0:
        raise file.error(SourceCode.EMPTY, "no cell holds anything")
    if region.width > limits.columns:
        message = f"{region.width:,} columns; at most {limits.columns:,} are allowed"
        raise file.error(SourceCode.TOO_MANY_COLUMNS, message)
    for at in region.header:
        if problems[at] == UNCLOSED:
            raise unclosed(region.above + at + 1, reading)
    if reading.read.header_row and reading.read.header_row > len(problems):
        message = f"the header is said to be in row {reading.read.header_row}, below the last row"
        raise file.error(SourceCode.OPTION, message, "header_row")


def unclosed(line: int, reading: Reading) -> Exception:
    """The quote that swallows everything."""
    message = "a quote opens here and never closes; close it, or say `quote:` in the plan"
    return reading.file.error(SourceCode.UNCLOSED_QUOTE, message, f"line {line}")


def blank(cells: Sequence[str], width: int) -> bool:
    """Whether no cell holds anything; in a wider table a line of white space is blank too."""
    return not any(cells) or (len(cells) == 1 < width and not cells[0].strip())


def is_header(cells: Sequence[str], region: Region) -> bool:
    """Whether a record repeats a header of one row, as joined exports and page breaks do."""
    columns = region.columns
    if len(region.header) != 1 or len(cells) < 2 or cells[0] != columns[0]:
        return False
    return tuple(cells) == columns


def _write(
    body: Iterable[Record],
    region: Region,
    writer: Writer,
    count: _Count,
    reading: Reading,
    *,
    foot: int | None,
) -> list[Record]:
    """Write all but the records below the table; those are the answer."""
    waiting: deque[Record] = deque()
    below: list[Record] = []
    last, keep = reading.read.last_row, max(FOOT, reading.read.footer_rows or 0)
    for record in body:
        if blank(record.cells, region.width):
            count.blank += 1
        elif is_header(record.cells, region):
            count.headers.append(record.row)
        elif last and record.row > last:
            below.append(record)
        elif record.problem and record.problem != STRAY:
            _add_broken(record, record.problem, count, reading)
        else:
            waiting.append(record)
            if len(waiting) > keep:
                _write_one(waiting.popleft(), region.width, writer, count, reading)
    foot = reading.read.footer_rows if foot is None else foot
    if foot is None:
        tail = [(each.row, each.cells) for each in waiting]
        foot = 0 if last else table.footer(tail, region.width)
    foot = min(foot, len(waiting))
    for _ in range(len(waiting) - foot):
        _write_one(waiting.popleft(), region.width, writer, count, reading)
    return [*waiting, *below]


def _write_one(record: Record, width: int, writer: Writer, count: _Count, reading: Reading) -> None:
    cells = record.cells
    if record.problem == STRAY:
        if len(cells) != width:
            _add_broken(record, STRAY, count, reading)
            return
        count.stray += 1
        count.first_stray = count.first_stray or record.row
    if len(cells) != width:
        if len(cells) == 1 and width >= WIDE:
            _add_broken(record, TOO_FEW, count, reading)
            return
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            _add_broken(record, TOO_MANY, count, reading)
            return
        if len(cells) < width:
            count.short += 1
            count.first_short = count.first_short or record.row
        cells = [*cells[:width], *[""] * (width - len(cells))]
    if record.row != count.expected:
        count.breaks.append((writer.records, record.row))
    count.expected = record.row + 1
    writer.write(cells)


def _add_broken(record: Record, code: str, count: _Count, reading: Reading) -> None:
    if len(count.broken) >= reading.limits.broken:
        message = f"more than {reading.limits.broken:,} rows cannot be read; check the delimiter"
        raise reading.file.error(SourceCode.NOT_A_TABLE, message, f"line {record.line}")
    row = BrokenRow(
        row=record.row,
        line=record.line,
        code=code,
        message=_MESSAGES[code],
        text=record.text[:10_000],
    )
    count.broken.append(row)


def _notes(count: _Count, below: Sequence[Record]) -> list[ReadNote]:
    notes = []
    if count.blank:
        notes.append(ReadNote(code=ReadCode.BLANK, message="blank rows", count=count.blank))
    if below:
        message = "rows below the table: " + " ".join(filter(None, below[0].cells))[:200]
        notes.append(
            ReadNote(code=ReadCode.FOOTER, message=message, count=len(below), row=below[0].row)
        )
    if count.headers:
        message = "the header again among the rows"
        notes.append(
            ReadNote(
                code=ReadCode.REPEATED_HEADER,
                message=message,
                count=len(count.headers),
                row=count.headers[0],
            )
        )
    if count.short:
        message = "rows with fewer cells than the header, filled with empty ones"
        notes.append(
            ReadNote(
                code=ReadCode.RAGGED, message=message, count=count.short, row=count.first_short
            )
        )
    if count.stray:
        message = "quotes that open nothing, kept as text"
        notes.append(
            ReadNote(
                code=ReadCode.STRAY_QUOTE,
                message=message,
                count=count.stray,
                row=count.first_stray,
            )
        )
    if count.broken:
        message = "rows that cannot be read; each is an invalid row"
        first = min(each.row for each in count.broken)
        notes.append(
            ReadNote(code=ReadCode.BROKEN, message=message, count=len(count.broken), row=first)
        )
    return notes
