"""Invalid cells counted by what is wrong with them: what questions and reports are made of."""

from collections.abc import Sequence
from pathlib import Path

from engine.compiler.program import CellCode
from engine.outcome import CellGroup
from engine.shards import Database
from engine.sql import literal
from plans.template import Severity

#: Offending values and first rows kept of a group.
VALUES, ROWS = 200, 10
#: First rows kept of each of these values.
VALUE_ROWS = 3


def groups(db: Database, sheet: str, file: str, paths: Sequence[Path]) -> tuple[CellGroup, ...]:
    """The groups of one file's invalid cells, most cells first."""
    if not paths:
        return ()
    files = ", ".join(literal(str(path)) for path in paths)
    cells = f"read_parquet([{files}])"
    db.run(
        'CREATE OR REPLACE TABLE grouped AS SELECT field, "column", code, message, severity,'
        " count(*) AS cells, count(DISTINCT row_number) AS rows, count(DISTINCT value) AS different,"
        f" min(row_number, {ROWS}) AS first_rows, row_number() OVER (ORDER BY cells DESC, min(row_number)) AS id"
        f" FROM {cells} GROUP BY ALL"
    )
    tops = _top_values(db, cells)
    return tuple(
        CellGroup(
            sheet=sheet,
            file=file,
            field=field,
            column=column,
            code=CellCode(code),
            message=message,
            severity=Severity(severity),
            cells=count,
            rows=rows,
            values=tuple((value, n) for value, n, _ in tops.get(number, ())),
            distinct=different,
            first_rows=tuple(first_rows),
            value_rows=tuple(tuple(rows) for _, _, rows in tops.get(number, ())),
        )
        for field, column, code, message, severity, count, rows, different, first_rows, number in db.connection.execute(
            "SELECT * FROM grouped ORDER BY id"
        ).fetchall()
    )


def _top_values(db: Database, cells: str) -> dict[int, list[tuple[str, int, list[int]]]]:
    """Of each group the most frequent values: the value, its cells, its first rows."""
    same = " AND ".join(
        f'c."{name}" IS NOT DISTINCT FROM g."{name}"'
        for name in ("field", "column", "code", "message", "severity")
    )
    rows = db.connection.execute(
        "SELECT id, value, n, first_rows FROM (SELECT g.id, c.value, count(*) AS n,"
        f" min(c.row_number, {VALUE_ROWS}) AS first_rows FROM"
        f" {cells} c JOIN grouped g ON {same} WHERE c.value IS NOT NULL GROUP BY ALL)"
        f" QUALIFY row_number() OVER (PARTITION BY id ORDER BY n DESC, value) <= {VALUES}"
        " ORDER BY id, n DESC, value"
    ).fetchall()
    found: dict[int, list[tuple[str, int, list[int]]]] = {}
    for number, *told in rows:
        found.setdefault(number, []).append((told[0], told[1], told[2]))
    return found
