"""Functions that misbehave; children import them by name."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa

from engine.errors import SourceCode, SourceError
from engine.sandbox import Progress


def double(number: int, *, progress: Callable[[Progress], None] | None = None) -> int:
    if progress is not None:
        progress(Progress(phase="doubling", done=0, total=2))
        progress(Progress(phase="doubling", done=1, total=2))
        progress(Progress(phase="doubling", done=2, total=2))
    return number * 2


def environment() -> dict[str, str]:
    return {**os.environ, "initial": Path("/proc/self/environ").read_text()}


def refuse() -> None:
    raise SourceError(SourceCode.EMPTY, "nothing in it", file="a.csv", place="line 1")


def open_socket() -> None:
    socket.socket()


def connect_natively() -> None:
    duckdb.sql("select * from read_csv('https://127.0.0.1:9/a.csv')").fetchall()


def read_secret() -> str:
    return Path("/etc/passwd").read_text()


def read_secret_natively() -> None:
    duckdb.sql("select * from read_text('/etc/passwd')").fetchall()


def write_outside() -> None:
    Path("../outside.txt").write_text("x")


def fork() -> None:
    os.fork()


def run_program() -> None:
    subprocess.run(["/bin/true"], check=False)


def kill_server() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def take_memory() -> int:
    return len(b"x" * (10 << 30))


def take_memory_natively() -> None:
    duckdb.sql("select len(range(400000000))").fetchall()


def fill_disk() -> None:
    with Path("big").open("wb") as file:
        file.truncate(10 << 40)


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def abort() -> None:
    os.abort()


def leave() -> None:
    os._exit(0)


def spin() -> None:
    while True:
        pass


class Evil:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def answer_with_code() -> Evil:
    return Evil()


class Reaching:
    """Asks for an attribute of a class where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, str]]:
        return getattr, (Path, "home")


def answer_with_attribute() -> Reaching:
    return Reaching()


def answer_with_enum() -> tuple[SourceCode, Path]:
    return SourceCode.EMPTY, Path("a")


def looks_for_pandas() -> bool:
    """Whether pandas is loaded by work that Arrow does for us."""
    pa.array([1, 2]).to_pylist()
    return "pandas" in sys.modules


def find_disk_full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def stumble() -> None:
    """A library's error that quotes a cell, line end and quote and all."""
    duckdb.execute("SELECT CAST(? AS INTEGER)", ["O'Brien\nca\"nary"])


def fail() -> None:
    raise ValueError("not as it should be\nsecond line")
