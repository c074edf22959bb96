"""Builds small programs for tests, and runs one over rows in memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
from tables import source

from engine.binding import Binding, Bound, Pass
from engine.compiler.program import Program
from engine.compiler.sheet import compile_sheet
from plans.plan import SheetPlan
from plans.template import Template

Row = Sequence[str | None]


def template(*fields: Mapping[str, Any], name: str = "things", **more: Any) -> Template:
    return Template.model_validate({"template": name, "fields": fields, **more})


def sheet(*columns: Mapping[str, Any], of: str = "things", **more: Any) -> SheetPlan:
    return SheetPlan.model_validate({"template": of, "columns": columns, **more})


def compiled(plan: SheetPlan, of: Template, headers: Sequence[str]) -> Program:
    """The program of a sheet whose columns have exactly the plan's headers."""
    bounds, missing = [], []
    for mapping in plan.mappings:
        names = [column.header for column in mapping.columns]
        if not names or any(name not in headers for name in names):
            missing += [mapping.field] if names else []
            continue
        columns = tuple(headers.index(str(name)) for name in names)
        bound = Bound(field=mapping.field, columns=columns, by=Pass.EXACT, score=1.0, evidence="")
        bounds.append(bound)
    used = {column for bound in bounds for column in bound.columns}
    binding = Binding(
        sheet=plan.name,
        bounds=tuple(bounds),
        missing=tuple(missing),
        extra=tuple(n for n in range(len(headers)) if n not in used),
    )
    width = len(headers)
    return compile_sheet(plan, of, binding, source(headers), width=width, delimiter=",")


def judged(
    program: Program, rows: Sequence[Row]
) -> list[tuple[tuple[Any, ...], bool, list[tuple[str, str | None]]]]:
    """Each row's values, whether it is bad, and its broken checks as (code, raw text)."""
    with duckdb.connect() as connection:
        connection.execute("SET disabled_optimizers = 'in_clause'")
        connection.execute("SET TimeZone = 'Asia/Tokyo'")  # the machine's zone must not matter
        columns = ", ".join(f"c{n} VARCHAR" for n in range(program.width))
        connection.execute(f'CREATE TABLE "source" ({columns})')
        marks = ", ".join("?" * program.width)
        connection.executemany(f'INSERT INTO "source" VALUES ({marks})', rows)
        found = connection.execute(program.stage).fetchall()
    width = len(program.outputs)
    return [
        (
            row[:width],
            row[-2],
            [(program.check(each["number"]).code, each["raw"]) for each in row[-1] or []],
        )
        for row in found
    ]


def through(
    transforms: Sequence[Any], *cells: str | None, type: str = "string", **field: Any
) -> Any:
    """What one row's cells become in a field of that type; the code when they are refused."""
    headers = [f"col{n}" for n in range(len(cells))]
    plan = sheet({"field": "x", "from": headers, "transforms": transforms})
    program = compiled(plan, template({"name": "x", "type": type, **field}), headers)
    (((value, *_), _, broken),) = judged(program, [cells])
    return broken[0][0] if broken else value
