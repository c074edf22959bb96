"""Take a run back: what it created goes, what it updated returns, what later runs edited stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
from duckdb import DuckDBPyConnection

from engine.dataset import table as tables
from engine.dataset.matching import count
from engine.dataset.records import LINEAGE, Column, Commit, Kind, Location
from engine.dataset.rewrite import rewrite
from engine.dataset.table import Table
from engine.errors import Conflict, NotFound, NotUndoable
from engine.sql import ident, literal

#: How many kept rows are listed one by one.
LISTED = 1_000

_ID, _RUN, *_, _CREATED_RUN = LINEAGE
_WRITTEN = (_ID, _RUN, _CREATED_RUN)
_NOTHING = pyarrow.table({_ID.name: pyarrow.array([], pyarrow.int64())})


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """A row that stays as it is because a later run edited it."""

    id: int
    run: str  #: the later run


@dataclass(frozen=True, kw_only=True, slots=True)
class Undone:
    """What taking a run back did."""

    removed: int
    restored: int
    kept: int
    kept_rows: tuple[Kept, ...]  #: the first of them


def undo(
    sheet: Location,
    run: str,
    *,
    undo_run: str,
    scratch: Path,
    threads: int = 2,
    memory: int = 700 << 20,
) -> Undone:
    """Take `run` back as a commit of `undo_run`; called again it answers the same.

    NotFound when the run wrote nothing here, NotUndoable when it is undone already or the versions it
    needs were vacuumed.
    """
    now = tables.existing(sheet)
    commit = _to_undo(now, run, undo_run=undo_run)
    after, before = _versions(sheet, now, commit)
    steps = {run: before, **_undone_before(sheet, now, commit)}
    opened = [each for each in (now, after, *steps.values()) if each is not None]
    with tables.connect(scratch, tables=opened, threads=threads, memory=memory) as connection:
        kept, rows = _kept(connection, now, after, run=run)
        done = tables.recorded(now, undo_run)
        if done is None:
            done = _take_back(connection, sheet, now, steps, undo_run=undo_run, kept=kept)
    return Undone(removed=done.removed, restored=done.restored, kept=done.kept, kept_rows=rows)


def give_up(sheet: Location, run: str, *, undo_run: str) -> None:
    """Commit that `run`, which wrote nothing here, never will; safe to repeat.

    A worker of that run which is about to write loses against this commit, Conflict when it won.
    """
    now = tables.open_table(sheet)
    if now is not None and now.transaction_version(run) is not None:
        if any(commit.undoes == run for commit in tables.commits(now)):
            return
        raise Conflict(f"run {run} wrote to this sheet meanwhile")
    record = Commit(version=0, at=datetime.now(UTC), kind=Kind.UNDO, run=undo_run, undoes=run)
    tables.commit_rows(sheet, now, _NOTHING.to_reader(), record=record, moves={run: 1})


def check_undo(sheet: Location, run: str, *, undo_run: str = "") -> None:
    """Raise what `undo` would raise, and change nothing."""
    now = tables.existing(sheet)
    commit = _to_undo(now, run, undo_run=undo_run)
    _versions(sheet, now, commit)


def _versions(sheet: Location, now: Table, commit: Commit) -> tuple[Table, Table | None]:
    """The sheet just after and just before the commit."""
    after = tables.existing(sheet, version=commit.version)
    before = tables.open_table(sheet, version=commit.version - 1) if commit.version else None
    for table in (now, after, before):
        if table is not None and tables.missing_files(sheet, table):
            raise NotUndoable(f"the undo window is over: version {table.version()} was cleaned up")
    return after, before


def _undone_before(sheet: Location, now: Table, commit: Commit) -> dict[str, Table | None]:
    """Runs before it that were undone, newest first, each with the sheet as it was before them.

    Rows they wrote stayed when a later run had edited them: what that one restored is not theirs.
    """
    past = tables.commits(now)
    undone = {each.undoes for each in past}
    found: dict[str, Table | None] = {}
    for each in past:
        if each.kind is Kind.IMPORT and each.run in undone and each.version < commit.version:
            before = tables.open_table(sheet, version=each.version - 1) if each.version else None
            if before is None or not tables.missing_files(sheet, before):
                found[each.run] = before
    return found


def _to_undo(now: Table, run: str, *, undo_run: str) -> Commit:
    past = tables.commits(now)
    for commit in past:
        if commit.kind is Kind.UNDO and commit.undoes == run and commit.run != undo_run:
            raise NotUndoable(f"run {run} is undone already, by {commit.run}")
    for commit in past:
        if commit.kind is Kind.IMPORT and commit.run == run:
            return commit
    raise NotFound(f"run {run} wrote no rows to this sheet")


def _kept(
    connection: DuckDBPyConnection, now: Table, after: Table, *, run: str
) -> tuple[int, tuple[Kept, ...]]:
    """Rows the run wrote that a later one has edited since."""
    tables.view(connection, after, name="stored_after", wanted=[_ID, _RUN])
    tables.view(connection, now, name="stored", wanted=[_ID, _RUN])
    connection.execute(
        "CREATE TEMP TABLE edited AS SELECT s._id, s._run FROM stored_after a "
        f"JOIN stored s ON s._id = a._id WHERE a._run = {literal(run)} AND s._run <> {literal(run)}"
    )
    listed = connection.execute(f"SELECT * FROM edited ORDER BY _id LIMIT {LISTED}").fetchall()
    return count(connection, "edited"), tuple(
        Kept(id=row_id, run=later) for row_id, later in listed
    )


def _take_back(
    connection: DuckDBPyConnection,
    sheet: Location,
    now: Table,
    steps: Mapping[str, Table | None],
    *,
    undo_run: str,
    kept: int,
) -> Commit:
    columns, run = tables.table_columns(now), next(iter(steps))
    tables.view(connection, now, name="stored", wanted=_WRITTEN)
    connection.execute(f"CREATE TEMP TABLE gone AS FROM stored WHERE _run = {literal(run)}")
    connection.execute("CREATE TEMP TABLE removed (_id BIGINT)")
    empty = ", ".join(f"CAST(NULL AS {each.type}) AS {ident(each.name)}" for each in columns)
    connection.execute(f"CREATE TEMP TABLE changed AS SELECT {empty} WHERE false")
    connection.execute(f"CREATE TEMP VIEW created AS SELECT {empty} WHERE false")
    for each, before in steps.items():
        _go_back(connection, each, before, columns=columns, undone=tuple(steps))
    record = Commit(
        version=0, at=datetime.now(UTC), kind=Kind.UNDO, run=undo_run, undoes=run, kept=kept,
        removed=count(connection, "removed"), restored=count(connection, "changed"),
    )  # fmt: skip
    rewrite(connection, sheet, now, columns=columns, record=record, new_ids=0)
    return record


def _go_back(
    connection: DuckDBPyConnection,
    run: str,
    before: Table | None,
    *,
    columns: Sequence[Column],
    undone: Sequence[str],
) -> None:
    """What `run` wrote of the rows in `gone` is removed, or as before; if that was undone too, gone."""
    mine = f"_run = {literal(run)}"
    if not count(connection, f"(FROM gone WHERE {mine})"):
        return
    connection.execute(
        f"INSERT INTO removed SELECT _id FROM gone WHERE {mine} AND _created_run = _run"
    )
    if before is None:
        return
    taken = f"_run IN ({', '.join(map(literal, undone))})"
    known = f"SELECT _id FROM gone WHERE {mine} AND _created_run <> _run"
    earlier = f"FROM stored_before SEMI JOIN ({known}) USING (_id)"
    tables.view(connection, before, name="stored_before", wanted=columns)
    connection.execute(f"INSERT INTO changed {earlier} WHERE NOT {taken}")
    if len(undone) > 1:
        tables.view(connection, before, name="stored_before", wanted=_WRITTEN)
        connection.execute(f"INSERT INTO gone {earlier} WHERE {taken}")
