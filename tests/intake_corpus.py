"""Stages every file of a folder in one child, and counts as the csv module does."""

import csv
import io
from pathlib import Path

from engine.errors import SourceCode, SourceError
from engine.intake import IntakeLimits, Staged, stage
from plans.plan import Read


def outcomes(folder: Path, work: Path) -> dict[str, str | list[tuple[int, int | None]]]:
    """By file: the code of its refusal, or (records read, records the csv module counts)."""
    found: dict[str, str | list[tuple[int, int | None]]] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = str(path.relative_to(folder))
        try:
            tables = stage(path, name=name, folder=work, read=Read(), limits=IntakeLimits())
        except SourceError as error:
            found[name] = error.code.value
            continue
        for table in tables:
            check(table)
        found[name] = [(total(table), counted(path, table)) for table in tables]
        for staged in work.iterdir():
            staged.unlink()
    return found


def check(table: Staged) -> None:
    """Everything is accounted for, and the staged text reads back as its index says."""
    source = table.source
    assert source.read == table.records + source.broken + source.skipped, source
    data = table.path.read_bytes()
    records = 0
    for shard in table.shards:
        text = data[shard.start : shard.end].decode()
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter))
        assert len(rows) == shard.records, source
        assert {len(row) for row in rows} <= {table.width}, source
        records += len(rows)
    assert records == table.records, source
    rows_in_order = [table.source_row(at) for at in range(min(records, 2_000))]
    assert rows_in_order == sorted(set(rows_in_order)), source


def total(table: Staged) -> int:
    """Every record of the file, what stands above the table included."""
    source = table.source
    above = source.header_rows[-1] if source.header_rows else source.first_row - 1
    return above + source.read


def counted(path: Path, table: Staged) -> int | None:
    """Records by the csv module, where its way of reading is beyond doubt: no stray quotes."""
    source = table.source
    if source.delimiter is None or len(source.delimiter) > 1 or source.member or source.escape:
        return None
    data = path.read_bytes()
    if source.broken or data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        return None
    text = data.decode(source.encoding or "utf-8", "replace").lstrip("\ufeff")
    reader = csv.reader(
        io.StringIO(text.replace("\0", ""), newline=""),
        delimiter=source.delimiter,
        quotechar=source.quote,
        quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        return sum(1 for _ in reader)
    except csv.Error:
        return None


REFUSALS = {code.value for code in SourceCode}
