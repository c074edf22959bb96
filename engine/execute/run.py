"""All sheets of a run, parents first, shard after shard in constant memory."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

from engine.accounting import Accounting
from engine.compiler.program import Stored, Wanted
from engine.errors import ExecutionError
from engine.execute import across, files, keys
from engine.execute.groups import groups
from engine.execute.job import Job, Part, in_pieces, ordered, wanted
from engine.execute.piece import Piece, Run, broken_rows, judge
from engine.execute.valid import opened
from engine.intake.source import Shard
from engine.outcome import CellGroup, FileOutcome, Fill, Outcome, SheetOutcome
from engine.shards import Database, database
from engine.sql import literal
from plans.plan import Duplicates
from plans.template import Severity

#: Bytes of a table that are looked at at once; a larger one goes shard by shard.
PIECE = 384 << 20

Progress = Callable[[int, int], None]


def execute(
    jobs: Sequence[Job],
    *,
    folder: Path,
    threads: int = 2,
    write: bool = True,
    progress: Progress | None = None,
    memory: int = 1 << 30,
    piece: int = PIECE,
) -> Outcome:
    """Run the programs over their tables, all files into `folder`; only inside the child process.

    Without `write` the rows are judged and nothing is kept of the valid ones. `progress` is told
    (records done, records in all).
    """
    jobs = [in_pieces(job, piece) for job in jobs]
    total = sum(part.staged.records for job in jobs for part in job.parts)
    done = 0

    def read(records: int) -> None:
        nonlocal done
        done += records
        if progress:
            progress(done, total)

    found: dict[int, SheetOutcome] = {}
    readable = [path for job in jobs for _, path in job.stored]
    readable += [part.staged.path for job in jobs for part in job.parts]
    paths = tuple(dict.fromkeys(readable))
    with database(folder, threads=threads, memory=memory, readable=paths) as db:
        run = Run(db=db, folder=folder, write=write, read=read, wants=_wants(db, jobs), stops=[])
        for job in ordered(jobs):
            known = _known(
                run, job, jobs, finished={id(each) for each in jobs if id(each) in found}
            )
            found[id(job)] = _sheet(run, job, known)
    outcome = Outcome(sheets=tuple(found[id(job)] for job in jobs))
    return _stopped(outcome, min(run.stops)[2]) if run.stops else outcome


def _wants(db: Database, jobs: Sequence[Job]) -> dict[Wanted, str]:
    """A table for everything a sheet asks of another one."""
    tables: dict[Wanted, str] = {}
    for want in (each for job in jobs for each in wanted(job, jobs)):
        if want not in tables:
            tables[want] = f"want{len(tables)}"
            _create(db, want, jobs[0].stored, table=tables[want])
    return tables


def _create(db: Database, want: Wanted, stored: Stored, *, table: str) -> None:
    """A table of what the company's sheets hold (`old`), to which the run adds what it brings."""
    columns = "key VARCHAR, take VARCHAR, old BOOLEAN DEFAULT false"
    db.run(f"CREATE OR REPLACE TABLE {table} ({columns})")
    for each, path in stored:
        if each == want:
            take = "CAST(take AS VARCHAR)" if len(want.fields) > 1 else "NULL"
            rows = (
                f"SELECT CAST(key AS VARCHAR), {take}, true FROM read_parquet({literal(str(path))})"
            )
            db.run(f"INSERT INTO {table} {rows}")


def _known(run: Run, job: Job, jobs: Sequence[Job], *, finished: set[int]) -> across.Known:
    """The tables the job's rules look into, filled."""
    parents = {}
    for want in wanted(job, jobs):
        sources = tuple(each for each in jobs if each.template == want.template)
        parents[want] = run.wants[want]
        if not all(id(each) in finished for each in sources):
            parents[want] = f"early_{run.wants[want]}"
            _create(run.db, want, job.stored, table=parents[want])
            keys.parents(run.db, sources, want, table=parents[want], folder=run.folder)
    _fill_picks(run.db, job, parents)
    many = job.shards > 1
    seen = run.folder / f"{job.sheet}.seen"
    if many:
        seen.mkdir(exist_ok=True)
        run.db.run("CREATE OR REPLACE TABLE seen (h UBIGINT)")
    return across.Known(
        parents=parents,
        twice=keys.twice(run.db, job, run.folder) if many else {},
        seen=seen if many else None,
    )


def _fill_picks(db: Database, job: Job, parents: dict[Wanted, str]) -> None:
    """One row a key for each lookup, whatever the other sheet's rows are; the run's come first."""
    for part in job.parts[:1]:
        for n, taken in enumerate(part.program.lookups):
            want = Wanted(template=taken.template, fields=(taken.match, taken.take))
            nothing = "(SELECT '' AS key, '' AS take, true AS old WHERE false)"
            db.run(
                f"CREATE OR REPLACE TABLE pick{n} AS SELECT key, CASE WHEN bool_and(old)"
                " THEN min(take) ELSE min(take) FILTER (NOT old) END AS take"
                f" FROM {parents.get(want, nothing)} GROUP BY 1"
            )


def _sheet(run: Run, job: Job, known: across.Known) -> SheetOutcome:
    # The last row of an identity stays when the rows are met from behind.
    backwards = bool(job.parts) and job.parts[0].program.duplicates is Duplicates.LAST
    pieces: dict[int, tuple[Piece, ...]] = {}
    found: dict[int, tuple[CellGroup, ...]] = {}
    for at, part in list(enumerate(job.parts))[:: -1 if backwards else 1]:
        files.describe(run.db, part)
        pieces[at] = (
            *_judged(run, job, at, known, backwards=backwards),
            *broken_rows(run, job, at),
        )
        cells = [path for piece in pieces[at] for path in piece.cells]
        found[at] = groups(run.db, job.sheet, part.file, cells)
    outcomes = tuple(_file(part, pieces[at]) for at, part in enumerate(job.parts))
    whole = tuple(piece for at in range(len(job.parts)) for piece in pieces[at])
    told = tuple(group for at in range(len(job.parts)) for group in found[at])
    return SheetOutcome(
        sheet=job.sheet,
        template=job.template,
        columns=job.columns,
        files=outcomes,
        accounting=sum((each.accounting for each in outcomes), Accounting()),
        groups=told,
        cells=sum(each.cells for each in told if each.severity is Severity.ERROR),
        warnings=sum(each.cells for each in told if each.severity is Severity.WARNING),
        coverage=_coverage(job, pieces) if run.write else (),
        valid_parquet=tuple(path for piece in whole for path in piece.parquet),
        fed=tuple(
            part.program.fed
            for at, part in enumerate(job.parts)
            for piece in pieces[at]
            for _ in piece.parquet
        ),
        valid_csv=tuple(path for piece in whole for path in piece.csv),
        invalid_cells=tuple(path for each in outcomes for path in each.cells),
    )


def _judged(
    run: Run, job: Job, at: int, known: across.Known, *, backwards: bool
) -> tuple[Piece, ...]:
    """A part's shards and the files of its valid rows: one of all, or one a shard from behind."""
    shards = job.parts[at].staged.shards
    if not (backwards and run.write):
        return _in_turn(run, job, at, shards[:: -1 if backwards else 1], known)
    each = [_in_turn(run, job, at, (shard,), known) for shard in reversed(shards)]
    return tuple(chain.from_iterable(reversed(each)))


def _in_turn(
    run: Run, job: Job, at: int, shards: tuple[Shard, ...], known: across.Known
) -> tuple[Piece, ...]:
    judged = partial(judge, run, job, at, known=known)
    if not (run.write and shards):
        return tuple(judged(shard=shard, rows=None) for shard in shards)
    first = shards[0].index
    stem = run.folder / f"{job.sheet}-{at:03}-{first:05}"
    header = at == first == 0
    with opened(run.db, job.parts[at], stem, columns=job.columns, header=header) as rows:
        pieces = [judged(shard=shard, rows=rows) for shard in shards]
    return (*pieces, Piece(accounting=Accounting(), parquet=(rows.parquet,), csv=(rows.csv,)))


def _file(part: Part, pieces: tuple[Piece, ...]) -> FileOutcome:
    source = part.staged.source
    accounting = sum((piece.accounting for piece in pieces), Accounting(skipped=source.skipped))
    accounting = replace(accounting, read=source.read)
    if not accounting.adds_up:
        raise ExecutionError(f"{part.file}: rows got lost: {accounting}")
    cells = tuple(path for piece in pieces for path in piece.cells)
    return FileOutcome(file=part.file, table=part.table, accounting=accounting, cells=cells)


def _coverage(job: Job, pieces: dict[int, tuple[Piece, ...]]) -> tuple[Fill, ...]:
    filled, distinct = Counter[str](), Counter[str]()
    for piece in chain.from_iterable(pieces.values()):
        filled.update(piece.filled)
        distinct |= Counter(piece.distinct)
    return tuple(
        Fill(field=name, filled=filled[name], distinct=distinct[name]) for name in job.columns
    )


def _stopped(outcome: Outcome, message: str) -> Outcome:
    """A stopped run keeps its findings and none of its rows."""
    for sheet in outcome.sheets:
        for path in (*sheet.valid_parquet, *sheet.valid_csv):
            path.unlink()
    sheets = tuple(replace(each, valid_parquet=(), fed=(), valid_csv=()) for each in outcome.sheets)
    return Outcome(sheets=sheets, stopped=message)
