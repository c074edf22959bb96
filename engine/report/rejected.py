"""Rejected rows in the customer's own columns, with what is wrong beside them: to fix and send again."""

import csv
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import xlsxwriter

from engine.compiler.program import CellCode
from engine.intake.source import Shard, Staged
from engine.outcome import FileOutcome, SheetOutcome
from engine.report.rows import spreadsheet_safe, told
from engine.shards import Database, database, load
from engine.sql import literal
from plans.template import Severity

#: Columns added behind the customer's own.
FILE, ROW, ERRORS = "reknit_file", "reknit_row", "reknit_errors"
#: Which row of which run it is: run, sheet, table, row number, and BROKEN where it had no cells.
ORIGIN, BROKEN = "reknit_origin", "b"
ADDED = (FILE, ROW, ERRORS, ORIGIN)

#: Rows of a worksheet below its header, and what a cell holds.
XLSX_ROWS, XLSX_TEXT = 1_048_575, 32_767

#: Comments are kept in memory until the workbook is closed.
XLSX_COMMENTS = 5_000

Key = tuple[str, int]  #: a header, and how often it stood before in the same table


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """The columns of the file: headers of all tables, and which cell of each table goes there."""

    headers: tuple[str, ...]
    tables: tuple[tuple[FileOutcome, Staged, tuple[int | None, ...]], ...]
    marks: tuple[str, ...]  #: of each table: what its rows' marks begin with; none without a run

    @property
    def added(self) -> tuple[str, ...]:
        """Our own columns."""
        names = (FILE, ROW, ERRORS) if len(self.tables) > 1 else (ROW, ERRORS)
        return (*names, ORIGIN) if self.marks else names


def write_rejected(
    sheet: SheetOutcome,
    tables: Sequence[Staged],
    path: Path,
    *,
    safe: bool = False,
    marks: Sequence[str] = (),
) -> None:
    """CSV of every row that an error made invalid. `tables`: all staged tables of the run.

    `marks`: what identifies the rows of each table, so that they can be sent again.
    """
    layout = _layout(sheet, tables, marks)
    part = path.with_name(f".{path.name}.part")
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerow((*layout.headers, *layout.added))
    with path.open("ab") as whole:
        for db, _ in _chosen(layout, path.parent, safe=safe):
            rows = f"SELECT * EXCLUDE (marks) FROM chosen ORDER BY {ROW}"
            options = "FORMAT csv, HEADER false, new_line '\r\n'"
            db.run(f"COPY ({rows}) TO {literal(str(part))} ({options})")
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, whole, 1 << 20)
            part.unlink()


def write_rejected_xlsx(
    sheet: SheetOutcome, tables: Sequence[Staged], path: Path, *, marks: Sequence[str] = ()
) -> None:
    """The same as a workbook: bad cells highlighted, and a comment on each of the first ones."""
    layout = _layout(sheet, tables, marks)
    texts = {f"strings_to_{kind}": False for kind in ("formulas", "urls", "numbers")}
    options = {"constant_memory": True, "tmpdir": str(path.parent), **texts}
    with xlsxwriter.Workbook(str(path), options) as book:
        paper = _Paper(book, (*layout.headers, *layout.added))
        for db, cells in _chosen(layout, path.parent, safe=False):
            at = {cell: column for column, cell in enumerate(cells)}
            rows = db.connection.execute(f"SELECT * FROM chosen ORDER BY {ROW}")
            while some := rows.fetchmany(1_000):
                for *row, flaws in some:
                    bad = {at[n]: each["message"] for each in flaws for n in each["positions"]}
                    paper.write(row, bad)


class _Paper:
    """Worksheets written from top to bottom; a new one where the last is full."""

    def __init__(self, book: xlsxwriter.Workbook, headers: tuple[str, ...]) -> None:
        self.book, self.headers = book, headers
        self.bold = book.add_format({"bold": True, "bg_color": "#EEEEEE"})
        self.bad = book.add_format({"bg_color": "#FFC7CE", "font_color": "#9C0006"})
        self.comments = 0
        self._turn()

    def write(self, row: Sequence[Any], bad: Mapping[int, str]) -> None:
        """One row; `bad`: column to what is wrong with its cell."""
        if self.row > XLSX_ROWS:
            self._turn()
        for at, value in enumerate(row):
            form = self.bad if at in bad else None
            if isinstance(value, int):
                self.sheet.write_number(self.row, at, value, form)
            elif value is not None:
                self.sheet.write_string(self.row, at, value[:XLSX_TEXT], form)
            elif form:
                self.sheet.write_blank(self.row, at, None, form)
        for at, message in bad.items():
            if self.comments < XLSX_COMMENTS:
                self.sheet.write_comment(self.row, at, message)
                self.comments += 1
        self.row += 1

    def _turn(self) -> None:
        self.sheet = self.book.add_worksheet()
        self.sheet.freeze_panes(1, 0)
        self.sheet.write_row(0, 0, [each[:XLSX_TEXT] for each in self.headers], self.bold)
        self.row = 1


def _layout(sheet: SheetOutcome, tables: Sequence[Staged], marks: Sequence[str]) -> _Layout:
    """Columns of one header come together, the second `Phone` of each file with the second."""
    keys = [column_keys(tables[file.table].source.columns) for file in sheet.files]
    wanted = tuple(dict.fromkeys(key for each in keys for key in each))
    found = []
    for file, each in zip(sheet.files, keys, strict=True):
        at = {key: n for n, key in enumerate(each)}
        found.append((file, tables[file.table], tuple(at.get(key) for key in wanted)))
    return _Layout(
        headers=tuple(header for header, _ in wanted),
        tables=tuple(found),
        marks=tuple(marks[file.table] for file in sheet.files) if marks else (),
    )


def column_keys(headers: tuple[str, ...]) -> list[Key]:
    """Each header with its number among those of its name."""
    seen: Counter[str] = Counter()
    keys = []
    for header in headers:
        keys.append((header, seen[header]))
        seen[header] += 1
    return keys


def _chosen(
    layout: _Layout, folder: Path, *, safe: bool
) -> Iterator[tuple[Database, tuple[int | None, ...]]]:
    """For each shard the table "chosen": its rejected rows as they go into the file, and `marks`."""
    paths = [path for file, _, _ in layout.tables for path in file.cells]
    with database(folder, readable=paths) as db:
        for number, (file, staged, cells) in enumerate(layout.tables):
            if not file.cells:
                continue
            mark = layout.marks[number] if layout.marks else ""
            db.run("CREATE OR REPLACE TABLE breaks (ordinal BIGINT, source_row BIGINT)")
            breaks = staged.breaks or ((0, staged.source.first_row),)
            db.connection.executemany("INSERT INTO breaks VALUES (?, ?)", breaks)
            for shard in staged.shards or (None,):
                _reject(db, file, staged, shard)
                _raw(db, staged, shard)
                _choose(db, layout, file, cells, mark=mark, safe=safe)
                yield db, cells


def _reject(db: Database, file: FileOutcome, staged: Staged, shard: Shard | None) -> None:
    """The table "rejected": source row, its record in the shard, what is wrong with it."""
    first, end = (shard.first, shard.first + shard.records) if shard else (0, 0)
    # Broken rows stand between records: they belong to the shard in whose range their row falls.
    low = staged.source_row(first) if first else 0
    high = f" AND row_number < {staged.source_row(end)}" if end < staged.records else ""
    cells = ", ".join(literal(str(path)) for path in file.cells)
    message = f"coalesce(field || ': ', '') || {told('message', 'value')}"
    broken = f"any_value(value) FILTER (WHERE code = {literal(CellCode.BROKEN_ROW)})"
    rows = (
        f"SELECT row_number, string_agg({message}, '; ') AS errors, {broken} AS broken,"
        " list({'positions': positions, 'message': message}) AS marks"
        f" FROM read_parquet([{cells}]) WHERE severity = {literal(Severity.ERROR)}"
        f" AND row_number >= {low}{high} GROUP BY row_number"
    )
    db.run(
        "CREATE OR REPLACE TABLE rejected AS SELECT r.*, CASE WHEN broken IS NULL"
        f" THEN r.row_number - b.source_row + b.ordinal - {first} END AS record"
        f" FROM ({rows}) r ASOF LEFT JOIN breaks b ON r.row_number >= b.source_row"
    )


def _raw(db: Database, staged: Staged, shard: Shard | None) -> None:
    """The table "raw": the shard's records as they came."""
    build = 'CREATE OR REPLACE TABLE raw AS SELECT * FROM "source"'
    if shard:
        load(db, staged, shard, build=partial(db.run, build), table="raw")
    else:
        names = ", ".join(f"c{n} VARCHAR" for n in range(staged.width))
        db.run(f"CREATE OR REPLACE TABLE raw ({names})")


def _choose(
    db: Database,
    layout: _Layout,
    file: FileOutcome,
    cells: tuple[int | None, ...],
    *,
    mark: str,
    safe: bool,
) -> None:
    texts = ["NULL" if cell is None else f"w.c{cell}" for cell in cells]
    # A row whose shape could not be read has no cells: its whole text stands in the first one.
    texts[:1] = [f"coalesce(r.broken, {each})" for each in texts[:1]]
    texts = [spreadsheet_safe(each) if safe else each for each in texts]
    names = [f"{each} AS k{n}" for n, each in enumerate(texts)]
    names += [f"{literal(file.file)} AS {FILE}"] if FILE in layout.added else []
    broken = f"CASE WHEN r.broken IS NULL THEN '' ELSE '{BROKEN}' END"
    origin = f", {literal(mark + '.')} || r.row_number || {broken} AS {ORIGIN}" if mark else ""
    db.run(
        f"CREATE OR REPLACE TABLE chosen AS SELECT {', '.join(names)}, r.row_number AS {ROW},"
        f" r.errors AS {ERRORS}{origin}, r.marks AS marks"
        " FROM rejected r LEFT JOIN raw w ON w.rowid = r.record"
    )
