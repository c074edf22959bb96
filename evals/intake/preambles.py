"""Where the names stand in real files that begin with titles and remarks; looked up by hand."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import clevercsv
import duckdb

from engine.errors import SourceError
from engine.intake import IntakeLimits, stage
from engine.sandbox import Limits, call
from plans.plan import Read

#: By file the 1-based row right above the first record: the names, or the last of their rows. Of a
#: workbook the first sheet.
NAMES = {
    "CSV_QS601EW2011WARDH_151277.csv": 8,
    "cambornedata.csv": 7,
    "mth-10-january-2014.csv": 3,
    "ni.2449-S3.csv": 5,
    "soc_structure_2010.csv": 12,
    "gla-2011-12-P13-500.csv": 7,
    "gla-2012-13-P10-250.csv": 7,
    "gla-250-report-2013-14-P07.csv": 7,
    "gla-250-report-2014-15-P07.csv": 8,
    "gla-250-report-2014-15-P08.csv": 8,
    "gla-december_2009.csv": 6,
    "bug_10283.csv": 2,
    "issue-1024.xlsx": 12,
    "issue-320.xlsx": 12,
    "biff5-rich-text-string.xls": 3,
    "minimal_package.xlsx": 3,
    "gh548_incorrect_sst_unique_count.xls": 16,
    "optional_records.xls": 8,
}


def evaluate(folders: list[Path], work: Path) -> tuple[list[str], dict[str, dict[str, int]]]:
    """The files there are, and by reader those it gets wrong: file to the row it names."""
    paths = {
        path.name: path for folder in folders for path in folder.rglob("*") if path.name in NAMES
    }
    named = call(_ours, paths, work, limits=Limits(folder=work, readable=tuple(folders)))
    wrong = {"reknit": {name: row for name, row in named.items() if row != NAMES[name]}}
    texts = {name: path for name, path in paths.items() if path.suffix == ".csv"}
    for reader, locate in PEERS.items():
        found = {name: _tried(locate, path) for name, path in texts.items()}
        wrong[reader] = {name: row for name, row in found.items() if row != NAMES[name]}
        # What a reader does not open it does not locate either.
        wrong[reader] |= dict.fromkeys(paths.keys() - texts.keys(), 0)
    return sorted(paths), wrong


def _ours(paths: dict[str, Path], work: Path) -> dict[str, int]:
    return {name: _tried(lambda path: _staged(path, work), path) for name, path in paths.items()}


def _staged(path: Path, work: Path) -> int:
    tables = stage(path, name=path.name, folder=work, read=Read(), limits=IntakeLimits())
    return max(tables[0].source.header_rows, default=0)


def _duckdb(path: Path) -> int:
    with duckdb.connect() as connection:
        found = connection.execute(
            "select SkipRows, HasHeader from sniff_csv(?)", [str(path)]
        ).fetchone()
    return int(found[0]) + 1 if found and found[1] else 0


def _clever(path: Path) -> int:
    """It tells whether there is a header, and takes the first row for it."""
    return int(clevercsv.Sniffer().has_header(path.read_text("utf-8", "replace")[:20_000]))


def _standard(path: Path) -> int:
    text = path.read_text("utf-8", "replace")[:20_000]
    next(csv.reader(io.StringIO(text)))
    return int(csv.Sniffer().has_header(text))


PEERS: dict[str, Callable[[Path], int]] = {
    "duckdb sniff_csv": _duckdb,
    "clevercsv": _clever,
    "csv.Sniffer": _standard,
}


def _tried(locate: Callable[[Path], int], path: Path) -> int:
    try:
        return locate(path)
    except (SourceError, duckdb.Error, clevercsv.Error, csv.Error):
        return 0
