"""What is known of a table before its rows are read, and the Source it becomes after."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.errors import SourceCode
from engine.intake import views
from engine.intake.cells import Cells
from engine.intake.formats import File
from engine.intake.limits import IntakeLimits
from engine.intake.parse import UNCLOSED
from engine.intake.source import Format, ReadNote, Source
from engine.intake.table import Region
from plans.plan import Read

#: Records looked at to find the table.
HEAD = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What is known of a table before its rows are read; becomes part of its Source."""

    file: File
    format: Format
    read: Read
    limits: IntakeLimits
    folder: Path
    facts: dict[str, object] = field(default_factory=dict)  #: further members of Source
    notes: tuple[ReadNote, ...] = ()
    report: Callable[[int], object] | None = None  #: takes the bytes read so far

    def out(self) -> Path:
        """A new file in the run's folder."""
        count = sum(1 for _ in self.folder.glob("staged-*.csv"))
        return self.folder / f"staged-{count:04d}.csv"


def shown(reading: Reading, rows: Sequence[Cells], region: Region) -> Reading:
    """With both readings, where one of them is not sure."""
    both = reading.facts.get("views") or views.of_header(rows, region, reading.read)
    if not both:
        return reading
    told = views.note(both)  # type: ignore[arg-type]
    return replace(reading, facts={**reading.facts, "views": both}, notes=(*reading.notes, told))


def source(
    reading: Reading,
    region: Region,
    *,
    notes: Iterable[ReadNote],
    read: int,
    broken: int,
    skipped: int,
) -> Source:
    """The Source of a table whose records are accounted for."""
    facts = dict(reading.facts)
    choices = (*facts.pop("choices", ()), *region.choices)  # type: ignore[misc]
    base = Source(
        file=reading.file.name,
        digest=reading.file.digest,
        size=reading.file.size,
        format=reading.format,
        member=reading.file.member,
        header_rows=tuple(region.above + at + 1 for at in region.header),
        first_row=region.above + region.first + 1,
        columns=region.columns,
        choices=choices,
        confidence=min((each.confidence for each in choices), default=1.0),
        notes=(*reading.notes, *region.notes, *notes),
        read=read,
        broken=broken,
        skipped=skipped,
    )
    return replace(base, **facts)  # type: ignore[arg-type]


def units_between(region: Region) -> int:
    """Records between the header and the first row: units and the like."""
    return region.first - (region.header[-1] + 1) if region.header else 0


def check(region: Region, problems: Sequence[str], reading: Reading) -> None:
    """Refuse what cannot be staged at all."""
    file, limits = reading.file, reading.limits
    if region.width == 0:
        raise file.error(SourceCode.EMPTY, "no cell holds anything")
    if region.width > limits.columns:
        message = f"{region.width:,} columns; at most {limits.columns:,} are allowed"
        raise file.error(SourceCode.TOO_MANY_COLUMNS, message)
    for at in region.header:
        if problems[at] == UNCLOSED:
            raise unclosed(region.above + at + 1, reading)
    if reading.read.header_row and reading.read.header_row > len(problems):
        message = f"the header is said to be in row {reading.read.header_row}, below the last row"
        raise file.error(SourceCode.OPTION, message, "header_row")


def unclosed(line: int, reading: Reading) -> Exception:
    """The quote that swallows everything."""
    message = "a quote opens here and never closes; close it, or say `quote:` in the plan"
    return reading.file.error(SourceCode.UNCLOSED_QUOTE, message, f"line {line}")
