"""What the turns of one worker share."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from engine.files import Files
from engine.ids import folder_name
from engine.model import Run
from engine.phase import Advance, Context
from engine.settings import Settings
from engine.store.errands import Errand


def scratch_root(settings: Settings) -> Path:
    """Where the workers of this machine work, each in a folder of its name."""
    return settings.data_dir / "scratch"


@dataclass
class Stop:
    """Why a turn should end now, set by whoever notices: "canceled", "superseded" or "leaving"."""

    reason: str = ""

    def __call__(self) -> bool:
        """Whether the turn should end; what a sandbox child's watcher asks."""
        return bool(self.reason)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The places a turn works with, and the turns that are being worked on."""

    engine: sa.Engine
    files: Files
    settings: Settings
    executor: str
    advance: Callable[[Context], Advance]
    enqueue: Callable[[sa.Connection, Run, float], None]  #: after so many seconds
    working: dict[str, Stop] = field(default_factory=dict)  #: by run
    stopping: threading.Event = field(default_factory=threading.Event)
    #: Turns whose worker died before go one at a time, so that only the one to blame dies thrice.
    suspects: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def scratch(desk: Desk, name: str) -> Iterator[Path]:
    """An empty folder of this worker, gone afterwards. A name for each claim alone: so a frozen
    worker that wakes up disturbs nobody.
    """
    folder = scratch_root(desk.settings) / desk.executor / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def claim_name(claimed: Run | Errand) -> str:
    """What the folder of that claim is called."""
    return f"{folder_name(claimed.id)}-{claimed.turn}-{claimed.claim}"
