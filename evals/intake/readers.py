"""The readers that are compared: a path and the dialect it was written in (for `given`) to a Table."""

import csv
import io
import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import clevercsv
import duckdb

from engine.errors import SourceCode, SourceError
from engine.intake import IntakeLimits, Staged, stage
from engine.sandbox import Limits, call
from engine.sql import literal
from evals.intake.score import Table
from plans.plan import Read

Given = Mapping[str, Any]


def reknit(paths: list[Path], work: Path) -> dict[str, Table | None]:
    """Ours, all files in one child; what is reported as broken is not there, as in a real run."""
    folder = paths[0].parent
    found = call(
        _stage_all, paths, work, limits=Limits(folder=work, readable=(folder,), seconds=3_600)
    )
    return {
        name: None
        if each is None
        else Table(header=each[0], rows=each[1], why=each[2], asks=each[3])
        for name, each in found.items()
    }


#: Header, rows, the codes it notes, whether it is unsure. A child answers plain values only.
Answer = tuple[list[str], list[list[str]], str, bool]


def _stage_all(paths: list[Path], work: Path) -> dict[str, Answer | None]:
    return {path.name: _stage_one(path, work) for path in paths}


def _stage_one(path: Path, work: Path) -> Answer | None:
    try:
        tables = stage(path, name=path.name, folder=work, read=Read(), limits=IntakeLimits())
    except SourceError as error:
        return ([], [], "empty", False) if error.code is SourceCode.EMPTY else None
    table = tables[0]
    header = list(table.source.columns) if table.source.header_rows else []
    codes = dict.fromkeys(note.code.value for each in tables for note in each.source.notes)
    answer = header, rows(table), ", ".join(codes), bool(table.source.views)
    for each in work.iterdir():
        each.unlink()
    return answer


def rows(table: Staged) -> list[list[str]]:
    """The staged records as cells."""
    data, out = table.path.read_bytes(), []
    for shard in table.shards:
        text = data[shard.start : shard.end].decode()
        out += csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter)
    return out


def _headed(rows: list[list[str]]) -> Table:
    return Table(header=rows[0] if rows else [], rows=rows[1:])


#: Without these DuckDB stops at the first bad row; parallel reading loses quoted newlines.
_FORGIVING = (
    "all_varchar=true, null_padding=true, ignore_errors=true, strict_mode=false, parallel=false"
)


def duckdb_auto(path: Path, given: Given) -> Table:
    """DuckDB's own detection, text kept."""
    return _duckdb(path, _FORGIVING)


def duckdb_given(path: Path, given: Given) -> Table:
    """DuckDB told the dialect, where the rows begin and what the columns are called."""
    dialect = {"delim": "delimiter", "quote": "quotechar", "escape": "escapechar"}
    told = ", ".join(
        f"{option}={literal(given.get(name, default))}"
        for (option, name), default in zip(dialect.items(), (",", '"', '"'), strict=True)
    )
    names = [str(name) for name in given.get("column_names", ())]
    width = len(names) or int(given.get("n_columns", 1))
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(width))
    skip = given.get("preamble_lines", 0) + given.get("header_lines", 1)
    found = _duckdb(
        path,
        f"{told}, skip={skip}, header=false, auto_detect=false, columns={{{columns}}}, "
        + _FORGIVING,
    )
    return Table(header=names, rows=found.rows)


def _duckdb(path: Path, options: str) -> Table:
    with duckdb.connect() as connection:
        result = connection.execute(f"select * from read_csv({literal(str(path))}, {options})")
        header = [each[0] for each in result.description]
        rows = [["" if cell is None else str(cell) for cell in row] for row in result.fetchall()]
        return Table(header=header, rows=rows)


def clever(path: Path, given: Given) -> Table:
    """CleverCSV, its own detection."""
    return _headed([list(each) for each in clevercsv.read_table(str(path))])


def pandas_auto(path: Path, given: Given) -> Table:
    """pandas with its sniffing engine, text kept."""
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame = pd.read_csv(
            path, sep=None, engine="python", dtype=str, keep_default_na=False,
            on_bad_lines="skip", header=None, skip_blank_lines=True,
        )  # fmt: skip
    return _headed(
        [
            ["" if not isinstance(cell, str) else str(cell) for cell in row]
            for row in frame.values.tolist()
        ]
    )


def polars_tolerant(path: Path, given: Given) -> Table:
    """polars with everything forgiving switched on."""
    import polars as pl

    frame = pl.read_csv(path, infer_schema=False, ignore_errors=True, truncate_ragged_lines=True)
    return Table(header=frame.columns, rows=[[cell or "" for cell in row] for row in frame.rows()])


_ALL: Mapping[str, tuple[str, Callable[[Path, Given], Table]]] = {
    "duckdb given": ("duckdb", duckdb_given),
    "duckdb auto": ("duckdb", duckdb_auto),
    "clevercsv": ("clevercsv", clever),
    "pandas auto": ("pandas", pandas_auto),
    "polars tolerant": ("polars", polars_tolerant),
}


def others() -> dict[str, Callable[[Path, Given], Table]]:
    """Readers whose library is installed. A child must not look for them: they are barred there."""
    return {name: read for name, (library, read) in _ALL.items() if find_spec(library)}
