"""How much and how fast: requests per key and window, bytes per body, seconds per client."""

import asyncio
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope

from api.errors import ApiError, BodyRefused, Code

#: A body may take so long before its first KiB, and then comes at 1 KiB/s or faster.
BODY_GRACE_SECONDS = 10.0
BODY_BYTES_PER_SECOND = 1024

#: Inline rows and CSV text; other JSON bodies are small.
IMPORT_BYTES = 20_000_000
BODY_BYTES = 1_000_000

_IMPORT_PATHS = re.compile(r"/v1/(companies/[^/]+/(imports|preview)|plans/infer|.*/preview)$")
_UPLOAD_PATHS = re.compile(r"/v1/(uploads/[^/]+/content|companies/[^/]+/files)$|/m/[^/]+/files$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What a window still allows after this request, and in how many seconds it ends."""

    rate: Rate
    remaining: int
    reset: float

    def headers(self, now: float) -> dict[str, str]:
        """Both header families; `X-RateLimit-Reset` is in Unix seconds."""
        seconds = math.ceil(self.reset)
        return {
            "RateLimit-Policy": f'"default";q={self.rate.requests};w={self.rate.seconds}',
            "RateLimit": f'"default";r={max(0, self.remaining)};t={seconds}',
            "X-RateLimit-Limit": str(self.rate.requests),
            "X-RateLimit-Remaining": str(max(0, self.remaining)),
            "X-RateLimit-Reset": str(math.ceil(now + self.reset)),
        }


class Windows:
    """Fixed windows by name, in this process; each starts with its first request."""

    def __init__(self, rate: Rate, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def take(self, name: str, *, amount: int = 1) -> Left:
        """Count a request; `remaining` below zero means it is one too many."""
        now = self._clock()
        with self._lock:
            if len(self._windows) > 10_000:
                self._forget(now)
            start, used = self._windows.get(name, (now, 0))
            if now - start >= self.rate.seconds:
                start, used = now, 0
            used += amount
            self._windows[name] = start, used
        reset = start + self.rate.seconds - now
        return Left(rate=self.rate, remaining=self.rate.requests - used, reset=reset)

    def _forget(self, now: float) -> None:
        self._windows = {
            name: window
            for name, window in self._windows.items()
            if now - window[0] < self.rate.seconds
        }


def refuse(left: Left) -> ApiError:
    """The 429 for a used-up window."""
    seconds = max(1, math.ceil(left.reset))
    return ApiError(
        code=Code.RATE_LIMITED,
        detail=f"more than {left.rate.requests} requests in {left.rate.seconds} s; "
        f"try again in {seconds} s",
        headers={"Retry-After": str(seconds)},
        members={"violated-policies": ["default"]},
    )


def body_cap(path: str, *, upload_bytes: int) -> int:
    """How many bytes the body of a request to this path may have."""
    if _UPLOAD_PATHS.fullmatch(path):
        return upload_bytes
    return IMPORT_BYTES if _IMPORT_PATHS.fullmatch(path) else BODY_BYTES


def too_large(cap: int) -> ApiError:
    """The 413, with the cap as a member."""
    return ApiError(
        code=Code.PAYLOAD_TOO_LARGE,
        detail=f"the body may have {cap} bytes at most",
        members={"max_bytes": cap},
        headers={"Connection": "close"},
    )


def too_slow() -> ApiError:
    """The 408."""
    return ApiError(
        code=Code.REQUEST_TIMEOUT,
        detail=f"the body came at less than {BODY_BYTES_PER_SECOND} bytes a second",
        headers={"Connection": "close"},
    )


def guarded(receive: Receive, *, cap: int, clock: Callable[[], float] = time.monotonic) -> Receive:
    """`receive` that ends a body which is larger than `cap` or dribbles."""
    received, waited, more = 0, 0.0, True

    async def guarded_receive() -> Message:
        nonlocal received, waited, more
        if not more:
            return await receive()
        started = clock()
        budget = BODY_GRACE_SECONDS + received / BODY_BYTES_PER_SECOND - waited
        try:
            async with asyncio.timeout(max(0.0, budget)):
                message = await receive()
        except TimeoutError:
            raise BodyRefused(too_slow()) from None
        waited += clock() - started
        received += len(message.get("body", b""))
        more = message["type"] == "http.request" and bool(message.get("more_body"))
        if received > cap:
            raise BodyRefused(too_large(cap))
        return message

    return guarded_receive


def declared_length(scope: Scope) -> int | None:
    """The request's Content-Length, if it has a sensible one."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None
