"""The first page of a magic link: drop files, see what became of earlier ones, come back later."""

import re
from datetime import timedelta
from functools import partial
from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, File, UploadFile
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from api.console.brand import stylesheet
from api.console.companies import file_row
from api.console.guard import HEADERS, go
from api.console.guest_views import HomePage
from api.console.guests import LANGUAGE_COOKIE, Guest, Invited
from api.console.look import LANGUAGES
from api.console.sessions import secure
from api.console.shown import Names, run_row
from api.errors import ApiError, Code
from api.quotas import upload_allowed
from api.routes.uploads import upload_ticket
from engine import signatures
from engine.errors import NotFound
from engine.files import CHUNK
from engine.ids import utcnow
from engine.model import Upload, UploadStatus
from engine.store import runs, uploads

router = APIRouter()

_TYPE = re.compile(r"[a-zA-Z0-9!#$&^_.+-]{1,60}/[a-zA-Z0-9!#$&^_.+-]{1,100}")

#: Files and imports looked at for the first page.
RECENT = 50


class Announced(BaseModel):
    """A file the page is about to send; with `resume` one it began before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=500)]
    size: Annotated[int, Field(ge=1)]
    type: Annotated[str, Field(max_length=200)] = ""
    resume: Annotated[str, Field(max_length=60)] = ""


@router.get("/{token}")
def home(by: Invited) -> Response:
    """Drop files, choose those to import, look at earlier imports."""
    with by.here.database.begin() as c:
        names = Names(c=c, partner=by.partner)
        done = runs.page(c, by.partner, company=by.company.id, limit=RECENT)
        active = runs.active(c, by.partner, by.company.id)
        used = {upload for run in done for upload in run.uploads}
        there = [
            each
            for each in uploads.page(c, by.partner, company=by.company.id, limit=RECENT)
            if each.id not in used
        ]
        page = HomePage(
            files=tuple(file_row(each) for each in there if each.status is UploadStatus.STORED),
            coming=tuple(file_row(each) for each in there if each.status is UploadStatus.WAITING),
            runs=tuple(run_row(names, each) for each in done),
            active=run_row(names, active) if active else None,
            max_bytes=by.here.settings.max_upload_bytes,
        )
    return by.page("guest_home.html", page=page)


@router.get("/{token}/brand.css")
def brand(by: Invited) -> Response:
    """The partner's colour."""
    return Response(stylesheet(by.brand), media_type="text/css", headers=HEADERS)


@router.get("/{token}/language/{language}")
def speak(language: str, by: Invited) -> Response:
    """Go on in another language."""
    if language not in LANGUAGES:
        raise NotFound(f"there is no language {language!r}")
    answer = go(by.root)
    answer.set_cookie(
        LANGUAGE_COOKIE, language, max_age=31_536_000, path="/m", httponly=True,
        secure=secure(by.here.settings), samesite="lax",
    )  # fmt: skip
    return answer


@router.post("/{token}/uploads")
def announce(body: Announced, by: Invited) -> Response:
    """A signed URL that takes this file's bytes in pieces, and how many are there already."""
    with by.here.database.begin() as c:
        upload = _begun(c, by, body) or _new(c, by, name=body.name, size=body.size, kind=body.type)
    ticket = upload_ticket(by.here, upload)
    content = {"id": upload.id, "url": ticket.upload_url, "offset": upload.received}
    return JSONResponse(content, headers=HEADERS)


@router.post("/{token}/files")
def send(by: Invited, files: Annotated[list[UploadFile], File()]) -> Response:
    """The same without a script: a plain form, all files at once."""
    for file in (each for each in files if each.filename):
        size = file.size or 0
        with by.here.database.begin() as c:
            upload_allowed(c, by.partner, size=size, settings=by.here.settings)
        chunks = iter(partial(file.file.read, CHUNK), b"")
        stored = by.here.files.put_content(by.partner, by.company.id, chunks, size=size)
        with by.here.database.begin() as c:
            upload = _new(
                c, by, name=(file.filename or "file")[:500], size=size, kind=file.content_type or ""
            )
            uploads.stored(c, by.partner, upload.id, digest=stored.digest, size=stored.size)
    return go(by.root)


def _begun(c: sqlalchemy.Connection, by: Guest, body: Announced) -> Upload | None:
    """The upload the page began before, if it is this file's and still open."""
    if not body.resume:
        return None
    try:
        upload = uploads.get(c, by.partner, body.resume)
    except NotFound:
        return None
    same = (upload.company, upload.name, upload.size) == (by.company.id, body.name, body.size)
    return upload if same and upload.status is UploadStatus.WAITING else None


def _new(c: sqlalchemy.Connection, by: Guest, *, name: str, size: int, kind: str) -> Upload:
    upload_allowed(c, by.partner, size=size, settings=by.here.settings)
    upload = uploads.add(
        c,
        by.partner,
        company=by.company.id,
        name=name,
        content_type=kind if _TYPE.fullmatch(kind) else "application/octet-stream",
        size=size,
        valid_until=utcnow() + timedelta(seconds=signatures.LONGEST),
    )
    by.note(c, "upload.created", upload.id)
    return upload


def chosen_files(c: sqlalchemy.Connection, by: Guest, ids: list[str]) -> list[Upload]:
    """Complete uploads of this company with these ids, in their order."""
    found = [uploads.get(c, by.partner, each) for each in dict.fromkeys(ids)]
    for upload in found:
        if upload.company != by.company.id or upload.status is not UploadStatus.STORED:
            raise NotFound("one of the chosen files is not here any more")
    if not found:
        raise ApiError(code=Code.VALIDATION_ERROR, detail="choose at least one file")
    return found
