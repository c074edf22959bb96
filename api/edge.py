"""The outermost layer of every request: its id, version, size, speed, log line, figures and headers."""

import logging
import re
import secrets
import threading
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import ApiError, Code, problem, translated
from api.limits import body_cap, declared_length, guarded, too_large
from api.metrics import Metrics
from engine.store.keys import API_VERSIONS

#: Of one request, names and values.
HEADER_BYTES = 16_384

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

#: On every answer that says nothing else itself.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}

log = logging.getLogger("reknit.http")


class Edge:
    """Pure ASGI, so that a streamed body passes through unbuffered."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, upload_bytes: int, draining: threading.Event
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.upload_bytes = upload_bytes
        self.draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, whatever happens below."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        scope["reknit.request_id"] = _request_id(Headers(scope=scope))

        async def send_dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _dress(message, scope)
                if self.draining.is_set():
                    # So that the client's next request goes to the server that takes over.
                    MutableHeaders(raw=message["headers"])["Connection"] = "close"
            await send(message)

        try:
            await self._answer(scope, receive, send_dressed)
        except Exception as error:
            # A client that went away ends a stream with an exception too; nobody to tell it.
            log.exception("unhandled", extra={"request_id": scope["reknit.request_id"]})
            if not status:
                await _refuse(translated(error), scope, receive, send_dressed)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADER_BYTES:
            await _refuse(_headers_too_large(), scope, receive, send)
            return
        version = Headers(scope=scope).get("api-version")
        if version is not None and version not in API_VERSIONS:
            await _refuse(_unknown_version(version), scope, receive, send)
            return
        scope["reknit.api_version"] = version or API_VERSIONS[-1]
        scope["reknit.api_version_given"] = version is not None
        cap = body_cap(scope["path"], upload_bytes=self.upload_bytes)
        length = declared_length(scope)
        if length is not None and length > cap:
            await _refuse(too_large(cap), scope, receive, send)
            return
        await self.app(scope, guarded(receive, cap=cap), send)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        method = scope["method"] if route else "other"
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.seconds.labels(method, route).observe(seconds)
        if status == 429:
            self.metrics.limited.labels(scope.get("reknit.limit", "other")).inc()
        # The path as text may hold a customer's words and the query a signature: the route tells.
        line = {
            "request_id": scope["reknit.request_id"],
            "method": scope["method"],
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "partner": scope.get("reknit.partner"),
            "key": scope.get("reknit.key"),
            "deprecated": scope.get("reknit.deprecated"),
            "trace": _trace(Headers(scope=scope)),
        }
        log.info("request", extra={name: value for name, value in line.items() if value})


def route_of(scope: MutableMapping[str, Any]) -> str:
    """The template of the path that matched, or nothing."""
    route = scope.get("route")
    return str(getattr(route, "path_format", "") or getattr(route, "path", ""))


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{secrets.token_hex(12)}"


def _trace(headers: Headers) -> str | None:
    given = headers.get("traceparent", "")
    return given.split("-")[1] if _TRACE.fullmatch(given) else None


def _dress(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(raw=message["headers"])
    message["headers"] = headers.raw
    headers["X-Request-ID"] = scope["reknit.request_id"]
    headers["Api-Version"] = scope.get("reknit.api_version", API_VERSIONS[-1])
    for name, value in (_HEADERS | scope.get("reknit.headers", {})).items():
        headers.setdefault(name, value)


def _unknown_version(version: str) -> ApiError:
    known = ", ".join(API_VERSIONS)
    return ApiError(
        code=Code.UNSUPPORTED_API_VERSION,
        detail=f"there is no Api-Version {version[:40]!r}; published: {known}",
    )


def _headers_too_large() -> ApiError:
    return ApiError(
        code=Code.HEADERS_TOO_LARGE,
        detail=f"the headers may have {HEADER_BYTES} bytes in all",
        headers={"Connection": "close"},
    )


async def _refuse(error: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(error, path=scope["path"], request_id=scope["reknit.request_id"])
    await answer(scope, receive, send)
