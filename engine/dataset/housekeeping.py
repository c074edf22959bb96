"""Keep a sheet small, hand its values to checks, and leave nothing of it behind."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from engine.dataset import table as tables
from engine.dataset.records import Column, Location
from engine.sql import ident, literal

#: Files that make a table worth compacting.
_MANY = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Tidied:
    """Files that housekeeping merged into larger ones, and files it deleted."""

    compacted: int
    deleted: int


def tidy(sheet: Location, *, keep: timedelta) -> Tidied:
    """Merge small files, and delete those no version younger than `keep` (the undo window) needs.

    Files a run is still writing look the same: `keep` must be longer than any run takes.
    """
    table = tables.existing(sheet)
    compacted = tables.compact(table) if len(table.file_uris()) >= _MANY else 0
    return Tidied(compacted=compacted, deleted=tables.vacuum(table, keep=keep))


def stored_values(
    sheet: Location,
    fields: Sequence[str],
    *,
    to: Path,
    as_of: datetime | None = None,
    threads: int = 2,
    memory: int = 700 << 20,
) -> int:
    """Write the different filled values of a field as the column `key` of a Parquet file, those of a
    second field beside them as `take`; how many rows. The present ones where those of `as_of` are
    not kept any more.
    """
    table = tables.existing(sheet)
    if as_of is not None:
        then = tables.existing(sheet, version=tables.version_as_of(table, as_of))
        table = table if tables.missing_files(sheet, then) else then
    types = {each.name: each.type for each in tables.table_columns(table)}
    wanted = [Column(name=name, type=types.get(name, "VARCHAR")) for name in dict.fromkeys(fields)]
    told = [f"{ident(name)} AS {as_}" for name, as_ in zip(fields, ("key", "take"), strict=False)]
    with tables.connect(to.parent, tables=[table], threads=threads, memory=memory) as connection:
        tables.view(connection, table, name="stored", wanted=wanted)
        written = connection.execute(
            f"COPY (SELECT DISTINCT {', '.join(told)} FROM stored "
            f"WHERE {ident(fields[0])} IS NOT NULL) TO {literal(str(to))} (FORMAT parquet)"
        ).fetchall()
    return int(written[0][0])


def erase(sheet: Location) -> None:
    """Delete every byte below the sheet's location."""
    if folder := sheet.local:
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)
    else:
        tables.delete_all(sheet)
