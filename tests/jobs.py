"""Jobs over small staged tables, run for real, and what they leave."""

import csv
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
from programs import compiled, sheet, template
from tables import staged

from engine.execute import Job, Part, execute
from engine.intake.source import Shard, Staged
from engine.outcome import Outcome, SheetOutcome
from plans.plan import SheetPlan
from plans.template import Template

PEOPLE = template(
    {"name": "id", "unique": True},
    {"name": "email", "type": "email"},
    {"name": "age", "type": "integer", "min": 0},
    name="people",
    identity=["email"],
)
HEADERS = ["id", "email", "age"]


def straight(of: Template, **more: Any) -> SheetPlan:
    """Every field from the column of its own name."""
    columns = [{"field": field.name, "from": field.name} for field in of.fields]
    return sheet(*columns, of=of.template, **more)


def in_shards(table: Staged, size: int) -> Staged:
    """The same table cut into shards of so many records."""
    lines = io.StringIO(table.path.read_text("utf-8"), newline="")
    ends, out = [0], io.StringIO()
    for row in csv.reader(lines):
        csv.writer(out, lineterminator="\n").writerow(row)
        ends.append(len(out.getvalue().encode()))
    cuts = [*range(0, table.records, size), table.records]
    shards = tuple(
        Shard(index=n, start=ends[first], end=ends[last], records=last - first, first=first)
        for n, (first, last) in enumerate(pairwise(cuts))
    )
    return replace(table, shards=shards)


def job(of: Template, *tables: Staged, first: int = 0, **more: Any) -> Job:
    plan = straight(of, **more)
    parts = (
        Part(program=compiled(plan, of, list(each.source.columns)), staged=each, table=n)
        for n, each in enumerate(tables, first)
    )
    return Job(sheet=plan.name, template=of.template, parts=tuple(parts))


def run(folder: Path, *jobs: Job, **options: Any) -> Outcome:
    folder.mkdir(exist_ok=True)
    return execute(jobs, folder=folder, **{"piece": 0, **options})


def cells(sheet: SheetOutcome) -> list[tuple[int, str | None, str, str | None]]:
    names = [str(path) for path in sheet.invalid_cells]
    query = "SELECT row_number, field, code, value FROM read_parquet(?) ORDER BY ALL"
    return duckdb.execute(query, [names]).fetchall() if names else []


def valid(sheet: SheetOutcome) -> list[list[str]]:
    text = "".join(path.read_bytes().decode() for path in sheet.valid_csv)
    return list(csv.reader(io.StringIO(text, newline="")))


def many(folder: Path, count: int = 5_000) -> Staged:
    """Ages are bad in every 7th row and say the row they stand in; some notes hold line ends."""
    rows = [
        [f"n\n{n}" if n % 5 == 0 else f"n{n}", f"p{n}@example.com", f"x{n + 2}" if n % 7 == 0 else str(n)]
        for n in range(count)
    ]  # fmt: skip
    return staged(folder, HEADERS, rows)
