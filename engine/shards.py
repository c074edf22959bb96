"""A staged shard in DuckDB, every record of it and in order, copied into memory where it must be."""

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from engine import duck
from engine.errors import ExecutionError
from engine.intake.source import Shard, Staged
from engine.intake.staging import shard_file
from engine.sql import literal

#: Records a batch of the careful reader.
BATCH = 20_000
#: Bytes DuckDB reads at once if nobody says more, and a little more rows than its row group has.
BUFFER, ROW_GROUP = 32_000_000, 126_000
#: Bytes before a shard that are looked at: a header and what stands above it.
MOST_BEFORE = 64 << 10
#: DuckDB takes a path with one of these for many paths.
GLOB = "*?["


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """The connection, the files it may read, and the memory file for one shard at a time."""

    connection: duckdb.DuckDBPyConnection
    fd: int
    threads: int
    readable: frozenset[Path]

    def run(self, sql: str) -> None:
        """One statement."""
        self.connection.execute(sql)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """One query's rows."""
        return self.connection.execute(sql).fetchall()

    def number(self, sql: str) -> int:
        """One query's only value."""
        (row,) = self.connection.execute(sql).fetchall()
        return int(row[0])


@contextmanager
def database(
    folder: Path, *, threads: int = 2, memory: int = 1 << 30, readable: Sequence[Path] = ()
) -> Iterator[Database]:
    """A hardened database for one call; it may write below `folder` and read these files."""
    fd = os.memfd_create("shard")
    try:
        paths = [_behind(fd), *(str(each) for each in readable)]
        connection = duck.connect(folder, readable=paths, memory=memory, threads=threads)
        with connection:
            yield Database(
                connection=connection, fd=fd, threads=threads, readable=frozenset(readable)
            )
    finally:
        os.close(fd)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRecord:
    """A staged record that has not the table's width, by its 0-based ordinal in the shard."""

    ordinal: int
    message: str
    text: str


def load(
    db: Database, staged: Staged, shard: Shard, *, build: Callable[[], None], table: str
) -> tuple[BadRecord, ...]:
    """Let `build` make a table with a row a record out of the view "source" (cells c0…cN).

    DuckDB's reader is fast and can lose rows without a word, so its count is held against the
    shard's own; where they differ, or it refuses a record, the standard library reads the shard.
    Gives the records that have not the table's width: they are rows without any value.
    """
    lines = _lines_before(db, staged, shard)
    if lines is None:
        shard_file(staged, shard, db.fd)
    path, skip = (_behind(db.fd), 0) if lines is None else (str(staged.path), lines)
    try:
        reader = _reader(staged, shard, path, skip=skip)
        db.run(f'CREATE OR REPLACE TEMP VIEW "source" AS {reader}')
        build()
        if db.number(f"SELECT count(*) FROM {table}") == shard.records:
            return ()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        refusal = str(error)
    else:
        refusal = "it lost rows"
    bad = _read_carefully(db, staged, shard)
    try:
        build()
    except duckdb.Error as error:
        raise ExecutionError(
            f"shard {shard.index} cannot be run: {error} (at first: {refusal})"
        ) from error
    _drop_careful(db)
    return bad


def _lines_before(db: Database, staged: Staged, shard: Shard) -> int | None:
    """Lines DuckDB skips to read the shard where it lies; None if it has to be copied into memory.

    The copy takes a fiftieth of an import, and as much memory as the shard has bytes.
    """
    path = staged.path
    if path not in db.readable or any(each in str(path) for each in GLOB):
        return None
    if shard.start > MOST_BEFORE or shard.end != path.stat().st_size:
        return None
    with path.open("rb") as file:
        before = file.read(shard.start)
    plain = not any(mark in before for mark in (b'"', b"\r")) and before[-1:] in (b"", b"\n")
    return before.count(b"\n") if plain else None


def _behind(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _read_carefully(db: Database, staged: Staged, shard: Shard) -> tuple[BadRecord, ...]:
    """The shard's records through the standard library, behind the view "source"."""
    _drop_careful(db)
    shard_file(staged, shard, db.fd)
    names = [f"c{n}" for n in range(staged.width)]
    db.run(f"CREATE TABLE careful ({', '.join(f'{name} VARCHAR' for name in names)})")
    bad: list[BadRecord] = []
    read = 0
    for batch in _records(db, staged.delimiter):
        cells = [_cells(row, staged, ordinal, bad) for ordinal, row in enumerate(batch, read)]
        read += len(batch)
        arrays = [pa.array(column, pa.string()) for column in zip(*cells, strict=True)]
        db.connection.register("batch", pa.table(arrays, names))
        db.run("INSERT INTO careful SELECT * FROM batch")
        db.connection.unregister("batch")
    if read != shard.records:
        raise ExecutionError(
            f"shard {shard.index} should hold {shard.records} records, but {read} were read;"
            " stage the file again"
        )
    db.run('CREATE OR REPLACE TEMP VIEW "source" AS SELECT * FROM careful')
    return tuple(bad)


def _reader(staged: Staged, shard: Shard, path: str, *, skip: int) -> str:
    columns = ", ".join(f"'c{n}': 'VARCHAR'" for n in range(staged.width))
    return (
        f"SELECT * FROM read_csv({literal(path)}, delim={literal(staged.delimiter)}, quote='\"',"
        f" escape='\"', header=false, auto_detect=false, new_line='\\n', strict_mode=true,"
        f" buffer_size={_buffer(shard)}, skip={skip},"
        f" compression='none', hive_partitioning=false, columns={{{columns}}})"
    )


def _buffer(shard: Shard) -> int:
    """Bytes read at once: a row group's worth, or DuckDB copies the rows again to fill one."""
    group = ROW_GROUP * (shard.end - shard.start) // max(1, shard.records)
    # A shard of few row groups is better shared between threads.
    many = shard.records >= 4 * ROW_GROUP
    return min(max(group, BUFFER), 2 * BUFFER) if many else BUFFER


def _drop_careful(db: Database) -> None:
    db.run('DROP VIEW IF EXISTS "source"')
    db.run("DROP TABLE IF EXISTS careful")


def _records(db: Database, delimiter: str) -> Iterator[list[list[str]]]:
    csv.field_size_limit(1 << 30)
    with open(os.dup(db.fd), encoding="utf-8", errors="replace", newline="") as text:
        text.seek(0)
        batch: list[list[str]] = []
        for row in csv.reader(text, delimiter=delimiter):
            batch.append(row)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _cells(row: list[str], staged: Staged, ordinal: int, bad: list[BadRecord]) -> list[str | None]:
    if len(row) != staged.width:
        message = f"{len(row)} cells where the table has {staged.width}"
        bad.append(BadRecord(ordinal=ordinal, message=message, text=staged.delimiter.join(row)))
        row = [""] * staged.width
    return [cell or None for cell in row]


#: Programs (by digest) and numbers of threads that were found to keep the rows' order here.
_ORDERED: set[tuple[str, int]] = set()


def assert_ordered(db: Database, create: str, *, program: str) -> None:
    """Row ids are records' ordinals under the batch sink (or one thread), without a join: else stop.

    Asking costs as much as running a small table, so a `program`'s SQL is asked about once.
    """
    key = (hashlib.sha256(program.encode()).hexdigest(), db.threads)
    if key in _ORDERED:
        return
    (row,) = db.rows(f"EXPLAIN (FORMAT json) {create}")
    names = [each["name"].strip() for each in _operators(json.loads(str(row[1])))]
    sinks = ["BATCH_CREATE_TABLE_AS"] + ["CREATE_TABLE_AS"] * (db.threads == 1)
    if names[0] not in sinks or any("JOIN" in each for each in names):
        raise ExecutionError(
            f"DuckDB would not keep the rows' order: {', '.join(sorted(set(names)))};"
            " no row number would be right"
        )
    _ORDERED.add(key)


def _operators(nodes: list[dict[str, object]]) -> Iterator[dict[str, str]]:
    for node in nodes:
        yield node  # type: ignore[misc]
        yield from _operators(node["children"])  # type: ignore[arg-type]
