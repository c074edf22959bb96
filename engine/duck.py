"""A DuckDB connection that reads the files it is told of and nothing else, and cannot be unlocked."""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from engine.sql import literal


def connect(
    folder: Path,
    *,
    readable: Iterable[str] = (),
    memory: int = 1 << 30,
    spill: int = 16 << 30,
    threads: int = 2,
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory database that spills into `folder` and may read and write below it.

    `readable` are further paths, `/proc/self/fd/N` of a memfd included. Row order is kept and the
    optimizer that turns `IN` lists into joins is off, or row numbers would lie (dataplane.md 3).
    """
    connection = duckdb.connect(":memory:")
    paths = ", ".join(literal(each) for each in readable)
    for statement in (
        f"SET temp_directory = {literal(str(folder))}",
        f"SET allowed_paths = [{paths}]",
        f"SET memory_limit = '{memory >> 20}MiB'",
        f"SET max_temp_directory_size = '{spill >> 20}MiB'",
        f"SET threads = {threads}",
        # A checkpoint would compress the rows in memory: two seconds for a shard soon dropped.
        "SET checkpoint_threshold = '1TiB'",
        "SET preserve_insertion_order = true",
        "SET TimeZone = 'UTC'",
        "SET enable_progress_bar = true",
        "SET enable_progress_bar_print = false",
        "SET disabled_optimizers = 'in_clause'",
        "SET python_enable_replacements = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection
