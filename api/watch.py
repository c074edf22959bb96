"""One look at the store for everybody who waits: whatever moved wakes those who wait for it."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial

import sqlalchemy

from engine.store import events
from engine.store.database import is_busy

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1

Wake = Callable[[], object]


class Watch:
    """Asks once for all runs and errands that somebody waits for; while nobody does, not at all."""

    def __init__(self, database: sqlalchemy.Engine) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._wakes: dict[str, list[Wake]] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @contextmanager
    def waking(self, thing: str, wake: Wake) -> Iterator[None]:
        """Call `wake` in another thread, soon and whenever the run or errand may have moved."""
        with self._lock:
            self._wakes.setdefault(thing, []).append(wake)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._wakes[thing].remove(wake)
                if not self._wakes[thing]:
                    del self._wakes[thing]

    @contextmanager
    def bell(self, thing: str) -> Iterator[Callable[[float], Awaitable[bool]]]:
        """For coroutines: `await rung(seconds)` says whether it may have moved since the last time."""
        rung, loop = asyncio.Event(), asyncio.get_running_loop()

        async def wait(seconds: float) -> bool:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await rung.wait()
            moved = rung.is_set()
            rung.clear()
            return moved

        with self.waking(thing, partial(loop.call_soon_threadsafe, rung.set)):
            yield wait

    def close(self) -> None:
        """Look no more; the database stays open."""
        self._closed.set()
        if (thread := self._thread) is not None:
            thread.join()

    def _look(self) -> None:
        known: Mapping[str, events.Mark] = {}
        while not self._closed.wait(LOOK_SECONDS):
            with self._lock:
                wanted = list(self._wakes)
                if not wanted:
                    self._thread = None
                    return
            try:
                with self._database.begin() as c:
                    marks = events.marks(c, wanted)
            except Exception as error:
                if not is_busy(error):
                    log.exception("looking for what moved failed")
                self._closed.wait(1)
                continue
            moved = [each for each in wanted if each not in known or marks.get(each) != known[each]]
            known = marks
            # Whoever came while the store was asked may have looked before that.
            with self._lock:
                for wake in [wake for each in moved for wake in self._wakes.get(each, ())]:
                    wake()
