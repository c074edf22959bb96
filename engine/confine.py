"""What a child process may still do: its folder, its inputs, its limits; no network, no programs.

Linux only: Landlock (kernel 5.13) guards files for native code too, an audit hook refuses sockets
and programs, resource limits stop what runs away.
"""

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
#: Landlock access bits (linux/landlock.h): execute, write, read file, read folder, the rest changes
#: the tree. The count of known bits grows with the ABI.
_READ, _ALL_BY_ABI = 0b1101, {1: 13, 2: 14, 3: 15, 4: 15}
_FILE_BITS = 0b1000_0000_0000_0111 | 1 << 14
_DENIED = (
    "socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo",
    "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty",
    "pty.spawn",
)  # fmt: skip


def leave_network() -> None:
    """Move this process and its later children into a network namespace without any interface."""
    if _LIBC.unshare(_CLONE_NEWNET) != 0:
        _LIBC.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that forked it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, 9)


def limit(*, memory: int, cpu_seconds: int, file_size: int, open_files: int) -> None:
    """Set hard resource limits; `memory` is address space on top of what is mapped already."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for what, value in (
        (resource.RLIMIT_AS, mapped + memory),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))


def refuse_programs_and_sockets() -> None:
    """From here on Python code cannot open a socket, fork or start a program."""

    def hook(event: str, _: object) -> None:
        if event in _DENIED:
            raise PermissionError(f"{event} is not allowed in a sandbox")

    sys.addaudithook(hook)


def landlock() -> int:
    """The version of the kernel's Landlock; below 1 it cannot keep a child from other files."""
    return int(_LIBC.syscall(_CREATE_RULESET, None, 0, 1))


def restrict_files(*, writable: Iterable[Path], readable: Iterable[Path]) -> bool:
    """Allow only these trees (and Python's own) from now on; False where the kernel cannot."""
    abi = landlock()
    if abi < 1:
        return False
    everything = (1 << _ALL_BY_ABI.get(abi, 16)) - 1
    # ABI 6 also keeps signals and abstract sockets inside.
    attributes = struct.pack("QQQ", everything, 3, 3) if abi >= 6 else struct.pack("Q", everything)
    ruleset = _LIBC.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    for path in (*_python_itself(), *readable):
        _allow(ruleset, path, _READ & everything)
    for path in writable:
        _allow(ruleset, path, everything)
    _allow(ruleset, Path("/dev/null"), 0b110)
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    done: bool = _LIBC.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    bits = access if path.is_dir() else access & _FILE_BITS
    rule = struct.pack("=Qi", bits, fd)
    refused = _LIBC.syscall(_ADD_RULE, ruleset, 1, rule, 0)
    os.close(fd)
    if refused:
        raise OSError(ctypes.get_errno(), f"cannot restrict access to {path}")


def _python_itself() -> tuple[Path, ...]:
    """What late imports, native libraries and time zones are read from."""
    packages = Path(__file__).resolve().parent
    system = ("/usr/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/localtime", "/dev/urandom")
    prefixes = (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))
    return (
        *(Path(each) for each in (*system, *prefixes, "/proc/self", "/sys/fs/cgroup")),
        packages,
        packages.parent / "plans",
    )
