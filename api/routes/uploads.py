"""Uploads: announce a file and be told where its bytes go; or send it at once as a form."""

from datetime import timedelta
from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, File, Request, UploadFile
from fastapi.responses import Response

from api.answers import Pages, created, done, shown
from api.deps import By, Here, Services, company_of, upload_of
from api.errors import ApiError, Code
from api.once import OnlyOnce
from api.operations import op
from api.quotas import upload_allowed
from api.schemas.bodies import Page
from api.schemas.uploads import (
    NewUpload,
    UploadBody,
    UploadTicket,
    form_ticket,
    ticket,
    upload_body,
)
from engine import signatures
from engine.errors import Conflict, NotFound, UploadMismatch
from engine.files import CHUNK
from engine.ids import utcnow
from engine.model import Scope, Upload, UploadStatus
from engine.store import uploads

router = APIRouter(tags=["uploads"])

WRITE = Scope.IMPORTS_WRITE


@router.post(
    "/v1/companies/{company_id}/uploads",
    status_code=201,
    response_model=UploadTicket,
    **op(WRITE, Code.NOT_FOUND, Code.PAYLOAD_TOO_LARGE, Code.QUOTA_EXCEEDED, Code.STORAGE_FULL),
)
def create_upload(company_id: str, body: NewUpload, here: Here, by: By, once: OnlyOnce) -> Response:
    """Announce a file of exactly this size; the answer has the URL that takes its bytes."""

    def effect(c: sqlalchemy.Connection) -> Response:
        company_of(c, by, company_id)
        upload_allowed(c, by.partner, size=body.size, settings=here.settings)
        upload = uploads.add(
            c,
            by.partner,
            company=company_id,
            name=body.name,
            content_type=body.content_type,
            size=body.size,
            digest=body.sha256,
            valid_until=utcnow() + timedelta(seconds=signatures.LONGEST),
        )
        form = here.files.direct(
            upload.id, size=upload.size, content_type=upload.content_type, until=upload.valid_until
        )
        told = form_ticket(upload, form) if body.direct and form else upload_ticket(here, upload)
        return created(told, location=f"/v1/uploads/{upload.id}")

    return once(effect, action="upload.created")


@router.post(
    "/v1/uploads/{upload_id}/complete",
    response_model=UploadBody,
    **op(WRITE, Code.NOT_FOUND, Code.UPLOAD_CONFLICT, Code.EXPIRED, Code.STORAGE_FULL),
)
def complete_upload(upload_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """Have bytes that went straight into the bucket checked; only then can they be imported."""
    with here.database.begin() as c:
        upload = living(upload_of(c, by, upload_id))
    digest = upload.digest if upload.status is UploadStatus.STORED else _taken(here, upload)
    answer = once(
        lambda c: done(upload_body(stored_upload(c, upload, digest or ""))),
        action="upload.completed",
        target=upload_id,
    )
    here.files.abandon(upload_id)
    return answer


@router.post(
    "/v1/companies/{company_id}/files",
    status_code=201,
    response_model=UploadBody,
    **op(WRITE, Code.NOT_FOUND, Code.PAYLOAD_TOO_LARGE, Code.QUOTA_EXCEEDED, Code.STORAGE_FULL),
)
def send_file(
    company_id: str,
    file: Annotated[UploadFile, File(description="The file")],
    here: Here,
    by: By,
    once: OnlyOnce,
) -> Response:
    """Send a file as multipart/form-data in one call; its `upload_ref` is ready for an import."""
    size = file.size or 0
    with here.database.begin() as c:
        company_of(c, by, company_id)
        upload_allowed(c, by.partner, size=size, settings=here.settings)
    chunks = iter(lambda: file.file.read(CHUNK), b"")
    stored = here.files.put_content(by.partner, company_id, chunks, size=size)

    def effect(c: sqlalchemy.Connection) -> Response:
        upload = uploads.add(
            c,
            by.partner,
            company=company_id,
            name=file.filename or "file",
            content_type=file.content_type or "application/octet-stream",
            size=size,
            valid_until=utcnow(),
        )
        kept = uploads.stored(c, by.partner, upload.id, digest=stored.digest, size=stored.size)
        return created(upload_body(kept), location=f"/v1/uploads/{kept.id}")

    return once.of(stored.digest)(effect, action="upload.created")


@router.get(
    "/v1/companies/{company_id}/uploads",
    response_model=Page[UploadBody],
    **op(WRITE, Code.NOT_FOUND),
)
def list_uploads(company_id: str, here: Here, by: By, pages: Pages) -> Response:
    """A company's uploads, newest first."""
    with here.database.begin() as c:
        company_of(c, by, company_id)
        return pages.answer(
            lambda limit, before: uploads.page(
                c, by.partner, company=company_id, limit=limit, before=before
            ),
            upload_body,
            key=lambda each: each.id,
        )


@router.get("/v1/uploads/{upload_id}", response_model=UploadBody, **op(WRITE, Code.NOT_FOUND))
def get_upload(upload_id: str, request: Request, here: Here, by: By) -> Response:
    """One upload: what was announced and how much of it came."""
    with here.database.begin() as c:
        return shown(request, upload_body(upload_of(c, by, upload_id)))


def upload_ticket(here: Services, upload: Upload) -> UploadTicket:
    """The signed URL that takes this upload's bytes."""
    path = f"/v1/uploads/{upload.id}/content"
    allowed = signatures.grant(
        "PUT",
        path,
        partner=upload.partner,
        now=utcnow(),
        size=upload.size,
        content_type=upload.content_type,
    )
    query = signatures.sign(here.secrets, allowed)
    url = f"{here.settings.public_url.rstrip('/')}{path}?{query}"
    return ticket(upload, url=url)


def living(upload: Upload) -> Upload:
    """The upload, unless its time is over."""
    if upload.status is UploadStatus.EXPIRED:
        raise ApiError(code=Code.EXPIRED, detail="this upload is gone; make a new one")
    return upload


def _taken(here: Services, upload: Upload) -> str:
    """The digest of what came straight into the bucket, once it is what was announced."""
    try:
        stored = here.files.take(
            upload.id, upload.partner, upload.company, size=upload.size, digest=upload.digest
        )
    except NotFound:
        raise ApiError(
            code=Code.UPLOAD_CONFLICT, detail="no bytes have come; send them to `upload_url` first"
        ) from None
    except UploadMismatch:
        here.files.abandon(upload.id)
        raise
    return stored.digest


def stored_upload(c: sqlalchemy.Connection, upload: Upload, digest: str) -> Upload:
    """The upload with all its bytes; a refusal when others are there already."""
    try:
        return uploads.stored(c, upload.partner, upload.id, digest=digest, size=upload.size)
    except Conflict as error:
        raise ApiError(code=Code.UPLOAD_CONFLICT, detail=str(error)) from None
