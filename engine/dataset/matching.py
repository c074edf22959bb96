"""Which stored row each incoming row stands for: temporary tables of a connection, key by key."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from duckdb import DuckDBPyConnection

from engine.dataset import table as tables
from engine.dataset.records import LINEAGE, Column, storable
from engine.dataset.table import Table
from engine.sql import ident, literal

Key = Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """A suppression list: rows whose field has one of the values (in any case) are left out."""

    field: str
    values: tuple[str, ...]


def arrive(connection: DuckDBPyConnection, parts: Sequence[Path]) -> tuple[Column, ...]:
    """Define `incoming`: the parts' rows as they would be stored, numbered from 0 in `_n`.

    `_part` is the position of the part a row came in.
    """
    files = "[" + ", ".join(literal(str(each)) for each in parts) + "]"
    found = connection.execute(
        f"DESCRIBE SELECT * FROM read_parquet({files}, union_by_name = true)"
    ).fetchall()
    types = {str(name): storable(str(type_)) for name, type_, *_ in found}
    sizes = connection.execute(
        f"SELECT file_name, num_rows FROM parquet_file_metadata({files})"
    ).fetchall()
    size = {str(name): int(rows) for name, rows in sizes}
    offsets, total = [], 0
    for part in parts:
        offsets.append(total)
        total += size[str(part)]
    picked = [f"CAST({ident(name)} AS {type_}) AS {ident(name)}" for name, type_ in types.items()]
    picked += [f"NULL::{each.type} AS {each.name}" for each in _SOURCE if each.name not in types]
    connection.execute(
        f"CREATE TEMP VIEW incoming AS SELECT {', '.join(picked)}, "
        f"list_extract({offsets}, file_index::BIGINT + 1) + file_row_number AS _n, "
        "file_index::BIGINT AS _part "
        f"FROM read_parquet({files}, union_by_name = true)"
    )
    lineage = {each.name for each in LINEAGE}
    return tuple(Column(name=name, type=types[name]) for name in types if name not in lineage)


_SOURCE = tuple(each for each in LINEAGE if each.name in ("_file", "_row"))


def admit(connection: DuckDBPyConnection, exclude: Sequence[Exclusion]) -> None:
    """Define `admitted`: the incoming rows on no suppression list."""
    free = ["true"]
    for number, each in enumerate(exclude):
        connection.execute(
            f"CREATE TEMP TABLE excluded_{number} AS SELECT lower(unnest($1::VARCHAR[])) AS value",
            [list(each.values)],
        )
        value = f"lower(CAST({ident(each.field)} AS VARCHAR))"
        free.append(f"NOT coalesce({value} IN (SELECT value FROM excluded_{number}), false)")
    connection.execute(
        f"CREATE TEMP VIEW admitted AS SELECT * FROM incoming WHERE {' AND '.join(free)}"
    )


def match(connection: DuckDBPyConnection, table: Table | None, keys: Sequence[Key]) -> None:
    """Fill `matched` with the stored row each incoming row stands for, key by key."""
    connection.execute("CREATE TEMP TABLE matched (_n BIGINT, _id BIGINT)")
    stored = {each.name: each for each in tables.table_columns(table)} if table else {}
    before = ""
    for key in keys:
        if table is None or not set(key) <= set(stored):
            continue
        wanted = [stored[name] for name in ("_id", *key)]
        tables.view(connection, table, name="stored", wanted=wanted)
        same = " AND ".join(f"i.{ident(name)} = s.{ident(name)}" for name in key)
        connection.execute(
            f"INSERT INTO matched SELECT i._n, min(s._id) FROM admitted i JOIN stored s ON {same} "
            f"WHERE {_filled(key, 'i')}{before} GROUP BY i._n"
        )
        before = " AND i._n NOT IN (SELECT _n FROM matched)"
    connection.execute(
        "CREATE TEMP TABLE chosen AS SELECT _id, min(_n) AS _n FROM matched GROUP BY _id"
    )
    connection.execute(
        "CREATE TEMP VIEW fresh AS SELECT * FROM admitted ANTI JOIN matched USING (_n)"
    )


def tell_repeats(connection: DuckDBPyConnection, keys: Sequence[Key]) -> None:
    """Fill `repeats` with new rows that share a key with an earlier new row.

    Few rows have a hash that occurs twice; only those are compared exactly.
    """
    connection.execute("CREATE TEMP TABLE repeats (_n BIGINT)")
    for key in keys:
        names = ", ".join(ident(name) for name in key)
        filled = _filled(key, "fresh")
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE suspects AS SELECT h FROM "
            f"(SELECT hash({names}) AS h FROM fresh WHERE {filled}) GROUP BY h HAVING count(*) > 1"
        )
        connection.execute(
            "INSERT INTO repeats SELECT _n FROM (SELECT _n, row_number() OVER "
            f"(PARTITION BY {names} ORDER BY _n) AS nth FROM fresh "
            f"WHERE {filled} AND hash({names}) IN (SELECT h FROM suspects)) WHERE nth > 1"
        )


def count(connection: DuckDBPyConnection, relation: str) -> int:
    """Rows of a table, view or query in parentheses."""
    # Not fetchone: a result read half keeps the connection from registering a stream.
    return int(connection.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])


def _filled(key: Sequence[str], alias: str) -> str:
    return " AND ".join(f"CAST({alias}.{ident(name)} AS VARCHAR) <> ''" for name in key)
