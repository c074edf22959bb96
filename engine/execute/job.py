"""What there is to run: the sheets of a run with their programs and tables, parents first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.compiler.program import Program, Stored, Wanted
from engine.errors import CompileError
from engine.intake.source import Shard, Source, Staged
from plans.transforms import Lookup
from plans.versions import PlanVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One staged table that feeds a sheet; `table` is its index among the run's tables."""

    program: Program
    staged: Staged
    table: int

    @property
    def file(self) -> str:
        """The table's name for people."""
        return label(self.staged.source)


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One sheet and every table that feeds it, in order."""

    sheet: str
    template: str
    parts: tuple[Part, ...]
    stored: Stored = ()  #: what the company's sheets hold already

    @property
    def columns(self) -> tuple[str, ...]:
        """Of its valid rows; files of one sheet may bring different extra columns."""
        names = [output.name for part in self.parts for output in part.program.outputs]
        return tuple(dict.fromkeys(names))

    @property
    def shards(self) -> int:
        """In how many pieces its rows are looked at."""
        return sum(len(part.staged.shards) for part in self.parts)


def in_pieces(job: Job, size: int) -> Job:
    """The job with every table of at most `size` bytes in one shard: it needs no pass for its keys.

    A larger one is looked at in fewer, larger shards that leave memory for its keys.
    """
    parts = tuple(replace(part, staged=_in_pieces(part.staged, size)) for part in job.parts)
    return replace(job, parts=parts)


def _in_pieces(staged: Staged, size: int) -> Staged:
    shards = staged.shards
    if shards and shards[-1].end - shards[0].start > size:
        size = size * 5 // 8
    pieces: list[Shard] = []
    for shard in shards:
        if pieces and shard.end - pieces[-1].start <= size:
            records = pieces[-1].records + shard.records
            pieces[-1] = replace(pieces[-1], end=shard.end, records=records)
        else:
            pieces.append(replace(shard, index=len(pieces)))
    return replace(staged, shards=tuple(pieces))


def label(source: Source) -> str:
    """File, then the place inside an archive or workbook."""
    member = f"/{source.member}" if source.member else ""
    return f"{source.file}{member}" + (f"#{source.sheet}" if source.sheet else "")


def ordered(jobs: Sequence[Job]) -> tuple[Job, ...]:
    """Parents before children; what stands in a circle keeps its place."""
    left, done = list(jobs), []
    while left:
        waiting = {job.template for job in left}
        free = [job for job in left if not (_parents(job) - {job.template}) & waiting]
        chosen = free or left[:1]
        done += chosen
        left = [job for job in left if job not in chosen]
    return tuple(done)


def wanted(job: Job, jobs: Sequence[Job]) -> tuple[Wanted, ...]:
    """What the job asks of other sheets (or itself), as far as the run or the company has them."""
    there, stored = {each.template for each in jobs}, {want for want, _ in job.stored}
    found: dict[Wanted, None] = {}
    for part in job.parts:
        for rule in part.program.across:
            if rule.parent:
                found[Wanted(template=rule.parent[0], fields=(rule.parent[1],))] = None
        for taken in part.program.lookups:
            found[Wanted(template=taken.template, fields=(taken.match, taken.take))] = None
    return tuple(each for each in found if each.template in there or each in stored)


def asked(version: PlanVersion) -> tuple[Wanted, ...]:
    """What references and lookups look for in rows that may have come with an earlier run."""
    found: dict[Wanted, None] = {}
    for sheet in version.plan.sheets:
        for field in version.template(sheet.template).fields:
            if at := field.references:
                found[Wanted(template=at.template, fields=(at.field,))] = None
        for step in (each for mapping in sheet.mappings for each in mapping.transforms):
            if isinstance(step, Lookup):
                found[Wanted(template=step.template, fields=(step.match, step.take))] = None
    return tuple(found)


def columns(program: Program, names: tuple[str, ...]) -> tuple[str, ...]:
    """The stage's columns of these fields; CompileError when the template lacks one."""
    at = {output.name: n for n, output in enumerate(program.outputs) if not output.extra}
    if missing := [name for name in names if name not in at]:
        raise CompileError(f"template {program.template!r} has no field {missing[0]!r}")
    return tuple(f"f{at[name]}" for name in names)


def _parents(job: Job) -> set[str]:
    return {name for part in job.parts for name in part.program.parents}
