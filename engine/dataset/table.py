"""A sheet's Delta table: open it, look back, read it with DuckDB, commit a run exactly once."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from duckdb import DuckDBPyConnection
from pyarrow.fs import FileSelector, FileType, PyFileSystem

from engine import duck
from engine.dataset.records import DUCKDB_TYPES, LINEAGE, Column, Commit, Counts, Kind, Location
from engine.errors import Conflict, GivenUp, NotFound, StorageError, gist
from engine.sql import ident, literal

# With one CPU delta-rs has one thread, and a write that waits for another one waits for ever.
os.environ.setdefault("TOKIO_WORKER_THREADS", "4")

#: A larger row group gains little and takes more memory. A dictionary that outgrows 64 KiB is given
#: up early: building large ones was half of the work. Unless told, delta-rs does not compress.
_WRITER = WriterProperties(
    max_row_group_size=131_072,
    dictionary_page_size_limit=65_536,
    compression="ZSTD",
    compression_level=1,
    default_column_properties=ColumnProperties(statistics_enabled="CHUNK"),
)
BATCH = 122_880

#: delta-rs asks how much memory there is, and panics in a confined child that may not know.
READABLE = (Path("/proc/meminfo"),)

Table = DeltaTable

#: An application transaction every commit of rows carries: it numbers them, and because Delta lets
#: only one of two concurrent commits move it, no two runs can resolve rows against one version.
NEXT_ID = "reknit:next_id"
_METADATA = "reknit"
_ANY_ID = 2**62

_CONFIGURATION: dict[str, str | None] = {
    # Customers' values would otherwise stand in the log as statistics.
    "delta.dataSkippingStatsColumns": "_id",
    # A run's counts are read from its commit for ever; vacuum alone ends the undo window.
    "delta.logRetentionDuration": "interval 3650 days",
}


def open_table(sheet: Location, *, version: int | None = None) -> DeltaTable | None:
    """The table as it is, or was at `version`; None when nothing was ever written."""
    options = dict(sheet.options) or None
    try:
        return DeltaTable(_root(sheet), version=version, storage_options=options)
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise StorageError(f"the sheet at {sheet.url} cannot be opened: {gist(error)}") from error


def existing(sheet: Location, *, version: int | None = None) -> DeltaTable:
    """The table; NotFound when no run has written to it."""
    table = open_table(sheet, version=version)
    if table is None or table.transaction_version(NEXT_ID) is None:
        raise NotFound("the sheet has no rows yet: no import has written to it")
    return table


def exists(sheet: Location) -> bool:
    """Whether any run has written to the sheet."""
    with suppress(NotFound):
        existing(sheet)
        return True
    return False


def history(sheet: Location) -> tuple[Commit, ...]:
    """Every version, newest first."""
    return commits(existing(sheet))


def commits(table: DeltaTable) -> tuple[Commit, ...]:
    """Every version of an open table, newest first."""
    return tuple(_commit(entry) for entry in table.history())


def version_as_of(table: DeltaTable, moment: int | str | datetime) -> int:
    """The version a number, a run's id (just after it) or a point in time stands for."""
    if isinstance(moment, int):
        return moment
    for commit in commits(table):
        if commit.run == moment if isinstance(moment, str) else commit.at <= moment:
            return commit.version
    raise NotFound(f"the sheet has no version as of {moment}")


def columns(sheet: Location, *, version: int | None = None) -> tuple[Column, ...]:
    """Data columns in order, then lineage."""
    return table_columns(existing(sheet, version=version))


def size(sheet: Location) -> int:
    """How many rows the sheet has, from the log alone."""
    actions = pyarrow.table(existing(sheet).get_add_actions(flatten=True))
    return sum(actions["num_records"].to_pylist())


def table_columns(table: DeltaTable) -> tuple[Column, ...]:
    """Data columns in order, then lineage, of an open table."""
    found = [Column(name=each.name, type=_duckdb_type(each.type)) for each in table.schema().fields]
    lineage = {each.name for each in LINEAGE}
    return (*(each for each in found if each.name not in lineage), *LINEAGE)


def connect(
    scratch: Path,
    *,
    tables: Sequence[DeltaTable] = (),
    readable: Sequence[Path] = (),
    threads: int,
    memory: int,
) -> DuckDBPyConnection:
    """A hardened connection that may read these tables' files and these paths."""
    scratch.mkdir(parents=True, exist_ok=True)
    files = [each for table in tables for each in _local_files(table)]
    paths = [*files, *map(str, readable)]
    return duck.connect(scratch, readable=paths, memory=memory, threads=threads)


def view(
    connection: DuckDBPyConnection,
    table: DeltaTable,
    *,
    name: str,
    wanted: Sequence[Column],
    where: str = "",
) -> None:
    """Define `name` with exactly the columns `wanted`; one the table lacks is empty.

    A remote table is a stream: the view can be read once, and only `where` (ids) is left out early.
    """
    empty = ", ".join(f"CAST(NULL AS {each.type}) AS {ident(each.name)}" for each in wanted)
    stored = {each.name: each for each in table_columns(table)}
    common = [each for each in wanted if each.name in stored]
    if _remote(table):
        stream = table.scan(columns=[each.name for each in common], predicate=where or None)
        source = f"{name}_stream"
        connection.register(source, pyarrow.RecordBatchReader.from_stream(stream))
    else:
        files = ", ".join(literal(each) for each in _local_files(table))
        source = f"read_parquet([{files}], union_by_name = true)" if files else ""
    picked = ", ".join(
        f"CAST({ident(each.name)} AS {each.type}) AS {ident(each.name)}" for each in common
    )
    rows = f" UNION ALL BY NAME SELECT {picked} FROM {source}" if source and picked else ""
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {ident(name)} AS SELECT {empty} WHERE false{rows}"
    )


def id_ranges(table: DeltaTable) -> tuple[tuple[int, int], ...]:
    """Smallest and largest row id of every file; one without statistics may hold any row."""
    actions = pyarrow.table(table.get_add_actions(flatten=True))
    pairs = zip(actions["min._id"].to_pylist(), actions["max._id"].to_pylist(), strict=True)
    return tuple(
        (0, _ANY_ID) if low is None or high is None else (low, high) for low, high in pairs
    )


def next_id(table: DeltaTable | None) -> int:
    """The id of the next new row; ids are never given twice."""
    return (table.transaction_version(NEXT_ID) or 1) if table else 1


def recorded(table: DeltaTable, run: str) -> Commit | None:
    """What the run committed here, if it ever did; GivenUp when it is to commit nothing more."""
    if table.transaction_version(run) is None:
        return None
    past = commits(table)
    if any(commit.undoes == run for commit in past):
        raise GivenUp(f"run {run} was given up, and what it had stored was taken back")
    return next(commit for commit in past if commit.run == run)


def commit_rows(
    sheet: Location,
    table: DeltaTable | None,
    rows: pyarrow.RecordBatchReader,
    *,
    record: Commit,
    moves: Mapping[str, int],
    instead_of: str | None = None,
) -> None:
    """Write a stream of rows and the run's record in one commit.

    `instead_of` is the condition of the rows they replace; None appends. Conflict when a commit of
    the same run, or with one of the same `moves`, came since `table` was opened.
    """
    properties = CommitProperties(
        custom_metadata={_METADATA: _metadata(record)},
        # Of two that create the table, delta-rs would let the later one commit once more.
        max_commit_retries=None if table else 0,
        app_transactions=[Transaction(*each) for each in {record.run: 1, **moves}.items()],
    )
    replacing: dict[str, Any] = {"mode": "append"}
    if instead_of is not None:
        replacing = {"mode": "overwrite", "predicate": instead_of or None}
    try:
        write_deltalake(
            table or _root(sheet),
            rows,
            schema_mode="merge",
            configuration=None if table else _CONFIGURATION,
            storage_options=dict(sheet.options) or None,
            writer_properties=_WRITER,
            commit_properties=properties,
            **(replacing if table else {"mode": "error"}),
        )
    except (DeltaError, OSError) as error:
        created_meanwhile = table is None and open_table(sheet) is not None
        if isinstance(error, CommitFailedError) or created_meanwhile:
            raise Conflict(f"another run wrote to {sheet.url} meanwhile; start it again") from error
        told = f"the rows could not be written to {sheet.url}: {gist(error)}"
        raise StorageError(told) from error
    _settle(sheet, table)


def missing_files(sheet: Location, table: DeltaTable) -> bool:
    """Whether vacuum has taken files this version needs."""
    names = pyarrow.table(table.get_add_actions(flatten=True))["path"].to_pylist()
    found = PyFileSystem(_handler(sheet)).get_file_info(names)
    return any(each.type is FileType.NotFound for each in found)


def delete_all(sheet: Location) -> None:
    """Delete every object of the table."""
    handler = _handler(sheet)
    found = handler.get_file_info_selector(FileSelector("", recursive=True, allow_not_found=True))
    for each in found:
        if each.type is FileType.File:
            handler.delete_file(each.path)


def compact(table: DeltaTable) -> int:
    """Merge small files; how many went into larger ones."""
    properties = CommitProperties(custom_metadata={_METADATA: json.dumps({"kind": Kind.TIDY})})
    done = table.optimize.compact(writer_properties=_WRITER, commit_properties=properties)
    return int(done["numFilesRemoved"])


def vacuum(table: DeltaTable, *, keep: timedelta) -> int:
    """Delete files no version younger than `keep` needs; how many."""
    hours = int(keep.total_seconds() // 3600)
    gone = table.vacuum(
        hours, dry_run=False, enforce_retention_duration=False, full=True,
        commit_properties=CommitProperties(custom_metadata={_METADATA: json.dumps({"kind": Kind.TIDY})}),
    )  # fmt: skip
    return len(gone)


def _settle(sheet: Location, before: DeltaTable | None) -> None:
    """Force a commit to the disk: delta-rs leaves that to the system, and a power cut may come."""
    folder, now = sheet.local, open_table(sheet)
    if folder is None or now is None:
        return
    log = folder / "_delta_log"
    fresh = set(_local_files(now)) - set(_local_files(before) if before else ())
    for path in (*map(Path, fresh), log / f"{now.version():020}.json", log, folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _root(sheet: Location) -> str:
    return str(sheet.local or sheet.url)


def _handler(sheet: Location) -> DeltaStorageHandler:
    return DeltaStorageHandler(_root(sheet), dict(sheet.options) or None)


def _remote(table: DeltaTable) -> bool:
    return not table.table_uri.startswith(("/", "file://"))


def _local_files(table: DeltaTable) -> list[str]:
    if _remote(table):
        return []
    return [unquote(uri).removeprefix("file://") for uri in table.file_uris()]


def _duckdb_type(type_: Any) -> str:
    name = type_.type
    if name == "array":
        return "VARCHAR[]"
    return DUCKDB_TYPES.get(name) or name.upper().replace(" ", "")


def _metadata(record: Commit) -> str:
    told = asdict(record)
    del told["version"], told["at"]
    return json.dumps(told)


def _commit(entry: dict[str, Any]) -> Commit:
    told = json.loads(entry.get(_METADATA) or "{}")
    counts = Counts(**told.pop("counts", {}))
    kind = Kind(told.pop("kind", Kind.TIDY))
    at = datetime.fromtimestamp(entry["timestamp"] / 1000, UTC)
    return Commit(version=entry["version"], at=at, kind=kind, counts=counts, **told)
