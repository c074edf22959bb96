"""The bytes of an upload, sent to a signed URL: at once, or piece by piece."""

import base64
import hmac
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.answers import done
from api.deps import Here, Services
from api.errors import ApiError, Code
from api.operations import signed
from api.routes.uploads import living, stored_upload
from api.schemas.uploads import UploadBody, upload_body
from engine import signatures
from engine.errors import Conflict, SignatureInvalid
from engine.files import CHUNK
from engine.ids import utcnow
from engine.model import Upload, UploadStatus
from engine.store import uploads

router = APIRouter(tags=["uploads"])

TUS = {"Tus-Resumable": "1.0.0"}
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")
_OFFSET_TYPE = "application/offset+octet-stream"


@router.put(
    "/v1/uploads/{upload_id}/content",
    response_model=UploadBody,
    **signed(
        Code.NOT_FOUND,
        Code.UPLOAD_CONFLICT,
        Code.EXPIRED,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_FILE_TYPE,
        Code.REQUEST_TIMEOUT,
        body="*/*",
    ),
)
# A coroutine, because a body larger than memory can only be read by one.
async def put_content(
    upload_id: str,
    request: Request,
    here: Here,
    content_digest: Annotated[str | None, Header(max_length=1_000)] = None,
) -> Response:
    """Send all bytes. The same bytes again are fine, others are not."""
    upload = await run_in_threadpool(_granted, here, request, upload_id)
    if _content_type(request) != upload.content_type.lower():
        raise ApiError(
            code=Code.UNSUPPORTED_FILE_TYPE,
            detail=f"send it as {upload.content_type}, as it was announced",
        )
    _check_length(request, upload)
    if upload.status is UploadStatus.STORED:
        digest = await _digest_of(request)
    else:
        await run_in_threadpool(_restart, here, upload)
        whole = await _append(here, request, upload, offset=0)
        if whole is None:
            raise ApiError(
                code=Code.VALIDATION_ERROR,
                detail=f"fewer than the announced {upload.size} bytes came",
            )
        digest = whole
    _check_digest(content_digest, digest)
    return done(upload_body(await run_in_threadpool(_complete, here, upload, digest)))


@router.head(
    "/v1/uploads/{upload_id}/content",
    response_class=Response,
    **signed(Code.NOT_FOUND, Code.EXPIRED),
)
def get_upload_offset(upload_id: str, request: Request, here: Here) -> Response:
    """How many bytes are safe here (tus 1.0); go on from there with PATCH."""
    upload = _granted(here, request, upload_id)
    headers = {"Upload-Offset": str(upload.received), "Upload-Length": str(upload.size), **TUS}
    return Response(headers=headers)


@router.patch(
    "/v1/uploads/{upload_id}/content",
    status_code=204,
    response_class=Response,
    **signed(
        Code.NOT_FOUND,
        Code.UPLOAD_CONFLICT,
        Code.EXPIRED,
        Code.PAYLOAD_TOO_LARGE,
        Code.UNSUPPORTED_FILE_TYPE,
        Code.REQUEST_TIMEOUT,
        body=_OFFSET_TYPE,
    ),
)
async def append_content(
    upload_id: str,
    request: Request,
    here: Here,
    upload_offset: Annotated[int, Header(ge=0)],
) -> Response:
    """Send the bytes after `Upload-Offset` (tus 1.0). What came before a cut stays."""
    if _content_type(request) != _OFFSET_TYPE:
        raise ApiError(code=Code.UNSUPPORTED_FILE_TYPE, detail=f"send pieces as {_OFFSET_TYPE}")
    upload = await run_in_threadpool(_granted, here, request, upload_id)
    if upload.status is UploadStatus.STORED or upload.received != upload_offset:
        raise ApiError(
            code=Code.UPLOAD_CONFLICT,
            detail=f"the upload stands at byte {upload.received} and is {upload.status}",
            headers={"Upload-Offset": str(upload.received)},
        )
    digest = await _append(here, request, upload, offset=upload_offset)
    if digest is not None:
        upload = await run_in_threadpool(_complete, here, upload, digest)
        return _standing(upload.size)
    return _standing((await run_in_threadpool(_granted, here, request, upload_id)).received)


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _standing(offset: int) -> Response:
    return Response(status_code=204, headers={"Upload-Offset": str(offset), **TUS})


def _granted(here: Services, request: Request, upload_id: str) -> Upload:
    """The upload a signed URL is for."""
    allowed = granted(here, "PUT", request)
    with here.database.begin() as c:
        return living(uploads.get(c, allowed.partner, upload_id))


def granted(here: Services, method: str, request: Request) -> signatures.Grant:
    """What the signed URL allows: 403 when it is not genuine, 410 when its time is over."""
    query, path, now = dict(request.query_params), request.url.path, utcnow()
    try:
        return signatures.check(here.secrets, method, path, query, now=now)
    except SignatureInvalid:
        expires = query.get("expires", "")
        if not expires.isdecimal() or not 0 < int(expires) <= now.timestamp():
            raise
        # Genuine a second before its end: then it is only too old, and its owner may know.
        before = datetime.fromtimestamp(int(expires) - 1, UTC)
        signatures.check(here.secrets, method, path, query, now=before)
        raise ApiError(code=Code.EXPIRED, detail="the time of this URL is over") from None


def _check_length(request: Request, upload: Upload) -> None:
    given = request.headers.get("content-length", "")
    if not given.isdigit() or int(given) == upload.size:
        return
    if int(given) > upload.size:
        raise ApiError(
            code=Code.PAYLOAD_TOO_LARGE,
            detail=f"{upload.size} bytes were announced",
            members={"max_bytes": upload.size},
        )
    raise ApiError(code=Code.VALIDATION_ERROR, detail=f"{upload.size} bytes were announced")


def _check_digest(header: str | None, digest: str) -> None:
    """RFC 9530: a sha-256 in Content-Digest must be that of the bytes."""
    found = _DIGEST.search(header or "")
    if found is None:
        return
    told = base64.b64encode(bytes.fromhex(digest)).decode()
    if not hmac.compare_digest(told, found[1]):
        raise ApiError(
            code=Code.VALIDATION_ERROR, detail="the bytes are not those of Content-Digest"
        )


async def _append(here: Services, request: Request, upload: Upload, *, offset: int) -> str | None:
    """Keep the bytes as they come; the digest of the whole file once it is complete."""
    try:
        async for block in _blocks(request):
            offset = await run_in_threadpool(_keep, here, upload, offset, block)
    except ClientDisconnect:
        return None
    if offset < upload.size:
        return None
    return await run_in_threadpool(_assembled, here, upload)


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """The body in blocks that are worth a disk write each; the rest also when the sender is cut."""
    block = bytearray()
    try:
        async for chunk in request.stream():
            block += chunk
            if len(block) >= CHUNK:
                yield bytes(block)
                block.clear()
    except ClientDisconnect:
        if block:
            yield bytes(block)
        raise
    if block:
        yield bytes(block)


async def _digest_of(request: Request) -> str:
    hasher = sha256()
    async for chunk in request.stream():
        hasher.update(chunk)
    return hasher.hexdigest()


def _restart(here: Services, upload: Upload) -> None:
    with here.database.begin() as c:
        uploads.restart(c, upload.partner, upload.id)


def _keep(here: Services, upload: Upload, offset: int, block: bytes) -> int:
    if offset + len(block) > upload.size:
        raise ApiError(
            code=Code.PAYLOAD_TOO_LARGE,
            detail=f"{upload.size} bytes were announced",
            members={"max_bytes": upload.size},
        )
    try:
        after = here.files.append(upload.id, offset, [block], most=upload.size)
        with here.database.begin() as c:
            uploads.received(c, upload.partner, upload.id, offset=offset, count=len(block))
    except Conflict as error:
        raise ApiError(code=Code.UPLOAD_CONFLICT, detail=str(error)) from None
    return after


def _assembled(here: Services, upload: Upload) -> str:
    stored = here.files.assemble(
        upload.id, upload.partner, upload.company, size=upload.size, digest=upload.digest
    )
    return stored.digest


def _complete(here: Services, upload: Upload, digest: str) -> Upload:
    with here.database.begin() as c:
        return stored_upload(c, upload, digest)
