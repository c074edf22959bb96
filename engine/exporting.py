"""A company's stored rows as one file: which bytes it will be, and those bytes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from engine.dataset import READABLE, Location, exists, history
from engine.errors import NotFound, SelectionInvalid
from engine.export import Format, Selection, Shape, etag, version, write, write_zip
from engine.files import Files, result_key
from engine.ids import Kind
from engine.model import Artifact, Company
from engine.sandbox import Limits, Progress, call
from engine.settings import Settings
from engine.sheets import location

#: An address-space limit; what a child keeps in memory stays near a gigabyte.
_MEMORY = 4 << 30

MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8; header=present",
    Format.PARQUET: "application/vnd.apache.parquet",
    Format.JSON: "application/json",
    Format.NDJSON: "application/x-ndjson",
}


def downloads(settings: Settings) -> Path:
    """Where files that are asked for at once are made, each in a folder of its own."""
    return settings.data_dir / "downloads"


class Export(Selection):
    """A sheet's rows as a file, or without `sheet` those of the whole workbook as a ZIP."""

    sheet: Annotated[str | None, Field(max_length=63, examples=["contacts"])] = None
    format: Format = Format.CSV
    gzip: bool = False
    safe: bool = False  #: no text can run as a formula in a spreadsheet (CSV)
    lineage: bool = False  #: with the `_` columns: row id, run, file, row, plan version, tags
    as_of: Annotated[str | None, Field(max_length=40)] = (
        None  #: a run's id (just after it), or a time
    )

    @property
    def selection(self) -> Selection:
        """Which rows and columns."""
        return Selection(**{name: getattr(self, name) for name in Selection.model_fields})

    @property
    def shape(self) -> Shape:
        """How they become a file."""
        return Shape(format=self.format, gzip=self.gzip, safe=self.safe, lineage=self.lineage)

    @property
    def media_type(self) -> str:
        """What the file is."""
        if self.sheet is None:
            return "application/zip"
        packed = self.gzip and self.format is not Format.PARQUET
        return "application/gzip" if packed else MEDIA_TYPES[self.format]

    def file_name(self, title: str) -> str:
        """What the file is called."""
        if self.sheet is None:
            return f"{title}.zip"
        packed = self.gzip and self.format is not Format.PARQUET
        return f"{title}-{self.sheet}.{self.format}" + (".gz" if packed else "")


def sheet_named(company: Company, wanted: str | None) -> str:
    """The company's sheet of that name, template or id; without one, the only one there is."""
    found = [
        each.name
        for each in company.sheets
        if wanted is None or wanted in (each.name, each.template, each.id)
    ]
    if not found:
        raise NotFound(f"company {company.id} has no sheet {wanted!r}")
    if len(found) > 1:
        raise SelectionInvalid(f"name one `sheet` of: {', '.join(found)}")
    return found[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A sheet at one version of its table, which no later import changes."""

    sheet: str
    location: Location
    version: int


def snapshots(settings: Settings, company: Company, wanted: Export) -> tuple[Snapshot, ...]:
    """The sheets with rows; NotFound when there are none, Expired when those as of then are gone."""
    places = {
        each.name: location(settings, company.partner, company.id, sheet=each.id)
        for each in company.sheets
    }
    if wanted.sheet is not None and wanted.sheet not in places:
        raise NotFound(f"company {company.id} has no sheet {wanted.sheet!r}")
    if wanted.sheet is None and wanted.selection != Selection():
        raise SelectionInvalid("rows and columns are selected in one `sheet`: name it")
    filled = {name: place for name, place in places.items() if exists(place)}
    moment = _moment(tuple(filled.values()), wanted.as_of)
    found = []
    for name in [wanted.sheet] if wanted.sheet is not None else list(filled):
        try:
            at = version(places[name], as_of=moment)
        except NotFound:
            # Of a workbook, only sheets that had rows then.
            if wanted.sheet is not None:
                raise
        else:
            found.append(Snapshot(sheet=name, location=places[name], version=at))
    if not found:
        raise NotFound("no sheet has rows yet: no import has written to one")
    return tuple(found)


def _moment(filled: tuple[Location, ...], as_of: str | None) -> datetime | None:
    """A run stands for the time of its last commit, as it may have left a sheet alone."""
    if as_of is None:
        return None
    if as_of.startswith(f"{Kind.RUN}_"):
        times = [each.at for place in filled for each in history(place) if each.run == as_of]
        if not times:
            raise NotFound(f"run {as_of} wrote no rows of this company")
        return max(times)
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise SelectionInvalid(f"as_of: {as_of!r} is neither a run's id nor a time with its zone")
    return moment


def tag(found: tuple[Snapshot, ...], wanted: Export) -> str:
    """Names the file's exact bytes: it changes with the rows and with the request."""
    told = [
        (each.sheet, etag(each.location, wanted.selection, shape=wanted.shape, as_of=each.version))
        for each in found
    ]
    return sha256(json.dumps([wanted.sheet, told]).encode()).hexdigest()


def written(
    found: tuple[Snapshot, ...],
    wanted: Export,
    *,
    to: Path,
    settings: Settings,
    progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> int:
    """Write the file `to`, whose folder is used up by it; how many rows."""
    job: Callable[..., Any]
    rows: Any
    if wanted.sheet is None:
        job = partial(
            write_zip,
            {each.sheet: each.location for each in found},
            versions={each.sheet: each.version for each in found},
        )
    else:
        job = partial(write, found[0].location, wanted.selection, as_of=found[0].version)
    job = partial(job, to=to, shape=wanted.shape, scratch=to.parent, threads=settings.run_threads)
    folders = [each.location.local for each in found]
    local = tuple(each for each in folders if each is not None)
    if len(local) < len(folders):
        # A bucket needs the network, which no child has.
        rows = job(progress=progress)
    else:
        limits = Limits(
            folder=to.parent, readable=(*READABLE, *local), memory=_MEMORY,
            seconds=settings.run_seconds, threads=settings.run_threads,
        )  # fmt: skip
        rows = call(job, limits=limits, progress=progress, cancel=cancel)
    return sum(rows.values()) if isinstance(rows, dict) else int(rows)


def kept(
    files: Files, company: Company, path: Path, *, errand: str, wanted: Export, rows: int
) -> Artifact:
    """The file in the file store, below its errand's prefix."""
    key = result_key(company.partner, company.id, errand)
    stored = files.put_file(key, path)
    return Artifact(
        name=wanted.file_name(company.name), key=key, media_type=wanted.media_type,
        size=stored.size, digest=stored.digest, records=rows,
    )  # fmt: skip
