"""Stored rows as an answer: the file is made once, named by its ETag, and kept to be resumed."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import sqlalchemy
from fastapi import Request
from fastapi.responses import Response

from api.answers import matches
from api.deps import By, Services
from api.downloads import download
from api.errors import ApiError, Code
from engine.errors import NotFound
from engine.export import Format
from engine.exporting import Export, Snapshot, downloads, kept, snapshots, tag, written
from engine.files import run_prefix
from engine.ids import Kind, new_id, utcnow
from engine.model import Artifact, Company
from engine.store import errands

#: How long the file of an export that was answered at once can be resumed.
RESUMABLE = timedelta(days=1)

#: Each takes up to a gigabyte; who waits too long is told of asynchronous exports.
_MAKERS, _PATIENCE = threading.BoundedSemaphore(2), 30


def stored_rows(
    request: Request, here: Services, by: By, *, company: Company, wanted: Export
) -> Response:
    """The export's file, whole or by `Range`; 304 without making it."""
    packed = _accepts_gzip(request) and not wanted.gzip and wanted.sheet is not None
    wanted = wanted.model_copy(update={"gzip": wanted.gzip or packed})
    found = snapshots(here.settings, company, wanted)
    etag = tag(found, wanted)
    if matches(request.headers.get("if-none-match"), f'"{etag}"'):
        return Response(status_code=304, headers={"ETag": f'"{etag}"', "Vary": "Accept-Encoding"})
    made = _there(here, company, etag) or _make(here, by, company, found, wanted, etag)
    file, more = replace(made, digest=etag), {"Vary": "Accept-Encoding"}
    if packed and wanted.format is not Format.PARQUET:
        plain = wanted.model_copy(update={"gzip": False})
        file = replace(file, name=plain.file_name(company.name), media_type=plain.media_type)
        more |= {"Content-Encoding": "gzip"}
    return download(request, here.files, file, name=file.name, more=more)


def stored_file(here: Services, by: By, *, company: Company, wanted: Export) -> Artifact:
    """The export's file, made unless it is there."""
    found = snapshots(here.settings, company, wanted)
    etag = tag(found, wanted)
    return _there(here, company, etag) or _make(here, by, company, found, wanted, etag)


def _there(here: Services, company: Company, etag: str) -> Artifact | None:
    with here.database.begin() as c:
        made = errands.made_before(c, company.partner, company=company.id, etag=etag)
    return made.file if made else None


def _make(
    here: Services,
    by: By,
    company: Company,
    found: tuple[Snapshot, ...],
    wanted: Export,
    etag: str,
) -> Artifact:
    with _maker(here) as folder:
        # Whoever waited for the same file finds it.
        if (made := _there(here, company, etag)) is not None:
            return made
        path, errand = folder / "export", new_id(Kind.EXPORT)
        rows = written(found, wanted, to=path, settings=here.settings)
        file = kept(here.files, company, path, errand=errand, wanted=wanted, rows=rows)
        try:
            with here.database.begin() as c:
                errands.add_download(
                    c, company.partner, company=company.id, title=company.name, etag=etag,
                    request=wanted.model_dump(mode="json"), file=file, actor=by.actor,
                    expires_at=utcnow() + RESUMABLE, errand=errand,
                )  # fmt: skip
        except sqlalchemy.exc.IntegrityError:
            here.files.delete_prefix(run_prefix(company.partner, company.id, errand))
            raise NotFound(f"company {company.id} was erased meanwhile") from None
    return file


@contextmanager
def _maker(here: Services) -> Iterator[Path]:
    """A folder and a turn to make one file."""
    if not _MAKERS.acquire(timeout=_PATIENCE):
        raise ApiError(
            code=Code.UNAVAILABLE,
            detail="too many exports are being made; ask for one with POST …/exports",
            headers={"Retry-After": "30"},
        )
    folder = downloads(here.settings) / uuid4().hex
    try:
        folder.mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _MAKERS.release()


def _accepts_gzip(request: Request) -> bool:
    """Whether the caller takes gzip, and does not say that it takes none of it."""
    for each in request.headers.get("accept-encoding", "").lower().split(","):
        name, _, quality = each.replace(" ", "").partition(";q=")
        if name in ("gzip", "x-gzip"):
            return quality not in ("0", "0.0", "0.00", "0.000")
    return False
