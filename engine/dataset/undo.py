"""Take a run back: what it created goes, what it updated returns, what later runs edited stays."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow
from duckdb import DuckDBPyConnection

from engine.dataset import table as tables
from engine.dataset.records import LINEAGE, Column, Commit, Kind, Location
from engine.dataset.rewrite import rewrite
from engine.dataset.table import Table
from engine.errors import Conflict, NotFound, NotUndoable
from engine.sql import ident, literal

#: How many kept rows are listed one by one.
LISTED = 1_000

_ID, _RUN, *_, _CREATED_RUN = LINEAGE
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
    opened = [each for each in (now, after, before) if each is not None]
    with tables.connect(scratch, tables=opened, threads=threads, memory=memory) as connection:
        kept, rows = _kept(connection, now, after, run=run)
        done = tables.recorded(now, undo_run)
        if done is None:
            done = _take_back(connection, sheet, now, before, run=run, undo_run=undo_run, kept=kept)
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
    count = connection.execute("SELECT count(*) FROM edited").fetchall()[0][0]
    return int(count), tuple(Kept(id=row_id, run=later) for row_id, later in listed)


def _take_back(
    connection: DuckDBPyConnection,
    sheet: Location,
    now: Table,
    before: Table | None,
    *,
    run: str,
    undo_run: str,
    kept: int,
) -> Commit:
    columns = tables.table_columns(now)
    tables.view(connection, now, name="stored", wanted=[_ID, _RUN, _CREATED_RUN])
    connection.execute(
        "CREATE TEMP TABLE written AS SELECT _id, _created_run = _run AS is_new FROM stored "
        f"WHERE _run = {literal(run)}"
    )
    connection.execute("CREATE TEMP TABLE removed AS SELECT _id FROM written WHERE is_new")
    connection.execute(f"CREATE TEMP TABLE changed AS {_earlier(connection, before, columns)}")
    empty = ", ".join(f"CAST(NULL AS {each.type}) AS {ident(each.name)}" for each in columns)
    connection.execute(f"CREATE TEMP VIEW created AS SELECT {empty} WHERE false")
    removed, restored = (
        int(connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0])
        for name in ("removed", "changed")
    )
    record = Commit(
        version=0, at=datetime.now(UTC), kind=Kind.UNDO, run=undo_run, undoes=run,
        removed=removed, restored=restored, kept=kept,
    )  # fmt: skip
    rewrite(connection, sheet, now, columns=columns, record=record, new_ids=0)
    return record


def _earlier(
    connection: DuckDBPyConnection, before: Table | None, columns: tuple[Column, ...]
) -> str:
    """The rows the run updated, as they were before it."""
    if before is None:
        empty = ", ".join(f"CAST(NULL AS {each.type}) AS {ident(each.name)}" for each in columns)
        return f"SELECT {empty} WHERE false"
    tables.view(connection, before, name="stored_before", wanted=columns)
    return "SELECT b.* FROM stored_before b JOIN written w ON w._id = b._id WHERE NOT w.is_new"
