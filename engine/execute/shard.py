"""One shard: its records through the program into the table "stage", in order and all of them."""

import csv
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from engine import duck
from engine.compiler.program import Program
from engine.compiler.sheet import reader
from engine.errors import ExecutionError
from engine.execute.job import Part
from engine.intake.source import Shard
from engine.intake.staging import shard_file

#: Rows a batch of the careful reader.
BATCH = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """The connection and the memory file through which it sees one shard at a time."""

    connection: duckdb.DuckDBPyConnection
    fd: int

    @property
    def path(self) -> str:
        """Where DuckDB reads the shard."""
        return f"/proc/self/fd/{self.fd}"

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
def database(folder: Path, *, threads: int, memory: int) -> Iterator[Database]:
    """A hardened database for one call."""
    fd = os.memfd_create("shard")
    try:
        path = f"/proc/self/fd/{fd}"
        connection = duck.connect(folder, readable=[path], memory=memory, threads=threads)
        with connection:
            yield Database(connection=connection, fd=fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRecord:
    """A staged record that has not the table's width, by its 0-based ordinal in the shard."""

    ordinal: int
    message: str
    text: str


def stage(db: Database, part: Part, shard: Shard) -> tuple[BadRecord, ...]:
    """Fill "stage" with the shard's records; row id N is record N. Gives those that were unreadable.

    DuckDB's reader is fast and can lose rows without a word, so its count is held against the
    shard's own; where they differ, or it refuses a record, the standard library reads the shard.
    """
    shard_file(part.staged, shard, db.fd)
    create = partial(_create, db, part.program)
    return load(db, part.program, shard, build=create, count="stage")


def load(
    db: Database, program: Program, shard: Shard, *, build: Callable[[], None], count: str
) -> tuple[BadRecord, ...]:
    """Build a table with a row a record from the view "source", over the fast reader or the careful one."""
    try:
        db.run(f'CREATE OR REPLACE TEMP VIEW "source" AS {reader(program, db.path)}')
        build()
        if db.number(f"SELECT count(*) FROM {count}") == shard.records:
            return ()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        refusal = str(error)
    else:
        refusal = "it lost rows"
    bad = _read_carefully(db, program, shard)
    try:
        build()
    except duckdb.Error as error:
        raise ExecutionError(
            f"shard {shard.index} cannot be run: {error} (at first: {refusal})"
        ) from error
    _drop_careful(db)
    return bad


def _read_carefully(db: Database, program: Program, shard: Shard) -> tuple[BadRecord, ...]:
    """The shard's records through the standard library, behind the view "source"."""
    _drop_careful(db)
    names = [f"c{n}" for n in range(program.width)]
    db.run(f"CREATE TABLE careful ({', '.join(f'{name} VARCHAR' for name in names)})")
    bad: list[BadRecord] = []
    read = 0
    for batch in _records(db, program):
        cells = [_cells(row, program, ordinal, bad) for ordinal, row in enumerate(batch, read)]
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


def _drop_careful(db: Database) -> None:
    db.run('DROP VIEW IF EXISTS "source"')
    db.run("DROP TABLE IF EXISTS careful")


def _records(db: Database, program: Program) -> Iterator[list[list[str]]]:
    csv.field_size_limit(1 << 30)
    with open(os.dup(db.fd), encoding="utf-8", errors="replace", newline="") as text:
        text.seek(0)
        batch: list[list[str]] = []
        for row in csv.reader(text, delimiter=program.delimiter):
            batch.append(row)
            if len(batch) == BATCH:
                yield batch
                batch = []
        if batch:
            yield batch


def _cells(
    row: list[str], program: Program, ordinal: int, bad: list[BadRecord]
) -> list[str | None]:
    if len(row) != program.width:
        message = f"{len(row)} cells where the table has {program.width}"
        bad.append(BadRecord(ordinal=ordinal, message=message, text=program.delimiter.join(row)))
        row = [""] * program.width
    return [cell or None for cell in row]


def _create(db: Database, program: Program) -> None:
    db.run("DROP TABLE IF EXISTS stage")
    if program.keyed:
        _look_up(db, program)
        db.run(f"CREATE TABLE stage AS {program.stage}")
        db.run("DROP VIEW looked")
        db.run("DROP TABLE keyed")
        return
    create = f"CREATE TABLE stage AS {program.stage}"
    assert_ordered(db, create)
    db.run(create)


def _look_up(db: Database, program: Program) -> None:
    """Join the looked-up rows to the records, in the records' order."""
    create = f"CREATE OR REPLACE TABLE keyed AS {program.keyed}"
    assert_ordered(db, create)
    db.run(create)
    cells = [f"k.c{n}" for n in range(program.width)]
    joins = []
    for n in range(len(program.lookups)):
        cells += [f"k.k{n}", f"p{n}.take AS l{n}", f"p{n}.key IS NOT NULL AS m{n}"]
        joins.append(f"LEFT JOIN pick{n} p{n} ON p{n}.key = k.k{n}")
    db.run(
        f"CREATE OR REPLACE TEMP VIEW looked AS SELECT {', '.join(cells)}"
        f" FROM (SELECT rowid AS rn, * FROM keyed) k {' '.join(joins)} ORDER BY k.rn"
    )


def assert_ordered(db: Database, create: str) -> None:
    """Row ids are records' ordinals only under the batch sink, without a join: else stop."""
    (row,) = db.rows(f"EXPLAIN (FORMAT json) {create}")
    plan = json.loads(str(row[1]))
    names = {each["name"].strip() for each in _operators(plan)}
    if plan[0]["name"].strip() != "BATCH_CREATE_TABLE_AS" or any("JOIN" in each for each in names):
        raise ExecutionError(
            f"DuckDB would not keep the rows' order: {', '.join(sorted(names))};"
            " no row number would be right"
        )


def _operators(nodes: list[dict[str, object]]) -> Iterator[dict[str, str]]:
    for node in nodes:
        yield node  # type: ignore[misc]
        yield from _operators(node["children"])  # type: ignore[arg-type]
