"""One shard through its program into the table "stage", lookups joined in the records' order."""

import re
from collections.abc import Iterable
from functools import partial

from engine.compiler.program import Program
from engine.execute.job import Part
from engine.intake.source import Shard
from engine.shards import BadRecord, Database, assert_ordered, load


def stage(
    db: Database, part: Part, shard: Shard, *, only: Iterable[str] = ("*",)
) -> tuple[BadRecord, ...]:
    """Fill "stage" with the shard's records: row id N is record N. Gives the unreadable ones.

    `only`: the columns that are needed.
    """
    select = f"SELECT {', '.join(only)} FROM ({part.program.stage})"
    create = partial(_create, db, part.program, f"CREATE TABLE stage AS {select}")
    return load(db, part.staged, shard, build=create, table="stage")


def judging(program: Program, offered: Iterable[str]) -> tuple[str, ...]:
    """The stage's columns without which rows cannot be judged; `offered` to other sheets besides."""
    rules = [each for rule in program.across for each in (rule.key, rule.raw)]
    if program.identity:
        rules += [program.identity, program.identity_raw]
    named = re.findall(r"\b(?:f|raw)[0-9]+\b", " ".join(rules))
    return tuple(dict.fromkeys((*named, *offered, "bad", "errs")))


def _create(db: Database, program: Program, create: str) -> None:
    db.run("DROP TABLE IF EXISTS stage")
    if program.keyed:
        _look_up(db, program)
        db.run(create)
        db.run("DROP VIEW looked")
        db.run("DROP TABLE keyed")
        return
    assert_ordered(db, create, program=program.values)
    db.run(create)


def _look_up(db: Database, program: Program) -> None:
    """Join the looked-up rows to the records, in the records' order."""
    keyed = program.keyed or ""
    create = f"CREATE OR REPLACE TABLE keyed AS {keyed}"
    assert_ordered(db, create, program=keyed)
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
