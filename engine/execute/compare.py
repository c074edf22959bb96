"""What a change of the plan does to one field's cells, tried on the staged rows."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.compiler import types
from engine.compiler.feeds import cells_text
from engine.compiler.program import Output, Program
from engine.execute.job import Part, columns
from engine.intake.source import Shard
from engine.shards import Database, assert_ordered, database, load


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Cells of one field before and after. Samples: source row, raw text, value before and after."""

    fixed: int = 0
    broken: int = 0
    changed: int = 0
    samples: tuple[tuple[int, str, str | None, str | None], ...] = ()


def compare(
    before: Part, after: Part, *, field: str, folder: Path, limit: int = 20, threads: int = 2
) -> Comparison:
    """Run both programs over the same table and count the cells that differ; only in the child.

    Looks at a field's own checks (type, format, limits), not at rules across rows or lookups.
    """
    total = Comparison()
    with database(folder, threads=threads, memory=1 << 30) as db:
        for shard in after.staged.shards:
            _run_both(db, before, after, shard=shard, field=field)
            total = _added(db, total, after, first=shard.first, limit=limit)
    return total


def _run_both(db: Database, before: Part, after: Part, *, shard: Shard, field: str) -> None:
    """The table "pairs": row id, raw text, value and broken check of the field, twice."""
    programs = {"before": before.program, "after": after.program}
    cells = sorted({n for each in programs.values() for n in _output(each, field).columns})
    kept = ", ".join(f"c{n}" for n in cells) or "c0"
    parse = f'CREATE OR REPLACE TABLE parsed AS SELECT {kept} FROM "source"'
    load(db, after.staged, shard, build=partial(db.run, parse), table="parsed")
    empty = (f"CAST(NULL AS VARCHAR) AS c{n}" for n in range(after.staged.width) if n not in cells)
    names = ", ".join((*(f"c{n}" for n in cells), *empty))
    db.run(f'CREATE OR REPLACE TEMP VIEW "source" AS SELECT {names} FROM parsed')
    for name, program in programs.items():
        _blank_lookups(db, program)
        at = program.outputs.index(_output(program, field))
        create = f"CREATE OR REPLACE TABLE {name} AS SELECT f{at} AS f, e{at} AS e FROM ({program.values})"
        assert_ordered(db, create, program=program.values)
        db.run(create)
    output = _output(after.program, field)
    text = partial(types.canonical, output.type, output.sql_type)
    db.run(
        "CREATE OR REPLACE TABLE pairs AS SELECT b.rowid AS rn, b.e AS e0, a.e AS e1,"
        f" CAST({text('b.f')} AS VARCHAR) AS f0, CAST({text('a.f')} AS VARCHAR) AS f1,"
        f" {cells_text(output.columns)} AS raw"
        " FROM before b JOIN after a ON a.rowid = b.rowid JOIN parsed p ON p.rowid = b.rowid"
        " WHERE b.e <> a.e OR b.f IS DISTINCT FROM a.f"
    )


def _blank_lookups(db: Database, program: Program) -> None:
    """Other fields' lookups do not matter here, but the program reads their columns."""
    blank = "CAST(NULL AS VARCHAR) AS k{0}, CAST(NULL AS VARCHAR) AS l{0}, FALSE AS m{0}"
    names = "".join(f", {blank.format(n)}" for n in range(len(program.lookups)))
    db.run(f'CREATE OR REPLACE TEMP VIEW looked AS SELECT *{names} FROM "source"')


def _added(db: Database, total: Comparison, part: Part, *, first: int, limit: int) -> Comparison:
    (row,) = db.rows(
        "SELECT count(*) FILTER (WHERE e0 <> 0 AND e1 = 0), count(*) FILTER (WHERE e0 = 0 AND e1 <> 0),"
        " count(*) FILTER (WHERE e0 = 0 AND e1 = 0) FROM pairs"
    )
    fixed, broken, changed = (int(str(each)) for each in row)
    more = db.connection.execute(
        "SELECT rn, coalesce(raw, ''), CASE WHEN e0 = 0 THEN f0 END, CASE WHEN e1 = 0 THEN f1 END"
        f" FROM pairs ORDER BY e1 <> 0 DESC, rn LIMIT {max(0, limit - len(total.samples))}"
    ).fetchall()
    samples = tuple((part.staged.source_row(first + rn), *others) for rn, *others in more)
    return Comparison(
        fixed=total.fixed + fixed,
        broken=total.broken + broken,
        changed=total.changed + changed,
        samples=(*total.samples, *samples),
    )


def _output(program: Program, field: str) -> Output:
    columns(program, (field,))
    return next(each for each in program.outputs if each.name == field)
