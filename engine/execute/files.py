"""What a staged and judged shard leaves behind: invalid cells, valid rows, how full the fields are."""

from pathlib import Path

from engine.compiler.program import CellCode, Program
from engine.execute.job import Part
from engine.intake.source import Shard
from engine.shards import Database
from engine.sql import literal
from plans.template import Severity

#: Records of a shard whose values are told apart: enough to see that a field is hollow.
FIRST = 100_000


def describe(db: Database, part: Part) -> None:
    """The table "checks": what the numbers of a part's checks stand for, for people."""
    db.run(
        'CREATE OR REPLACE TABLE checks (number USMALLINT, "column" VARCHAR, field VARCHAR,'
        " code VARCHAR, message VARCHAR, severity VARCHAR, positions USMALLINT[])"
    )
    headers = part.staged.source.columns
    rows = [
        (
            c.number,
            headed(headers, c.columns),
            c.field,
            c.code,
            c.message,
            c.severity,
            list(c.columns),
        )
        for c in part.program.checks
    ]
    db.connection.executemany("INSERT INTO checks VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    db.run("CREATE OR REPLACE TABLE breaks (ordinal BIGINT, source_row BIGINT)")
    db.connection.executemany("INSERT INTO breaks VALUES (?, ?)", part.staged.breaks or [(0, 1)])


def headed(headers: tuple[str, ...], columns: tuple[int, ...]) -> str | None:
    """The headers of these columns, with a bar between several."""
    names = [headers[n] or f"column {n + 1}" for n in columns if n < len(headers)]
    return " | ".join(names) or None


def write_cells(db: Database, part: Part, shard: Shard, path: Path) -> None:
    """The shard's invalid cells in the order of the customer's rows."""
    broken = (
        f"SELECT rowid + {shard.first} AS ordinal, unnest(errs, recursive := true)"
        " FROM stage WHERE errs IS NOT NULL"
        f" UNION ALL SELECT rn + {shard.first}, number, raw FROM found"
    )
    row, joined = numbered(part, broken)
    select = (
        f"SELECT {literal(part.file)} AS file, {literal(part.program.sheet)} AS sheet_name,"
        f' {row} AS row_number, "column", field, code, message, raw AS value, severity, positions'
        f" FROM {joined} JOIN checks USING (number) ORDER BY row_number, number"
    )
    db.run(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet)")


def write_broken(db: Database, part: Part, bad: list[tuple[int, str, str]], path: Path) -> None:
    """Rows whose shape could not be read: (source row, what is wrong, text)."""
    db.run("CREATE OR REPLACE TABLE broken (row_number BIGINT, message VARCHAR, value VARCHAR)")
    db.connection.executemany("INSERT INTO broken VALUES (?, ?, ?)", bad)
    select = (
        f"SELECT {literal(part.file)} AS file, {literal(part.program.sheet)} AS sheet_name,"
        ' row_number, CAST(NULL AS VARCHAR) AS "column", CAST(NULL AS VARCHAR) AS field,'
        f" {literal(CellCode.BROKEN_ROW)} AS code, message, value,"
        f" {literal(Severity.ERROR)} AS severity, CAST([] AS USMALLINT[]) AS positions FROM broken ORDER BY row_number"
    )
    db.run(f"COPY ({select}) TO {literal(str(path))} (FORMAT parquet)")


def numbered(part: Part, rows: str) -> tuple[str, str]:
    """The source row as SQL, and the FROM clause for it, of `rows` with an `ordinal` each."""
    if len(part.staged.breaks) > 1:
        joined = f"({rows}) x ASOF JOIN breaks b ON x.ordinal >= b.ordinal"
        return "source_row + x.ordinal - b.ordinal", joined
    start = part.staged.source_row(0) if part.staged.breaks else 1
    return f"{start} + x.ordinal", f"({rows}) x"


def distinct(db: Database, program: Program) -> dict[str, int]:
    """By output about how many different values its first valid rows have."""
    counted = ", ".join(f"approx_count_distinct(f{n})" for n in range(len(program.outputs)))
    (row,) = db.rows(f"SELECT {counted} FROM stage WHERE bad = FALSE AND rowid < {FIRST}")
    return {
        output.name: int(str(number)) for output, number in zip(program.outputs, row, strict=True)
    }
