"""Any file a customer has becomes canonical text with true row numbers; nothing is lost unseen."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from engine import sandbox
from engine.errors import SourceCode, SourceError
from engine.intake import formats
from engine.intake.archive import unpack
from engine.intake.delimited import stage_delimited
from engine.intake.formats import File
from engine.intake.limits import IntakeLimits
from engine.intake.parquet import stage_parquet
from engine.intake.reading import Reading
from engine.intake.records import stage_json
from engine.intake.source import Format, Source, Staged
from engine.intake.staging import shard_file
from engine.intake.workbook import stage_workbook
from plans.plan import Read

__all__ = ["IntakeLimits", "Source", "Staged", "shard_file", "stage", "take_in"]

Report = Callable[[sandbox.Progress], object]
_WORKBOOKS = (Format.XLSX, Format.XLS, Format.XLSB, Format.ODS)


def take_in(
    path: Path,
    *,
    name: str,
    folder: Path,
    read: Read | None = None,
    limits: IntakeLimits | None = None,
    seconds: float = 1_800.0,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[sandbox.Progress], None] | None = None,
) -> tuple[Staged, ...]:
    """Stage a file in a child process; one Staged for each table in it.

    Raises SourceError with the reason when the file is refused. The staged text lies in `folder`,
    or is `path` itself when that is canonical already.
    """
    path, folder = path.resolve(), folder.resolve()
    work = partial(
        stage,
        path,
        name=name,
        folder=folder,
        read=read or Read(),
        limits=limits or IntakeLimits(),
    )
    bounds = sandbox.Limits(folder=folder, readable=(path,), seconds=seconds)
    tables = sandbox.call(work, limits=bounds, cancel=cancel, progress=progress)
    for each in tables:
        # The child saw hostile bytes: what it names is only believed below its own folder.
        if each.path != path and folder not in each.path.resolve().parents:
            raise SourceError(
                SourceCode.COUNT_MISMATCH, "the reader named a foreign file", file=name
            )
    return tables


def stage(
    path: Path,
    *,
    name: str,
    folder: Path,
    read: Read,
    limits: IntakeLimits,
    progress: Report | None = None,
) -> tuple[Staged, ...]:
    """Read every table of a file into `folder`. Runs inside of the sandbox."""
    size = path.stat().st_size
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    upload = File(path=path, name=name, digest=digest, size=size)
    tables: list[Staged] = []
    try:
        for file in unpack(upload, folder, limits):
            tables += _tables(file, folder, read, limits, progress)
    except SourceError as error:
        raise (
            error if error.file else upload.error(error.code, error.message, error.place)
        ) from None
    return tuple(tables)


def _tables(
    file: File, folder: Path, read: Read, limits: IntakeLimits, progress: Report | None
) -> Iterator[Staged]:
    found = formats.detect(file)
    if read.format is not None and found is not Format(read.format):
        if Format(read.format) is not Format.CSV or found in (*_WORKBOOKS, Format.PARQUET):
            message = f"the plan says {read.format}, the content is {found.value}"
            raise file.error(SourceCode.INVALID_FORMAT, message)
        found = Format.CSV
    reading = Reading(
        file=file,
        format=found,
        read=read,
        limits=limits,
        folder=folder,
        notes=formats.extension_note(file, found),
        report=None if progress is None else partial(_report, progress, file),
    )
    if found in _WORKBOOKS:
        yield from stage_workbook(reading)
    elif found is Format.PARQUET:
        yield stage_parquet(reading)
    elif found is Format.CSV:
        yield from stage_delimited(reading)
    else:
        yield from stage_json(reading)


def _report(progress: Report, file: File, done: int) -> None:
    progress(sandbox.Progress(phase=f"reading {file.shown}", done=done, total=file.size))
