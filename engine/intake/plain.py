"""The fast way: a strict file is proven so and staged at the speed of numpy, mostly as it stands."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

from engine.intake import beside, encoding, table, turned
from engine.intake.encoding import Encoding
from engine.intake.parse import Dialect, Record, parse
from engine.intake.reading import HEAD, Reading, check, shown, source, units_between
from engine.intake.scan import NotPlain, Scan, scan
from engine.intake.source import ReadCode, ReadNote, Shard, Staged, told
from engine.intake.staging import mismatch
from engine.intake.table import Region
from engine.intake.written import blank


def stage_plain(
    reading: Reading, found: Encoding, used: Dialect, sample: str, newline: str
) -> Staged:
    """Stage a strict file at the speed of numpy; raises NotPlain."""
    _check_plain(reading, used, newline)
    if found.name not in ("utf-8", "ascii"):
        reading, found = _transcoded(reading, found)
    records = list(islice(parse(io.StringIO(sample, newline=""), used), HEAD))
    cells = [each.cells for each in records]
    if turned.lies(cells, reading.read.transposed):
        raise NotPlain("a table on its side")
    if beside.spans(cells, reading.read):
        raise NotPlain("tables side by side")
    region = table.find(cells, reading.read)
    reading = shown(reading, cells, region)
    check(region, [each.problem for each in records], reading)
    if region.first >= len(records):
        raise NotPlain("no rows")
    if region.end is not None:
        raise NotPlain("several tables")
    start = found.skip + _offset(sample, records[region.first].line)
    crlf, out = newline == "\r\n", reading.out()
    prove = partial(scan, delimiter=used.delimiter, width=region.width, limits=reading.limits)
    whole = _scan(
        partial(prove, header=_header_line(records, region)),
        reading,
        start,
        out if crlf else None,
        crlf=crlf,
    )
    below = _below(reading, whole, used, region.width)
    kept = whole.records - len(below)
    if any(each < kept for each in whole.odd):
        raise NotPlain("rows with different numbers of cells")
    blanks = [each for each in whole.blanks if each < kept]
    if blanks and not crlf:
        _scan(prove, reading, start, out, crlf=False)
    rewritten = crlf or bool(blanks)
    staged = prove(out, start=0, crlf=False) if rewritten else whole
    if rewritten and staged.records != whole.records - len(whole.blanks):
        raise mismatch(f"{whole.records} records, {staged.records} staged")
    count, above = kept - len(blanks), units_between(region)
    return Staged(
        source=source(
            reading,
            region,
            notes=_plain_notes(whole, below, kept, region),
            read=whole.records + above,
            broken=0,
            skipped=whole.records - count + above,
        ),
        path=out if rewritten else reading.file.path,
        delimiter=used.delimiter,
        width=region.width,
        records=count,
        shards=_trim(staged, count),
        breaks=_breaks(blanks, region.first + 1, count),
    )


def _scan(
    prove: Callable[..., Scan], reading: Reading, start: int, out: Path | None, *, crlf: bool
) -> Scan:
    """Scan the source; with `out`, write its canonical text there."""
    path, report = reading.file.path, reading.report
    if out is None:
        return prove(path, start=start, crlf=crlf, report=report)
    with out.open("wb") as file:
        return prove(path, start=start, crlf=crlf, report=report, write=file.write)


def _header_line(records: list[Record], region: Region) -> bytes:
    return records[region.header[0]].text.encode() if len(region.header) == 1 else b""


def _transcoded(reading: Reading, found: Encoding) -> tuple[Reading, Encoding]:
    """The same file as UTF-8, so that a plain file in another encoding stays a plain file."""
    target = reading.out().with_suffix(".utf8")
    if not encoding.as_utf8(reading.file.path, found, target):
        raise NotPlain("lines in another encoding")
    file = replace(reading.file, path=target)
    return replace(reading, file=file), replace(found, name="utf-8", skip=0)


def _check_plain(reading: Reading, used: Dialect, newline: str) -> None:
    read = reading.read
    if len(used.delimiter) != 1 or not used.delimiter.isascii() or used.escape:
        raise NotPlain("an unusual delimiter or escape character")
    if used.quote not in ('"', ""):
        raise NotPlain("an unusual quote character")
    if newline not in ("\n", "\r\n"):
        raise NotPlain("unusual line ends")
    if read.last_row is not None or read.footer_rows:
        raise NotPlain("a given last row")


def _offset(sample: str, line: int) -> int:
    """Bytes of the physical lines above that line (1-based)."""
    above = islice(io.StringIO(sample, newline=""), line - 1)
    return sum(len(each.encode()) for each in above)


def _below(reading: Reading, found: Scan, used: Dialect, width: int) -> list[list[str]]:
    """Cells of the records below the table, blank ones among them included."""
    cells: list[list[str]] = []
    if reading.read.footer_rows == 0:
        return cells
    with reading.file.path.open("rb") as file:
        for start, end in found.tail:
            file.seek(start)
            text = file.read(end - start).decode().rstrip("\r\n")
            record = next(parse(io.StringIO(text, newline=""), used), None)
            cells.append(record.cells if record else [""])
    filled = [(at, each) for at, each in enumerate(cells) if not blank(each, width)]
    count = table.footer(filled, width)
    kept = filled[-1 - count][0] + 1 if len(filled) > count else 0
    return cells[kept:]


def _trim(found: Scan, records: int) -> tuple[Shard, ...]:
    """The shards without the last records of the file."""
    dropped = found.records - records
    if not dropped:
        return found.shards
    end = found.tail[-dropped][0]
    return tuple(
        Shard(
            index=each.index,
            start=each.start,
            end=min(each.end, end),
            records=min(each.records, records - each.first),
            first=each.first,
        )
        for each in found.shards
        if each.first < records
    )


def _breaks(blanks: list[int], first_row: int, records: int) -> tuple[tuple[int, int], ...]:
    """Ordinal and source row wherever blank records make the rows jump."""
    breaks = {0: first_row}
    for before, ordinal in enumerate(blanks):
        if ordinal - before < records:
            breaks[ordinal - before] = first_row + ordinal + 1
    return tuple(breaks.items())


def _plain_notes(found: Scan, below: list[list[str]], kept: int, region: Region) -> list[ReadNote]:
    first, blanks = region.first + 1, found.blanks
    foot = [cells for cells in below if not blank(cells, region.width)]
    text = " ".join(filter(None, foot[0]))[:200] if foot else ""
    return told(
        (ReadCode.BLANK, len(blanks), "blank rows", first + blanks[0] if blanks else None),
        (ReadCode.FOOTER, len(foot), f"rows below the table: {text}", first + kept),
    )
