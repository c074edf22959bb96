"""From a stream of records to staged tables: below each other, side by side, on their side."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from engine.intake import beside, table, turned, views
from engine.intake.parse import UNCLOSED, Record
from engine.intake.reading import HEAD, Reading, check, shown, source, unclosed, units_between
from engine.intake.several import Part
from engine.intake.source import Staged
from engine.intake.staging import DELIMITER, Writer, index
from engine.intake.table import Region
from engine.intake.written import Account


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
    out = reading.out()
    with Writer(out, region.width, limit=reading.limits.inflated) as writer:
        account = Account(reading=reading, region=region, writer=writer)
        account.write(body, foot=foot)
    shards = index(writer, reading.limits)
    if writer.records == 0 and account.broken and account.broken[0].code == UNCLOSED:
        raise unclosed(account.broken[0].line, reading)
    skipped = account.skipped + units_between(region)
    staged = Staged(
        source=source(
            reading,
            region,
            notes=[*account.notes(), *body.notes],
            read=writer.records + len(account.broken) + skipped,
            broken=len(account.broken),
            skipped=skipped,
        ),
        path=out,
        delimiter=DELIMITER,
        width=region.width,
        records=writer.records,
        shards=shards,
        breaks=tuple(account.breaks) or ((0, region.above + region.first + 1),),
        broken=tuple(account.broken),
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
