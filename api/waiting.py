"""`Prefer: wait=N`: hold the answer until the run moved on, for at most N seconds."""

import re
import threading
from collections.abc import Callable
from time import monotonic, sleep
from typing import Annotated, TypeVar

from fastapi import Header
from fastapi.responses import Response

from api.deps import Services
from engine.model import ENDED, Run, RunStatus

T = TypeVar("T")

MOST_SECONDS = 60
_LOOK_SECONDS = 0.1

#: Each waits in a thread of its own; above this, requests are answered at once instead.
_WAITERS = threading.BoundedSemaphore(32)

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})")

Prefer = Annotated[
    str | None,
    Header(description="`wait=N` holds the answer up to N (60 at most) seconds", max_length=200),
]


def wished(prefer: str | None) -> int:
    """The seconds the caller wants to wait; 0 for none."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), MOST_SECONDS) if found else 0


def waited(here: Services, run: Run, *, seconds: int) -> tuple[Run, bool]:
    """The run once it ended or waits for a person, and whether the wish was followed."""
    if not seconds or run.ended or not _WAITERS.acquire(blocking=False):
        return run, bool(seconds) and run.ended
    try:
        until = ENDED | {RunStatus.NEEDS_ATTENTION}
        return here.work.wait(run.partner, run.id, seconds=seconds, until=until), True
    finally:
        _WAITERS.release()


def held(look: Callable[[], T], *, over: Callable[[T], bool], seconds: int) -> tuple[T, bool]:
    """What `look` sees once it is over or the seconds are, and whether the wish was followed."""
    seen = look()
    if not seconds or over(seen) or not _WAITERS.acquire(blocking=False):
        return seen, bool(seconds) and over(seen)
    try:
        deadline = monotonic() + seconds
        while not over(seen) and monotonic() < deadline:
            sleep(_LOOK_SECONDS)
            seen = look()
        return seen, True
    finally:
        _WAITERS.release()


def told(answer: Response, seconds: int, *, applied: bool) -> Response:
    """The answer saying that it was waited for."""
    if applied:
        answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer
