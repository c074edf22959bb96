"""Small files staged in this process, and read back by the other reader."""

import io
from pathlib import Path

from engine.intake import IntakeLimits, Staged, stage
from engine.intake.parse import Dialect, parse
from engine.intake.source import ReadCode
from plans.plan import Read


def staged(folder: Path, data: bytes | str, *, name: str = "a.csv", **read: object) -> Staged:
    (only,) = tables(folder, data, name=name, **read)
    return only


def tables(
    folder: Path, data: bytes | str, *, name: str = "a.csv", **read: object
) -> tuple[Staged, ...]:
    path = folder / "upload"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return stage(
        path, name=name, folder=folder, read=Read.model_validate(read), limits=IntakeLimits()
    )


def rows(table: Staged) -> list[tuple[int, list[str]]]:
    """Source row and cells of every staged record, read back by the other reader."""
    out = []
    for shard in table.shards:
        assert shard.end <= table.path.stat().st_size
        text = table.path.read_bytes()[shard.start : shard.end].decode()
        records = list(parse(io.StringIO(text, newline=""), Dialect(delimiter=table.delimiter)))
        assert len(records) == shard.records
        out += [(table.source_row(shard.first + at), each.cells) for at, each in enumerate(records)]
    source = table.source
    assert source.read == table.records + source.broken + source.skipped
    return out


def codes(table: Staged) -> set[ReadCode]:
    return {note.code for note in table.source.notes}
