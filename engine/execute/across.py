"""Rules across rows, on the staged shard: uniqueness, references, the identity key.

What they break goes into the table "found" (row id, check number, raw text). In "stage", `bad`
turns TRUE for a row that is invalid and NULL for one whose identity came twice.
"""

from dataclasses import dataclass
from pathlib import Path

from engine.compiler.program import Program, Wanted
from engine.execute.again import keys_again
from engine.shards import Database
from engine.sql import literal
from plans.plan import Duplicates
from plans.template import OnInvalid, Severity

#: Stands for the identity where rules are told apart by their position.
IDENTITY = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of other shards and sheets: the tables that hold it."""

    parents: dict[Wanted, str]  #: table of keys (and what is taken)
    twice: dict[int, str]  #: position of the rule (IDENTITY) to the table of keys several rows have
    seen: Path | None = None  #: folder of the identities of earlier shards; None: one shard only


def apply(db: Database, program: Program, known: Known, *, shard: str) -> None:
    """Check the rules across rows and settle which rows of the stage are valid."""
    db.run("CREATE OR REPLACE TABLE found (rn BIGINT, number USMALLINT, raw VARCHAR)")
    for at, rule in enumerate(program.across):
        where = f"{rule.key} IN (SELECT key FROM {_twice(db, rule.key, known.twice.get(at))})"
        if rule.parent:
            table = known.parents.get(Wanted(template=rule.parent[0], fields=(rule.parent[1],)))
            if table is None:
                continue
            where = f"{rule.key} IS NOT NULL AND {rule.key} NOT IN (SELECT key FROM {table})"
        _find(db, program, rule.check, rule.raw, where=where, output=rule.output)
    if program.identity and program.duplicates is Duplicates.REJECT:
        twice = _twice(db, program.identity, known.twice.get(IDENTITY))
        where = f"{program.identity} IN (SELECT key FROM {twice})"
        _find(db, program, program.duplicate, program.identity_raw, where=where, output=None)
    elif program.identity:
        _drop_duplicates(db, program, known.seen, shard=shard)


def _twice(db: Database, key: str, table: str | None) -> str:
    return table or keys_again(db, key, "stage")


def _find(
    db: Database, program: Program, number: int, raw: str, *, where: str, output: int | None
) -> None:
    """List the rows and do what the check's policy says."""
    db.run(f"INSERT INTO found SELECT rowid, {number}, {raw} FROM stage WHERE {where}")
    rows = f"rowid IN (SELECT rn FROM found WHERE number = {number})"
    check = program.check(number)
    if check.severity is Severity.ERROR:
        db.run(f"UPDATE stage SET bad = TRUE WHERE {rows}")
    elif output is not None and check.on_invalid in (OnInvalid.EMPTY, OnInvalid.DEFAULT):
        value = dict(program.defaults).get(output, "NULL")
        db.run(f"UPDATE stage SET f{output} = {value} WHERE {rows}")


def _drop_duplicates(db: Database, program: Program, seen: Path | None, *, shard: str) -> None:
    """Of the valid rows with one identity only the first (or last) stays."""
    key = program.identity
    stays = "max" if program.duplicates is Duplicates.LAST else "min"
    db.run(
        f"CREATE OR REPLACE TABLE twice AS SELECT {key} AS key, {stays}(rowid) AS stays FROM stage"
        f" WHERE bad = FALSE AND {key} IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    )
    if seen:
        _add_seen(db, str(key), seen)
    db.run(
        f"INSERT INTO found SELECT s.rowid, {program.duplicate}, {program.identity_raw}"
        f" FROM stage s JOIN twice ON {key} = twice.key WHERE s.bad = FALSE AND s.rowid <> stays"
    )
    gone = f"SELECT rn FROM found WHERE number = {program.duplicate}"
    db.run(f"UPDATE stage SET bad = NULL WHERE rowid IN ({gone})")
    if seen:
        _remember(db, str(key), seen / f"{shard}.parquet")


def _add_seen(db: Database, key: str, seen: Path) -> None:
    """Identities of earlier shards: by hash first, then by the few keys themselves."""
    db.run("CREATE TABLE IF NOT EXISTS seen (h UBIGINT)")
    db.run(
        f"CREATE OR REPLACE TABLE maybe AS SELECT DISTINCT hash({key}) AS h FROM stage"
        f" WHERE bad = FALSE AND {key} IS NOT NULL AND hash({key}) IN (SELECT h FROM seen)"
    )
    if db.number("SELECT count(*) FROM maybe"):
        parts = literal(str(seen / "*.parquet"))
        there = f"SELECT key FROM read_parquet({parts}) WHERE hash(key) IN (SELECT h FROM maybe)"
        db.run(f"DELETE FROM twice WHERE key IN ({there})")
        db.run(f"INSERT INTO twice SELECT DISTINCT key, -1 FROM ({there})")


def _remember(db: Database, key: str, path: Path) -> None:
    keys = f"SELECT {key} AS key FROM stage WHERE bad = FALSE AND {key} IS NOT NULL"
    db.run(f"COPY ({keys}) TO {literal(str(path))}")
    db.run(f"INSERT INTO seen SELECT hash(key) FROM read_parquet({literal(str(path))})")
