"""One shard through its program into the table "stage", lookups joined in the records' order."""

from functools import partial

from engine.compiler.program import Program
from engine.execute.job import Part
from engine.intake.source import Shard
from engine.shards import BadRecord, Database, assert_ordered, load


def stage(db: Database, part: Part, shard: Shard) -> tuple[BadRecord, ...]:
    """Fill "stage" with the shard's records: row id N is record N. Gives the unreadable ones."""
    create = partial(_create, db, part.program)
    return load(db, part.staged, shard, build=create, table="stage")


def _create(db: Database, program: Program) -> None:
    db.run("DROP TABLE IF EXISTS stage")
    if program.keyed:
        _look_up(db, program)
        db.run(f"CREATE TABLE stage AS {program.stage}")
        db.run("DROP VIEW looked")
        db.run("DROP TABLE keyed")
        return
    create = f"CREATE TABLE stage AS {program.stage}"
    assert_ordered(db, create)
    db.run(create)


def _look_up(db: Database, program: Program) -> None:
    """Join the looked-up rows to the records, in the records' order."""
    create = f"CREATE OR REPLACE TABLE keyed AS {program.keyed}"
    assert_ordered(db, create)
    db.run(create)
    cells = [f"k.c{n}" for n in range(program.width)]
    joins = []
    for n in range(len(program.lookups)):
        cells += [f"k.k{n}", f"p{n}.take AS l{n}", f"p{n}.key IS NOT NULL AS m{n}"]
        joins.append(f"LEFT JOIN pick{n} p{n} ON p{n}.key = k.k{n}")
    db.run(
        f"CREATE OR REPLACE TEMP VIEW looked AS SELECT {', '.join(cells)}"
        f" FROM (SELECT rowid AS rn, * FROM keyed) k {' '.join(joins)} ORDER BY k.rn"
    )
