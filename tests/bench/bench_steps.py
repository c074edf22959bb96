"""The pieces of an import that the benchmark runs in sandbox children."""

from dataclasses import replace
from pathlib import Path

import duckdb
from bench_data import SHEET, TEMPLATE, TEXT_SHEET, TEXT_TEMPLATE, USER, USER_SHEET

from engine.binding import Binding, Bound, Pass, bind
from engine.compiler.program import Program
from engine.compiler.sheet import compile_sheet
from engine.execute import Job, Part, execute
from engine.intake.source import Staged
from engine.outcome import Outcome
from engine.profile import profile
from engine.report import write_invalid_cells, write_parquet, write_valid
from plans.changes import AddFormats, apply
from plans.plan import Plan, SheetPlan
from plans.template import Template


def floor(table: Path, folder: Path, *, threads: int = 2) -> int:
    """What nobody can do without: parse every cell as text and write Parquet."""
    with duckdb.connect(config={"threads": threads}) as db:
        db.execute(f"SET temp_directory = '{folder}'")
        target = folder / "floor.parquet"
        ((rows,),) = db.execute(
            f"COPY (SELECT * FROM read_csv('{table}', all_varchar = true)) TO '{target}'"
        ).fetchall()
        target.unlink()
    return int(rows)


def bound(tables: tuple[Staged, Staged]) -> tuple[Job, Job]:
    """Profile, bind and compile both sheets."""
    return _job(USER_SHEET, USER, tables[0], 0), _job(SHEET, TEMPLATE, tables[1], 1)


def as_text(tables: tuple[Staged, Staged], jobs: tuple[Job, Job]) -> tuple[Job, Job]:
    """The peers' rules: patterns on the text as it stands."""
    return jobs[0], _compiled(TEXT_SHEET, TEXT_TEMPLATE, tables, jobs)


def _job(sheet: SheetPlan, template: Template, staged: Staged, table: int) -> Job:
    binding = bind(sheet, template, staged.source, profile(staged))
    program = compile_sheet(
        sheet, template, binding, staged.source, width=staged.width, delimiter=staged.delimiter
    )
    part = Part(program=program, staged=staged, table=table)
    return Job(sheet=sheet.name, template=template.template, parts=(part,))


def revised(tables: tuple[Staged, Staged], jobs: tuple[Job, Job]) -> tuple[Job, Job]:
    """Both jobs after an approved change: one more date format."""
    change = AddFormats(sheet="companies", field="created", formats=("%Y/%m/%d",))
    plan = apply(Plan(plan="bench", sheets=(SHEET,)), change)
    return jobs[0], _compiled(plan.sheet("companies"), TEMPLATE, tables, jobs)


def _compiled(
    sheet: SheetPlan, template: Template, tables: tuple[Staged, Staged], jobs: tuple[Job, Job]
) -> Job:
    """The second job with another plan and the binding it had."""
    (old,), staged = jobs[1].parts, tables[1]
    source, binding = staged.source, bound_as(old.program)
    width, delimiter = staged.width, staged.delimiter
    program = compile_sheet(sheet, template, binding, source, width=width, delimiter=delimiter)
    return replace(jobs[1], parts=(replace(old, program=program),))


def bound_as(program: Program) -> Binding:
    """The binding a program was compiled from: a re-run binds nothing anew."""
    bounds = (
        Bound(field=each.name, columns=each.columns, by=Pass.REMEMBERED, score=1.0, evidence="")
        for each in program.outputs
    )
    return Binding(sheet=program.sheet, bounds=tuple(bounds), missing=(), extra=())


def judged(jobs: tuple[Job, Job], folder: Path, *, write: bool, threads: int = 2) -> Outcome:
    """Run the programs; with the CSV of invalid cells, and the one of valid rows where written."""
    folder.mkdir(exist_ok=True)
    outcome = execute(jobs, folder=folder, threads=threads, write=write)
    sheet = outcome.sheets[1]
    write_invalid_cells(sheet, folder / "invalid-cells.csv")
    if write:
        write_valid(sheet, folder / "valid.csv")
        write_parquet(sheet, folder / "valid.parquet")
    return outcome


def misplaced(outcome: Outcome) -> int:
    """Bad UUIDs say the row they stand in: how many are reported elsewhere."""
    paths = [str(path) for path in outcome.sheets[1].invalid_cells]
    with duckdb.connect() as db:
        query = (
            "SELECT count(*) FROM read_parquet(?) WHERE field = 'uuid'"
            " AND value <> 'not-a-uuid-' || row_number"
        )
        return int(db.execute(query, [paths]).fetchall()[0][0])
