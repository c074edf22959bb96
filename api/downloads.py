"""Stored files as answers: streamed, resumable by range, never opened by a browser in our name."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from api.answers import matches
from api.errors import ApiError, Code
from engine.files import Files
from engine.model import Artifact

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def download(
    request: Request,
    files: Files,
    artifact: Artifact,
    *,
    name: str,
    more: Mapping[str, str] | None = None,
) -> Response:
    """The file, or the part of it that `Range` asks for; `more` are headers of this one."""
    tag = f'"{artifact.digest}"'
    headers = {
        **(more or {}),
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "X-Total-Records": str(artifact.records),
        "Content-Disposition": disposition(name),
        "Content-Security-Policy": "sandbox",
    }
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    span = _span(request, artifact.size, tag)
    start, end = span or (0, artifact.size)
    headers["Content-Length"] = str(end - start)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{artifact.size}"
    chunks = files.get(artifact.key, start=start, end=end)
    status = 200 if span is None else 206
    return StreamingResponse(chunks, status, headers, media_type=artifact.media_type)


def streamed(chunks: Iterator[bytes], *, name: str, media_type: str, records: int) -> Response:
    """Bytes made on the way, of a size nobody knows yet."""
    headers = {
        "X-Total-Records": str(records),
        "Content-Disposition": disposition(name),
        "Content-Security-Policy": "sandbox",
    }
    return StreamingResponse(chunks, headers=headers, media_type=media_type)


def disposition(name: str) -> str:
    """RFC 6266: always an attachment; the true name in UTF-8, a plain one for old clients."""
    safe = re.sub(
        r"[\x00-\x1f\x7f\u0080-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\]", "_", name
    )
    safe = safe.strip(". ")[:150] or "file"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


def _span(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """Start and end (excluded) of a single range; None for the whole file."""
    given = _RANGE.fullmatch(request.headers.get("range", ""))
    condition = request.headers.get("if-range")
    if given is None or given[0] == "bytes=-" or condition not in (None, tag):
        return None
    first, last = given.groups()
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise ApiError(
            code=Code.RANGE_NOT_SATISFIABLE,
            detail=f"the file has {size} bytes",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end
