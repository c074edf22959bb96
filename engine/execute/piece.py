"""One shard through its program, the rules across rows and into its files."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from engine.accounting import Accounting
from engine.compiler.program import Wanted
from engine.execute import across, files
from engine.execute.job import Job, Part, columns
from engine.execute.stage import judging, stage
from engine.execute.valid import ValidRows
from engine.intake.source import Shard
from engine.shards import BadRecord, Database
from plans.template import OnInvalid


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What every shard of a run needs."""

    db: Database
    folder: Path
    write: bool
    read: Callable[[int], None]  #: told how many records were done
    wants: dict[Wanted, str]  #: tables of what sheets ask of each other
    stops: list[tuple[int, int, str]]  #: part, record and message of cells that stop the run


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """What one shard gave: where its rows went (`read` and `skipped` left out), and its files."""

    accounting: Accounting
    filled: Mapping[str, int] = field(
        default_factory=dict
    )  #: by column how many valid rows have a value
    distinct: Mapping[str, int] = field(
        default_factory=dict
    )  #: by output how many different ones, about
    cells: tuple[Path, ...] = ()
    parquet: tuple[Path, ...] = ()
    csv: tuple[Path, ...] = ()


def judge(
    run: Run, job: Job, at: int, *, shard: Shard, known: across.Known, rows: ValidRows | None
) -> Piece:
    """Stage one shard of the job's part, judge its rows and write what it leaves; valid ones to `rows`."""
    part, db = job.parts[at], run.db
    name = f"{at:03}-{shard.index:05}"
    stem = run.folder / f"{job.sheet}-{name}"
    offers = {want: run.wants[want] for want in run.wants if want.template == job.template}
    unread = stage(db, part, shard, only=_needed(run, part, offers))
    _set_aside(db, unread)
    across.apply(db, part.program, known, shard=name)
    _watch(run, at, part=part, shard=shard)
    for want, table in offers.items():
        _offer(db, part, want, table)
    cells = [_whole(f"{stem}.cells.parquet", partial(files.write_cells, db, part, shard))]
    if unread:
        row = part.staged.source_row
        broken = [(row(shard.first + each.ordinal), each.message, each.text) for each in unread]
        path = f"{stem}.unread.parquet"
        cells.append(_whole(path, partial(files.write_broken, db, part, broken)))
    piece = Piece(
        accounting=_accounting(db),
        filled=rows.write(db, shard) if rows else {},
        distinct=files.distinct(db, part.program) if rows else {},
        cells=tuple(cells),
    )
    db.run("DROP TABLE stage")
    run.read(shard.records)
    return piece


def broken_rows(run: Run, job: Job, at: int) -> tuple[Piece, ...]:
    """The rows intake could not read: invalid, with their text."""
    part = job.parts[at]
    broken = part.staged.broken
    if not part.staged.source.broken:
        return ()
    rows = [(each.row, each.message, each.text) for each in broken]
    path = f"{run.folder / job.sheet}-{at:03}.broken.parquet"
    cells = _whole(path, partial(files.write_broken, run.db, part, rows))
    return (Piece(accounting=Accounting(invalid=part.staged.source.broken), cells=(cells,)),)


def _needed(run: Run, part: Part, offers: Iterable[Wanted]) -> tuple[str, ...]:
    """Columns of the stage: all to write them, else those by which rows are judged."""
    if run.write:
        return ("*",)
    offered = [name for want in offers for name in columns(part.program, want.fields)]
    return judging(part.program, offered)


def _set_aside(db: Database, unread: tuple[BadRecord, ...]) -> None:
    """Records that were unreadable stand in the stage as empty rows: told once, as broken."""
    for each in unread:
        db.run(f"UPDATE stage SET bad = TRUE, errs = NULL WHERE rowid = {each.ordinal}")


def _watch(run: Run, at: int, *, part: Part, shard: Shard) -> None:
    """Note the first cell whose field stops the run."""
    stops = [c for c in part.program.checks if c.on_invalid is OnInvalid.STOP]
    if not stops:
        return
    numbers = ", ".join(str(each.number) for each in stops)
    rows = run.db.rows(
        "SELECT rn, number, raw FROM (SELECT rowid AS rn, unnest(errs, recursive := true) FROM stage"
        f" WHERE errs IS NOT NULL UNION ALL SELECT * FROM found) WHERE number IN ({numbers})"
        " ORDER BY rn, number LIMIT 1"
    )
    for rn, number, raw in rows:
        ordinal, check = shard.first + int(str(rn)), part.program.check(int(str(number)))
        message = f"{part.file}, row {part.staged.source_row(ordinal)}, {check.field}: {raw!r} is {check.message}"  # fmt: skip
        run.stops.append((at, ordinal, message))


def _offer(db: Database, part: Part, want: Wanted, table: str) -> None:
    """What other sheets may refer to: values of valid rows."""
    names = [f"CAST({each} AS VARCHAR)" for each in columns(part.program, want.fields)]
    take = (*names, "NULL")[1]
    db.run(
        f"INSERT INTO {table} (key, take) SELECT DISTINCT {names[0]}, {take} FROM stage"
        f" WHERE bad = FALSE AND {names[0]} IS NOT NULL"
    )


def _accounting(db: Database) -> Accounting:
    (row,) = db.rows(
        "SELECT count(*) FILTER (WHERE NOT bad), count(*) FILTER (WHERE bad),"
        " count(*) FILTER (WHERE bad IS NULL) FROM stage"
    )
    valid, invalid, duplicate = (int(str(each)) for each in row)
    return Accounting(valid=valid, invalid=invalid, duplicate=duplicate)


def _whole(name: str, write: Callable[[Path], None]) -> Path:
    """Under its name a file is whole or not there."""
    path = Path(name)
    part = path.with_name(f".{path.name}")
    write(part)
    os.replace(part, path)
    return path
