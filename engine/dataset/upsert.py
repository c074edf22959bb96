"""Bring a run's valid rows into a sheet: every row is created, updated, unchanged or skipped, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from duckdb import DuckDBPyConnection

from engine.dataset import table as tables
from engine.dataset.matching import Exclusion, Key, admit, arrive, count, match, tell_repeats
from engine.dataset.records import LINEAGE, Column, Commit, Counts, Kind, Location, same_type
from engine.dataset.rewrite import rewrite
from engine.dataset.table import Table
from engine.sql import ident, literal


class Mode(StrEnum):
    """Which rows may be written."""

    UPSERT = "upsert"  #: known rows are updated, the others created
    CREATE_ONLY = "create_only"  #: known rows are left alone
    UPDATE_ONLY = "update_only"  #: unknown rows are left out


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What one upsert is about, with the columns of both sides."""

    identity: Sequence[Key]
    run: str
    plan_version: str
    mode: Mode
    keep_existing: bool
    tags: tuple[str, ...]
    brought: tuple[Column, ...]  #: data columns of the parts, as they would be stored
    fed: Sequence[frozenset[str]]  #: of each part: columns that may change a stored value
    columns: tuple[Column, ...]  #: of the table after this run


def upsert(
    sheet: Location,
    parts: Sequence[Path],
    *,
    identity: Sequence[Key],
    run: str,
    plan_version: str,
    scratch: Path,
    mode: Mode = Mode.UPSERT,
    keep_existing: bool = False,
    exclude: Sequence[Exclusion] = (),
    tags: tuple[str, ...] = (),
    fed: Sequence[frozenset[str]] | None = None,
    skipped_to: Path | None = None,
    threads: int = 2,
    memory: int = 700 << 20,
) -> Counts:
    """Write the rows of `parts` by identity key: of several keys the first that finds a row wins.

    `parts` are Parquet files of data columns, `_file` and `_row`. Columns that a part's member of
    `fed` does not name keep their stored values. Of rows that are the same record the first counts.
    Skipped rows are told in a CSV (file, row_number, reason: the member of Counts) at `skipped_to`,
    below `scratch`. A run that was committed before is not written again: its counts come from the
    commit.
    """
    table = tables.open_table(sheet)
    done = tables.recorded(table, run) if table else None
    if done:
        if skipped_to is None or not done.counts.skipped:
            return done.counts
        table = tables.open_table(sheet, version=done.version - 1) if done.version else None
    if not parts:
        return Counts()
    with tables.connect(
        scratch, tables=[table] if table else [], readable=parts, threads=threads, memory=memory
    ) as connection:
        brought = arrive(connection, parts)
        names = frozenset(each.name for each in brought)
        plan = _Plan(
            identity=[key for key in identity if names.issuperset(key)],
            run=run,
            plan_version=plan_version,
            mode=mode,
            keep_existing=keep_existing,
            tags=tuple(dict.fromkeys(tags)),
            brought=brought,
            fed=[names for _ in parts] if fed is None else [names & each for each in fed],
            columns=_columns_after(table, brought),
        )
        admit(connection, [each for each in exclude if each.field in names])
        match(connection, table, plan.identity)
        tell_repeats(connection, plan.identity)
        if skipped_to is not None:
            _write_skipped(connection, mode, to=skipped_to)
        if done:
            return done.counts
        _define_changed(connection, table, plan)
        _define_created(connection, plan, base=tables.next_id(table))
        counts = _counted(connection, mode)
        record = Commit(version=0, at=datetime.now(UTC), kind=Kind.IMPORT, run=run, counts=counts)
        rewrite(connection, sheet, table, columns=plan.columns, record=record, new_ids=counts.rows)
    return counts


def _columns_after(table: Table | None, brought: tuple[Column, ...]) -> tuple[Column, ...]:
    if table is None:
        return (*brought, *LINEAGE)
    stored = {each.name: each for each in tables.table_columns(table)}
    for column in brought:
        same_type(column, stored.get(column.name, column))
    data = [each for each in stored.values() if each not in LINEAGE]
    return (*data, *(each for each in brought if each.name not in stored), *LINEAGE)


def _define_changed(connection: DuckDBPyConnection, table: Table | None, plan: _Plan) -> None:
    """Fill `changed` with the new values of stored rows that differ."""
    if table is None or plan.mode is Mode.CREATE_ONLY:
        empty = ", ".join(f"{ident(each.name)} {each.type}" for each in plan.columns)
        connection.execute(f"CREATE TEMP TABLE changed ({empty})")
        return
    tables.view(connection, table, name="stored", wanted=plan.columns)
    connection.execute(f"CREATE TEMP TABLE changed AS {_changed_sql(plan)}")


def _changed_sql(plan: _Plan) -> str:
    """The rows of `chosen` with their new values, where one differs from the stored one."""
    fed = frozenset[str]().union(*plan.fed)
    new = {each.name: _merged(each, plan) for each in plan.columns if each.name in fed}
    differs = [f"{value} IS DISTINCT FROM s.{ident(name)}" for name, value in new.items()]
    tags = _texts(plan.tags)
    if plan.tags:
        differs.append(f"NOT list_has_all(coalesce(s._tags, []), {tags})")
    lineage = {
        "_run": literal(plan.run),
        "_file": "i._file",
        "_row": "i._row",
        "_plan_version": literal(plan.plan_version),
        "_tags": f"list_concat(coalesce(s._tags, []), {_fresh_tags(plan)})",
    }
    values = {**{each.name: f"s.{ident(each.name)}" for each in plan.columns}, **new, **lineage}
    picked = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    return (
        f"SELECT {picked} FROM chosen c JOIN incoming i ON i._n = c._n "
        f"JOIN stored s ON s._id = c._id WHERE {' OR '.join(differs) or 'false'}"
    )


def _fresh_tags(plan: _Plan) -> str:
    """The run's tags that the stored row lacks, in their order."""
    lacks = "NOT list_contains(coalesce(s._tags, []), tag)"
    return f"list_filter({_texts(plan.tags)}, lambda tag: {lacks})"


def _merged(column: Column, plan: _Plan) -> str:
    """The value a known row gets: the incoming one, unless the stored one is to win."""
    name, value = ident(column.name), f"i.{ident(column.name)}"
    if plan.keep_existing:
        stored = f"nullif(s.{name}, '')" if column.type == "VARCHAR" else f"s.{name}"
        value = f"coalesce({stored}, i.{name})"
    elif any(column.name in key for key in plan.identity):
        # A row found by one key says nothing against the other keys it leaves empty.
        value = f"coalesce(i.{name}, s.{name})"
    bringing = [str(n) for n, fed in enumerate(plan.fed) if column.name in fed]
    if len(bringing) == len(plan.fed):
        return value
    return f"CASE WHEN i._part IN ({', '.join(bringing)}) THEN {value} ELSE s.{name} END"


def _define_created(connection: DuckDBPyConnection, plan: _Plan, *, base: int) -> None:
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
        "_tags": _texts(plan.tags),
        "_created_run": run,
    }
    picked = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    kept = "_n NOT IN (SELECT _n FROM repeats)" if plan.mode is not Mode.UPDATE_ONLY else "false"
    connection.execute(f"CREATE TEMP VIEW created AS SELECT {picked} FROM fresh WHERE {kept}")


def _counted(connection: DuckDBPyConnection, mode: Mode) -> Counts:
    """What becomes of all incoming rows."""
    rows, admitted = count(connection, "incoming"), count(connection, "admitted")
    matched, known = count(connection, "matched"), count(connection, "chosen")
    repeats = count(connection, "(SELECT DISTINCT _n FROM repeats)")
    changed, new = count(connection, "changed"), admitted - matched - repeats
    create, update = mode is not Mode.UPDATE_ONLY, mode is not Mode.CREATE_ONLY
    return Counts(
        created=new if create else 0,
        updated=changed,
        unchanged=known - changed if update else 0,
        excluded=rows - admitted,
        repeated=matched - known + repeats,
        by_mode=(0 if create else new) + (0 if update else known),
    )


def _write_skipped(connection: DuckDBPyConnection, mode: Mode, *, to: Path) -> None:
    """Every skipped row's place in the customer's file, and why."""
    chosen, repeats = "(SELECT _n FROM chosen)", "(SELECT _n FROM repeats)"
    reasons = {
        "excluded": "_n NOT IN (SELECT _n FROM admitted)",
        "repeated": f"_n IN {repeats} OR _n IN (SELECT _n FROM matched) AND _n NOT IN {chosen}",
    }
    if mode is Mode.CREATE_ONLY:
        reasons["by_mode"] = f"_n IN {chosen}"
    elif mode is Mode.UPDATE_ONLY:
        reasons["by_mode"] = f"_n IN (SELECT _n FROM fresh) AND _n NOT IN {repeats}"
    told = " UNION ALL ".join(
        f"SELECT _n, _file AS file, _row AS row_number, {literal(reason)} AS reason"
        f" FROM incoming WHERE {where}"
        for reason, where in reasons.items()
    )
    rows = f"SELECT file, row_number, reason FROM ({told}) ORDER BY _n"
    options = "FORMAT csv, HEADER true, new_line '\r\n'"
    connection.execute(f"COPY ({rows}) TO {literal(str(to))} ({options})")


def _texts(texts: Sequence[str]) -> str:
    return "[" + ", ".join(literal(each) for each in texts) + "]::VARCHAR[]"
