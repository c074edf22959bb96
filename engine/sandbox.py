"""Calls a function over customer bytes in a child process that may crash, hang or swell alone.

Fork from a prepared server costs about 0.02 s a call; the first call of a process pays for the
imports. What a child may do is in engine.confine.
"""

import atexit
import contextlib
import functools
import io
import json
import logging
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from pydantic import BaseModel

from engine import confine
from engine.errors import Canceled, ChildCrashed, ChildTimeout, EngineError
from engine.sandbox_child import FRAME, send
from plans.errors import PlanError

log = logging.getLogger(__name__)
T = TypeVar("T")
GIB = 1 << 30
#: An answer is metadata; rows go to files.
MAX_ANSWER = 256 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one child may use. `folder` is its working folder, the only place it may write."""

    folder: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    memory: int = 2 * GIB  #: bytes of address space beyond the loaded libraries
    seconds: float = 600.0
    threads: int = 2
    file_size: int = 64 * GIB
    open_files: int = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a phase is; `total` 0 means nobody knows."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What a child spent: CPU seconds and peak resident bytes."""

    cpu: float
    rss: int


def call(
    fn: Callable[..., T],
    *args: Any,
    limits: Limits,
    cancel: Callable[[], bool] | None = None,
    progress: Callable[[Progress], None] | None = None,
    usage: Callable[[Usage], None] | None = None,
) -> T:
    """Run a top-level function (or a `functools.partial` of one) in a child; its value or error.

    With `progress`, the function gets `progress=`, a callable that takes a Progress. Raises what
    the function raised if it is ours, else ChildCrashed, ChildTimeout or Canceled.
    """
    inner = fn.func if isinstance(fn, functools.partial) else fn
    with _child(inner.__module__) as (channel, status, pidfd):
        try:
            send(channel, b"j", pickle.dumps((fn, args, limits, progress is not None)))
            deadline = monotonic() + limits.seconds
            for kind, body in _frames(channel, deadline, cancel):
                if kind == b"p" and progress is not None:
                    progress(_load(body))
                elif kind == b"u" and usage is not None:
                    cpu, rss = _load(body)
                    usage(Usage(cpu=float(cpu), rss=int(rss)))
                elif kind == b"r":
                    answer: T = _load(body)
                    return answer
                elif kind == b"e":
                    raise _error(_load(body))
        except (BrokenPipeError, ConnectionResetError):
            pass
        except TimeoutError:
            name = getattr(inner, "__name__", "the child")
            raise ChildTimeout(f"{name} ran past {limits.seconds:g} s and was stopped") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        raise _death(status)


@contextlib.contextmanager
def _child(module: str) -> Iterator[tuple[socket.socket, socket.socket, int]]:
    """A fresh child that waits for its job: its channel, its status socket, its pidfd."""
    channel, theirs = socket.socketpair()
    status, their_status = socket.socketpair()
    with channel, status:
        with theirs, their_status:
            _server().request(module, [theirs.fileno(), their_status.fileno()])
        status.settimeout(60)
        pid = _status(status)
        if pid is None:
            raise ChildCrashed("the sandbox server died; try again")
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise ChildCrashed("the child died at its start") from None
        try:
            yield channel, status, pidfd
        finally:
            os.close(pidfd)


def _frames(
    channel: socket.socket, deadline: float, cancel: Callable[[], bool] | None
) -> Iterator[tuple[bytes, bytes]]:
    """Frames of the child as they come, until it closes; TimeoutError at the deadline."""
    poll, data = select.poll(), bytearray()
    poll.register(channel, select.POLLIN)
    while True:
        if cancel is not None and cancel():
            raise Canceled("canceled")
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        if not poll.poll(1000 * min(left, 0.2 if cancel else left)):
            continue
        part = channel.recv(1 << 20)
        if not part:
            return
        data += part
        while len(data) >= FRAME.size:
            kind, size = FRAME.unpack_from(data)
            if size > MAX_ANSWER:
                raise ChildCrashed("the child answered with too much")
            if len(data) < FRAME.size + size:
                break
            yield kind, bytes(data[FRAME.size : FRAME.size + size])
            del data[: FRAME.size + size]


def _status(status: socket.socket) -> int | None:
    try:
        word = status.recv(4)
    except (TimeoutError, ConnectionResetError):
        return None
    return struct.unpack("<i", word)[0] if len(word) == 4 else None


def _death(status: socket.socket) -> EngineError:
    code = _status(status)
    if code == -signal.SIGXCPU:
        return ChildTimeout("the child used up its CPU seconds")
    if code is not None and code < 0:
        hint = " (out of memory?)" if code == -signal.SIGKILL else ""
        return ChildCrashed(f"the child died from {signal.Signals(-code).name}{hint}")
    return ChildCrashed(f"the child ended without an answer (status {code})")


def _error(value: Any) -> Exception:
    if isinstance(value, (EngineError, PlanError)):
        return value
    return ChildCrashed("the child's error cannot be read")


_PLAIN: dict[tuple[str, str], Any] = {
    (kind.__module__, kind.__qualname__): kind
    for kind in (set, frozenset, bytearray, date, datetime, time, timedelta, timezone, Decimal)
} | {("pathlib", "Path"): Path, ("pathlib", "PosixPath"): type(Path())}


def _member(kind: Any, name: str) -> Any:
    """What `getattr` is used for in an answer: before Python 3.11.4 enums are pickled by it."""
    if isinstance(kind, type) and issubclass(kind, Enum) and name in kind.__members__:
        return kind.__members__[name]
    raise pickle.UnpicklingError(f"{name} is no member of an enum")


class _Answers(pickle.Unpickler):
    """Admits our own values and plain types only: a child taken over cannot run code here."""

    def find_class(self, module: str, name: str) -> Any:
        """Our dataclasses, documents, enums and errors; nothing else that is callable."""
        if (module, name) == ("builtins", "getattr"):
            return _member
        plain = _PLAIN.get((module, name))
        if plain is not None:
            return plain
        if module.split(".")[0] in ("plans", "engine") and "." not in name:
            found = super().find_class(module, name)
            if (module, name) == ("engine.errors", "_source_error"):
                return found
            if isinstance(found, type) and (
                is_dataclass(found) or issubclass(found, (Enum, BaseModel, EngineError, PlanError))
            ):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in an answer")


def _load(body: bytes) -> Any:
    try:
        return _Answers(io.BytesIO(body)).load()
    except Exception as error:  # noqa: BLE001 - hostile bytes can raise anything
        raise ChildCrashed(f"the child's answer cannot be read: {error}") from None


class _Server:
    """The process that forks; lives as long as this one and is started again when it died."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Ctrl-C and a service manager's SIGTERM are for this process, which ends its children.
        code = (
            "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "import duckdb, numpy.ma, pyarrow\n"
            f"from engine.sandbox_child import serve\nserve({theirs.fileno()})"
        )
        # One BLAS thread and few malloc arenas keep the address space small and fork safe; Arrow
        # spends a tenth less where jemalloc keeps the memory of its batches.
        environment = {
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            "LC_ALL": "C.UTF-8",
            "ARROW_DEFAULT_MEMORY_POOL": "jemalloc",
        }
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )

    def request(self, module: str, fds: list[int]) -> None:
        socket.send_fds(self.control, [json.dumps(module).encode()], fds)

    def usable(self) -> bool:
        return self.owner == os.getpid() and self.process.poll() is None

    def close(self) -> None:
        self.control.close()
        if self.owner == os.getpid():
            self.process.wait()


_servers: list[_Server] = []
_lock = threading.Lock()


def _server() -> _Server:
    with _lock:
        if _servers and not _servers[-1].usable():
            _servers.pop().close()
        if not _servers:
            if confine.landlock() < 1:
                log.warning("this kernel has no Landlock: children are not kept from other files")
            _servers.append(_Server())
            atexit.register(_servers[-1].close)
        return _servers[-1]
