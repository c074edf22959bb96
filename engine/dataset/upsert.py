"""Bring a run's valid rows into a sheet: every row is created, updated, unchanged or skipped, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from duckdb import DuckDBPyConnection

from engine.dataset import table as tables
from engine.dataset.rewrite import rewrite
from engine.dataset.table import LINEAGE, Column, Commit, Counts, Kind, Location, Table
from engine.sql import ident, literal

Keys = Sequence[Sequence[str]]


class Mode(StrEnum):
    """Which rows may be written."""

    UPSERT = "upsert"  #: known rows are updated, the others created
    CREATE_ONLY = "create_only"  #: known rows are left alone
    UPDATE_ONLY = "update_only"  #: unknown rows are left out


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """A suppression list: rows whose field has one of the values (in any case) are left out."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What one upsert is about, with the columns of both sides."""

    identity: Keys
    run: str
    plan_version: str
    keep_existing: bool
    tags: tuple[str, ...]
    brought: tuple[Column, ...]  #: data columns of the parts, as they would be stored
    fed: frozenset[str]  #: those that may change a stored value
    columns: tuple[Column, ...]  #: of the table after this run


def upsert(
    sheet: Location,
    parts: Sequence[Path],
    *,
    identity: Keys,
    run: str,
    plan_version: str,
    scratch: Path,
    mode: Mode = Mode.UPSERT,
    keep_existing: bool = False,
    exclude: Sequence[Exclusion] = (),
    tags: tuple[str, ...] = (),
    fed: frozenset[str] | None = None,
    threads: int = 2,
    memory: int = 700 << 20,
) -> Counts:
    """Write the rows of `parts` by identity key: of several keys the first that finds a row wins.

    `parts` are Parquet files of data columns, `_file` and `_row`. Columns not in `fed` keep their
    stored values. Of rows that are the same record the first counts. A run that was committed
    before is not written again: its counts come from the commit.
    """
    table = tables.open_table(sheet)
    if table and (done := tables.recorded(table, run)):
        return done.counts
    with tables.connect(
        scratch, tables=[table] if table else [], readable=parts, threads=threads, memory=memory
    ) as connection:
        brought = _arrive(connection, parts)
        names = frozenset(each.name for each in brought)
        plan = _Plan(
            identity=identity,
            run=run,
            plan_version=plan_version,
            keep_existing=keep_existing,
            tags=tags,
            brought=brought,
            fed=names if fed is None else names & fed,
            columns=_columns_after(table, brought),
        )
        rows = _count(connection, "incoming")
        _admit(connection, exclude)
        admitted = _count(connection, "admitted") if exclude else rows
        _match(connection, table, plan)
        _tell_repeats(connection, plan)
        counts = _decide(connection, table, plan, mode=mode, rows=rows, admitted=admitted)
        record = Commit(version=0, at=datetime.now(UTC), kind=Kind.IMPORT, run=run, counts=counts)
        _define_created(connection, plan, base=tables.next_id(table), mode=mode)
        rewrite(connection, sheet, table, columns=plan.columns, record=record, new_ids=rows)
    return counts


def _arrive(connection: DuckDBPyConnection, parts: Sequence[Path]) -> tuple[Column, ...]:
    """Define `incoming`: the parts' rows as they would be stored, numbered from 0 in `_n`."""
    files = "[" + ", ".join(literal(str(each)) for each in parts) + "]"
    found = connection.execute(
        f"DESCRIBE SELECT * FROM read_parquet({files}, union_by_name = true)"
    ).fetchall()
    types = {str(name): tables.storable(str(type_)) for name, type_, *_ in found}
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
        f"list_extract({offsets}, file_index::BIGINT + 1) + file_row_number AS _n "
        f"FROM read_parquet({files}, union_by_name = true)"
    )
    lineage = {each.name for each in LINEAGE}
    return tuple(Column(name=name, type=types[name]) for name in types if name not in lineage)


_SOURCE = tuple(each for each in LINEAGE if each.name in ("_file", "_row"))


def _columns_after(table: Table | None, brought: tuple[Column, ...]) -> tuple[Column, ...]:
    if table is None:
        return (*brought, *LINEAGE)
    stored = {each.name: each for each in tables.table_columns(table)}
    for column in brought:
        tables.same_type(column, stored.get(column.name, column))
    data = [each for each in stored.values() if each not in LINEAGE]
    return (*data, *(each for each in brought if each.name not in stored), *LINEAGE)


def _admit(connection: DuckDBPyConnection, exclude: Sequence[Exclusion]) -> None:
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


def _match(connection: DuckDBPyConnection, table: Table | None, plan: _Plan) -> None:
    """Fill `matched` with the stored row each incoming row stands for, key by key."""
    connection.execute("CREATE TEMP TABLE matched (_n BIGINT, _id BIGINT)")
    stored = {each.name: each for each in tables.table_columns(table)} if table else {}
    for key in _keys(plan):
        if table is None or not set(key) <= set(stored):
            continue
        wanted = [stored[name] for name in ("_id", *key)]
        tables.view(connection, table, name="stored", wanted=wanted)
        same = " AND ".join(f"i.{ident(name)} = s.{ident(name)}" for name in key)
        connection.execute(
            f"INSERT INTO matched SELECT i._n, min(s._id) FROM admitted i JOIN stored s ON {same} "
            f"WHERE {_filled(key, 'i')} AND i._n NOT IN (SELECT _n FROM matched) GROUP BY i._n"
        )
    connection.execute(
        "CREATE TEMP TABLE chosen AS SELECT _id, min(_n) AS _n FROM matched GROUP BY _id"
    )
    connection.execute(
        "CREATE TEMP VIEW fresh AS SELECT * FROM admitted WHERE _n NOT IN (SELECT _n FROM matched)"
    )


def _tell_repeats(connection: DuckDBPyConnection, plan: _Plan) -> None:
    """Fill `repeats` with new rows that share a key with an earlier new row.

    Few rows have a hash that occurs twice; only those are compared exactly.
    """
    connection.execute("CREATE TEMP TABLE repeats (_n BIGINT)")
    for key in _keys(plan):
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


def _decide(
    connection: DuckDBPyConnection,
    table: Table | None,
    plan: _Plan,
    *,
    mode: Mode,
    rows: int,
    admitted: int,
) -> Counts:
    """Fill `changed` with the new values of stored rows that differ; count what becomes of all."""
    matched, known = _count(connection, "matched"), _count(connection, "chosen")
    repeats = _count(connection, "(SELECT DISTINCT _n FROM repeats)")
    new = admitted - matched - repeats
    if table is None or mode is Mode.CREATE_ONLY:
        empty = ", ".join(f"{ident(each.name)} {each.type}" for each in plan.columns)
        connection.execute(f"CREATE TEMP TABLE changed ({empty})")
    else:
        tables.view(connection, table, name="stored", wanted=plan.columns)
        connection.execute(f"CREATE TEMP TABLE changed AS {_changed_sql(plan)}")
    changed = _count(connection, "changed")
    create, update = mode is not Mode.UPDATE_ONLY, mode is not Mode.CREATE_ONLY
    return Counts(
        created=new if create else 0,
        updated=changed,
        unchanged=known - changed if update else 0,
        excluded=rows - admitted,
        repeated=matched - known + repeats,
        by_mode=(0 if create else new) + (0 if update else known),
    )


def _changed_sql(plan: _Plan) -> str:
    """The rows of `chosen` with their new values, where one differs from the stored one."""
    new = {each.name: _merged(each, plan) for each in plan.columns if each.name in plan.fed}
    differs = [f"{value} IS DISTINCT FROM s.{ident(name)}" for name, value in new.items()]
    tags = _list(plan.tags)
    if plan.tags:
        differs.append(f"NOT list_has_all(coalesce(s._tags, []), {tags})")
    lineage = {
        "_run": literal(plan.run),
        "_file": "i._file",
        "_row": "i._row",
        "_plan_version": literal(plan.plan_version),
        "_tags": f"list_distinct(list_concat(coalesce(s._tags, []), {tags}))",
    }
    values = {**{each.name: f"s.{ident(each.name)}" for each in plan.columns}, **new, **lineage}
    picked = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    return (
        f"SELECT {picked} FROM chosen c JOIN incoming i ON i._n = c._n "
        f"JOIN stored s ON s._id = c._id WHERE {' OR '.join(differs) or 'false'}"
    )


def _merged(column: Column, plan: _Plan) -> str:
    """The value a known row gets: the incoming one, unless the stored one is to win."""
    name = ident(column.name)
    if plan.keep_existing:
        stored = f"nullif(s.{name}, '')" if column.type == "VARCHAR" else f"s.{name}"
        return f"coalesce({stored}, i.{name})"
    if any(column.name in key for key in plan.identity):
        # A row found by one key says nothing against the other keys it leaves empty.
        return f"coalesce(i.{name}, s.{name})"
    return f"i.{name}"


def _define_created(connection: DuckDBPyConnection, plan: _Plan, *, base: int, mode: Mode) -> None:
    """Define `created`: the new rows as they are stored, ids from `base` in the order of the run."""
    run, brought = literal(plan.run), {each.name for each in plan.brought}
    values = {
        each.name: ident(each.name) if each.name in brought else f"CAST(NULL AS {each.type})"
        for each in plan.columns
    }
    values |= {
        "_id": f"{base} + _n",
        "_run": run,
        "_file": "_file",
        "_row": "_row",
        "_plan_version": literal(plan.plan_version),
        "_tags": _list(plan.tags),
        "_created_run": run,
    }
    picked = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    kept = "_n NOT IN (SELECT _n FROM repeats)" if mode is not Mode.UPDATE_ONLY else "false"
    connection.execute(f"CREATE TEMP VIEW created AS SELECT {picked} FROM fresh WHERE {kept}")


def _keys(plan: _Plan) -> list[Sequence[str]]:
    names = {each.name for each in plan.brought}
    return [key for key in plan.identity if set(key) <= names]


def _filled(key: Sequence[str], alias: str) -> str:
    return " AND ".join(f"CAST({alias}.{ident(name)} AS VARCHAR) <> ''" for name in key)


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(literal(each) for each in texts) + "]::VARCHAR[]"


def _count(connection: DuckDBPyConnection, relation: str) -> int:
    # Not fetchone: a result read half keeps the connection from registering a stream.
    return int(connection.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0])
