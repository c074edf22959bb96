"""`Prefer: wait=N`: hold the answer until the run moved on, for at most N seconds."""

import re
import threading
from collections.abc import Callable
from time import monotonic
from typing import Annotated, TypeVar

from fastapi import Header
from fastapi.responses import Response

from api.deps import Services
from engine.model import ENDED, Run, RunStatus
from engine.store import runs

T = TypeVar("T")

MOST_SECONDS = 60

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

    def look() -> Run:
        with here.database.begin() as c:
            return runs.get(c, run.partner, run.id)

    until = ENDED | {RunStatus.NEEDS_ATTENTION}
    return held(here, run.id, look, over=lambda each: each.status in until, seconds=seconds)


def held(
    here: Services, thing: str, look: Callable[[], T], *, over: Callable[[T], bool], seconds: int
) -> tuple[T, bool]:
    """What `look` sees of a run or errand once it is over or the seconds are; whether they were waited."""
    seen = look()
    if not seconds or over(seen) or not _WAITERS.acquire(blocking=False):
        return seen, bool(seconds) and over(seen)
    try:
        deadline, moved = monotonic() + seconds, threading.Event()
        with here.watch.waking(thing, moved.set):
            while not over(seen) and (left := deadline - monotonic()) > 0:
                moved.wait(left)
                moved.clear()
                seen = look()
        return seen, True
    finally:
        _WAITERS.release()


def told(answer: Response, seconds: int, *, applied: bool) -> Response:
    """The answer saying that it was waited for."""
    if applied:
        answer.headers["Preference-Applied"] = f"wait={seconds}"
    return answer
