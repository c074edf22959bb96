"""Rejected rows that are sent again, as tables in which each row keeps its place in the first files."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import SourceCode, SourceError
from engine.intake import IntakeLimits, stage
from engine.intake.source import BrokenRow, Source, Staged
from engine.intake.staging import DELIMITER, Writer, index
from engine.outcome import Outcome
from engine.phase import Rejects
from engine.report.rejected import ADDED, BROKEN, ORIGIN, column_keys
from engine.shards import Database, database, load
from engine.sql import literal
from plans.plan import Read
from plans.template import Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Which sheet a table's rows were rejected from, and the number of their table in the first run."""

    sheet: str
    table: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Resent:
    """One table for each sheet and table of the first run, rows in their first order."""

    staged: tuple[Staged, ...]
    places: tuple[Place, ...]


def resend(files: Sequence[tuple[str, Path]], rejects: Rejects, *, folder: Path) -> Resent:
    """Stage the rows of rejected-rows files (name, path); SourceError when a row is not of the run.

    Rows that an earlier replay took in count as skipped. Child process.
    """
    with database(folder, readable=rejects.settled) as db:
        db.run("CREATE TABLE known (mark VARCHAR)")
        for path in rejects.rejected:
            _know(db, path)
        db.run(
            "CREATE TABLE sent (file INTEGER, mark VARCHAR, source_row BIGINT, cells VARCHAR[],"
            " settled BOOLEAN)"
        )
        headers: list[Source] = []
        for number, (name, path) in enumerate(files):
            below = folder / f"resent-{number}"
            below.mkdir()
            read = Read(has_header=True, header_row=1, footer_rows=0)
            for staged in stage(path, name=name, folder=below, read=read, limits=IntakeLimits()):
                _send(db, staged, len(headers), run=rejects.run)
                headers.append(staged.source)
        _mark_settled(db, rejects.settled)
        _refuse(db, headers, rejects.run)
        return _tables(db, headers, rejects, folder)


def settle(outcome: Outcome, resent: Resent, *, to: Path) -> int:
    """Write which of the rows sent again were not rejected any more; how many. Child process."""
    rows: list[tuple[str, int, int]] = []
    for staged, place in zip(resent.staged, resent.places, strict=True):
        sent = {staged.source_row(ordinal) for ordinal in range(staged.records)}
        for sheet in outcome.sheets:
            for file in sheet.files:
                if resent.staged[file.table] is staged:
                    sent -= set(_rejected(file.cells))
        rows += [(place.sheet, place.table, row) for row in sorted(sent)]
    columns = [list(each) for each in zip(*rows, strict=True)] or [[], [], []]
    types = (pa.string(), pa.int64(), pa.int64())
    arrays = [pa.array(each, type_) for each, type_ in zip(columns, types, strict=True)]
    pq.write_table(pa.table(arrays, ["sheet", "table", "row"]), to)
    return len(rows)


def _rejected(cells: Sequence[Path]) -> Iterator[int]:
    for path in cells:
        told = pq.read_table(path, columns=["row_number", "severity"]).to_pydict()
        for row, severity in zip(told["row_number"], told["severity"], strict=True):
            if severity == Severity.ERROR:
                yield int(row)


def _know(db: Database, path: Path) -> None:
    """The marks of rows that the first run rejected."""
    csv.field_size_limit(1 << 30)
    with path.open(encoding="utf-8", newline="") as text:
        rows = csv.reader(text)
        at = next(rows).index(ORIGIN)
        marks = pa.array([row[at] for row in rows], pa.string())
    db.connection.register("marks", pa.table([marks], ["mark"]))
    db.run("INSERT INTO known SELECT mark FROM marks")
    db.connection.unregister("marks")


def _send(db: Database, staged: Staged, file: int, *, run: str) -> None:
    """The file's rows with their marks."""
    source = staged.source
    at = next((n for n, name in enumerate(source.columns) if name.strip() == ORIGIN), None)
    if at is None:
        message = f"there is no column {ORIGIN}: send the file of rejected rows of run {run} itself"
        raise SourceError(SourceCode.FOREIGN, message, file=source.file)
    cells = ", ".join(f"c{n}" for n in range(staged.width))
    build = 'CREATE OR REPLACE TABLE raw AS SELECT * FROM "source"'
    for shard in staged.shards:
        load(db, staged, shard, build=partial(db.run, build), table="raw")
        db.run(
            f"INSERT INTO sent SELECT {file}, trim(c{at}), rowid + {shard.first}, [{cells}], false"
            " FROM raw"
        )


def _mark_settled(db: Database, settled: Sequence[Path]) -> None:
    for path in settled:
        rows = (
            f"SELECT concat_ws('.', sheet, \"table\", row) FROM read_parquet({literal(str(path))})"
        )
        db.run(f"UPDATE sent SET settled = true WHERE {_after_run('mark')} IN ({rows})")


def _after_run(mark: str) -> str:
    """SQL: sheet, table and row of a mark."""
    return f"rtrim(substr({mark}, strpos({mark}, '.') + 1), '{BROKEN}')"


def _refuse(db: Database, sources: Sequence[Source], run: str) -> None:
    """SourceError for the first row that is not of the run, or comes twice."""
    strange = (
        "SELECT file, source_row, mark, false FROM sent WHERE mark IS NULL"
        " OR mark NOT IN (SELECT mark FROM known)"
    )
    twice = (
        "SELECT file, source_row, mark, true FROM (SELECT *, row_number() OVER (PARTITION BY mark"
        " ORDER BY file, source_row) AS nth FROM sent) WHERE nth > 1"
    )
    found = db.rows(f"({strange} UNION ALL {twice}) ORDER BY file, source_row LIMIT 1")
    for file, _, mark, again in found:
        why = "comes twice" if again else f"is no rejected row of run {run}"
        message = f"{ORIGIN} {mark or 'is empty, and so the row'!s} {why}; new rows are an import of their own"  # fmt: skip
        raise SourceError(SourceCode.FOREIGN, message, file=sources[int(str(file))].file)
    if not db.number("SELECT count(*) FROM sent WHERE NOT settled"):
        message = f"every row was taken in by an earlier replay of run {run}"
        raise SourceError(SourceCode.HEADER_ONLY, message)


def _tables(db: Database, headers: Sequence[Source], rejects: Rejects, folder: Path) -> Resent:
    db.run(
        "CREATE TABLE placed AS SELECT split_part(mark, '.', 2) AS sheet,"
        " CAST(split_part(mark, '.', 3) AS INTEGER) AS tbl,"
        f" CAST(rtrim(split_part(mark, '.', 4), '{BROKEN}') AS BIGINT) AS row,"
        f" ends_with(mark, '{BROKEN}') AS broken, file, cells FROM sent WHERE NOT settled"
    )
    skipped = db.number("SELECT count(*) FROM sent WHERE settled")
    groups = db.rows("SELECT DISTINCT sheet, tbl FROM placed ORDER BY ALL")
    layouts = [column_keys(each.columns) for each in headers]
    known = {key for source in rejects.sources for key in column_keys(source.columns)}
    added = [
        key for key in dict.fromkeys(k for each in layouts for k in each)
        if key not in known and key[0].strip() not in ADDED
    ]  # fmt: skip
    staged, places = [], []
    for number, (sheet, table) in enumerate(groups):
        place = Place(sheet=str(sheet), table=int(str(table)))
        source = rejects.sources[place.table]
        keys = [*column_keys(source.columns), *added]
        cells = [{key: n for n, key in enumerate(each)} for each in layouts]
        at = [[each.get(key) for key in keys] for each in cells]
        source = replace(source, columns=tuple(name for name, _ in keys), notes=(), choices=())
        path = folder / f"resent-{place.sheet}-{place.table}.csv"
        staged.append(_staged(db, place, source, at, path, skipped=0 if number else skipped))
        places.append(place)
    return Resent(staged=tuple(staged), places=tuple(places))


def _staged(
    db: Database,
    place: Place,
    source: Source,
    at: Sequence[Sequence[int | None]],
    path: Path,
    *,
    skipped: int,
) -> Staged:
    """One table's rows as canonical text; `at`: for each file the cells of the table's columns."""
    limits, breaks, broken = IntakeLimits(), list[tuple[int, int]](), list[BrokenRow]()
    rows = db.connection.execute(
        "SELECT row, broken, file, cells FROM placed WHERE sheet = $1 AND tbl = $2 ORDER BY row",
        [place.sheet, place.table],
    )
    last = 0
    with Writer(path, len(source.columns), limit=limits.inflated) as out:
        while some := rows.fetchmany(1_000):
            for row, was_broken, file, cells in some:
                values = [(cells[n] if n is not None else None) or "" for n in at[file]]
                if was_broken and not any(values[1:]):
                    broken.append(_broken(row, values[0]))
                    continue
                if not breaks or row != last + 1:
                    breaks.append((out.records, row))
                out.write(values)
                last = row
    return Staged(
        source=replace(
            source, read=out.records + len(broken) + skipped, broken=len(broken), skipped=skipped
        ),
        path=path,
        delimiter=DELIMITER,
        width=len(source.columns),
        records=out.records,
        shards=index(out, limits),
        breaks=tuple(breaks) or ((0, 1),),
        broken=tuple(broken),
    )


def _broken(row: int, text: str) -> BrokenRow:
    message = "its shape could not be read, and it came back uncorrected"
    return BrokenRow(row=row, line=row, code="broken_row", message=message, text=text)
