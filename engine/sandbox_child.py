"""The server that forks children, and the child's side of a call. Started by engine.sandbox only.

The server is a fresh interpreter with an empty environment, one thread and no network. It imports
the module of each function once, so that a child starts with everything loaded.
"""

import contextlib
import errno
import gc
import importlib
import json
import os
import pickle
import re
import resource
import selectors
import socket
import struct
import sys
import time
import traceback
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from typing import Any

from engine import confine
from engine.errors import ChildCrashed, EngineError, StorageError
from plans.errors import PlanError

FRAME = struct.Struct("<cI")
_FULL = (errno.ENOSPC, errno.EDQUOT)
_QUOTED = re.compile(r"([\"'`]).*\1", re.DOTALL)


class _NoPandas(MetaPathFinder):
    """Arrow looks for pandas in every child; where it is installed, finding it takes a second."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Hide pandas; everything else is found as ever."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is of no use here", name=fullname)


def serve(control_fd: int) -> None:
    """Fork one child for each request on the control socket, until the parent closes it."""
    confine.leave_network()
    sys.meta_path.insert(0, _NoPandas())
    control = socket.socket(fileno=control_fd)
    waiting = selectors.DefaultSelector()
    waiting.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not control:
                waiting.unregister(key.fileobj)
                _report_end(key.fd, *key.data)
                continue
            request, fds, _flags, _address = socket.recv_fds(control, 4096, 2)
            if not request:
                os._exit(0)
            pid = _fork(json.loads(request), fds, control)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, fds[1]))


def _fork(module: str, fds: list[int], control: socket.socket) -> int:
    problem = None
    try:
        importlib.import_module(module)
    except Exception:  # noqa: BLE001 - told to the caller, the server lives on
        problem = traceback.format_exc()
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        try:
            confine.die_with_parent()
            control.close()
            os.close(fds[1])
            _work(socket.socket(fileno=fds[0]), problem)
        finally:
            os._exit(0)
    os.close(fds[0])
    _say(fds[1], pid)
    return pid


def _report_end(pidfd: int, pid: int, status_fd: int) -> None:
    _, status = os.waitpid(pid, 0)
    _say(status_fd, os.waitstatus_to_exitcode(status))
    os.close(status_fd)
    os.close(pidfd)


def _say(status_fd: int, number: int) -> None:
    # A caller may have its answer already, or have given up; the other children live on.
    with contextlib.suppress(BrokenPipeError):
        os.write(status_fd, struct.pack("<i", number))


def _work(channel: socket.socket, problem: str | None) -> None:
    """Read the job, confine this process, run it, send back the value or the error."""
    try:
        if problem is not None:
            raise ChildCrashed(problem)
        size = FRAME.unpack(_receive(channel, FRAME.size))[1]
        fn, args, limits, with_progress = pickle.loads(_receive(channel, size))
        _enter(limits)
        keywords = {"progress": _reporter(channel)} if with_progress else {}
        kind, answer = b"r", fn(*args, **keywords)
    except (EngineError, PlanError) as error:
        kind, answer = b"e", error
    except MemoryError:
        kind, answer = b"e", ChildCrashed("the child ran out of memory")
    except BaseException as error:  # noqa: BLE001 - every end becomes an answer
        kind, answer = b"e", _told(error)
    send(channel, b"u", pickle.dumps(_usage()))
    send(channel, kind, pickle.dumps(answer))


def _told(error: BaseException) -> EngineError:
    """The error in a line; where it came from is a note, which logs show and people do not see."""
    if getattr(error, "errno", None) in _FULL or "No space left" in str(error):
        # No fault of the file: it must not count towards putting it into quarantine.
        return StorageError("no space is left on the disk; make room and try again")
    out_of_memory = "OutOfMemory" in type(error).__name__
    why = "the child ran out of memory" if out_of_memory else "the child failed"
    # A library quotes the cell it stumbled over; neither people nor logs are to read it.
    said = _QUOTED.sub(r"\1…\1", str(error))
    line = next(iter(said.splitlines()), "")[:500]
    told = ChildCrashed(f"{why}: {type(error).__name__}" + (f": {line}" if line else ""))
    told.add_note("".join(traceback.format_tb(error.__traceback__))[-4_000:])
    return told


def _enter(limits: Any) -> None:
    os.chdir(limits.folder)
    os.environ.clear()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    confine.limit(
        memory=limits.memory,
        cpu_seconds=int(limits.seconds * limits.threads) + 1,
        file_size=limits.file_size,
        open_files=limits.open_files,
    )
    writable = (limits.folder, *limits.writable)
    kept = confine.restrict_files(writable=writable, readable=limits.readable)
    # Without Landlock the parent has warned; where there is one, nothing runs outside of it.
    if not kept and confine.landlock() >= 1:
        raise ChildCrashed("the child could not be kept from other files")
    confine.refuse_programs_and_sockets()


def _usage() -> tuple[float, int]:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime, spent.ru_maxrss << 10


def _reporter(channel: socket.socket) -> Callable[[Any], None]:
    """Send progress at most once a second; the first and last report of a phase always go out."""
    last: list[Any] = [0.0, ""]

    def report(progress: Any) -> None:
        now = time.monotonic()
        if now - last[0] < 1 and progress.phase == last[1] and progress.done < progress.total:
            return
        last[:] = [now, progress.phase]
        send(channel, b"p", pickle.dumps(progress))

    return report


def send(channel: socket.socket, kind: bytes, body: bytes) -> None:
    """Write one frame."""
    channel.sendall(FRAME.pack(kind, len(body)) + body)


def _receive(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = channel.recv(min(1 << 20, size - len(data)))
        if not part:
            os._exit(1)
        data += part
    return bytes(data)
