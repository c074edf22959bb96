"""Keys of a whole sheet before its rows are judged: what stands twice in different shards."""

from functools import partial
from pathlib import Path

from engine.compiler.program import Program, Wanted
from engine.execute.across import IDENTITY
from engine.execute.again import keys_again
from engine.execute.job import Job, columns
from engine.execute.stage import stage
from engine.shards import Database, load
from engine.sql import literal
from plans.plan import Duplicates


def twice(db: Database, job: Job, folder: Path) -> dict[int, str]:
    """For every rule about uniqueness a table of the keys several rows have, by the rule's position."""
    rules = _rules(job.parts[0].program)
    if not rules:
        return {}
    paths = []
    for at, part in enumerate(job.parts):
        keys = [key for _, key in _rules(part.program)]
        paths += scan(db, job, at, select=keys, folder=folder)
    files = ", ".join(literal(str(path)) for path in paths)
    found = {}
    for n, (at, _) in enumerate(rules):
        source = f"read_parquet([{files}])"
        db.run(f"CREATE OR REPLACE TABLE twice{n} AS FROM {keys_again(db, f'k{n}', source)}")
        found[at] = f"twice{n}"
    for path in paths:
        path.unlink()
    return found


def parents(db: Database, jobs: tuple[Job, ...], want: Wanted, *, table: str, folder: Path) -> None:
    """Fill the table with what another sheet has, valid or not: for sheets that refer in a circle."""
    for job in jobs:
        for at, part in enumerate(job.parts):
            names = [f"CAST({each} AS VARCHAR)" for each in columns(part.program, want.fields)]
            for path in scan(db, job, at, select=names, folder=folder):
                db.run(
                    f"INSERT INTO {table} ({', '.join(('key', 'take')[: len(names)])})"
                    f" SELECT DISTINCT * FROM read_parquet({literal(str(path))})"
                    " WHERE k0 IS NOT NULL"
                )
                path.unlink()


def scan(db: Database, job: Job, at: int, *, select: list[str], folder: Path) -> list[Path]:
    """One pass over a part that keeps only these expressions, a Parquet file a shard."""
    part = job.parts[at]
    names = ", ".join(f"{each} AS k{n}" for n, each in enumerate(select))
    paths = []
    for shard in part.staged.shards:
        path = folder / f"keys-{at}-{shard.index}.parquet"
        if part.program.keyed:
            stage(db, part, shard)
            rows = f"SELECT {names} FROM stage"
        else:
            narrow = f"CREATE OR REPLACE TABLE stage AS SELECT {names} FROM ({part.program.values})"
            load(db, part.staged, shard, build=partial(db.run, narrow), table="stage")
            rows = "SELECT * FROM stage"
        db.run(f"COPY ({rows}) TO {literal(str(path))}")
        paths.append(path)
    return paths


def _rules(program: Program) -> list[tuple[int, str]]:
    found = [(at, rule.key) for at, rule in enumerate(program.across) if not rule.parent]
    if program.identity and program.duplicates is Duplicates.REJECT:
        found.append((IDENTITY, program.identity))
    return found
