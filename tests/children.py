"""What a sandbox child can do wrong."""

import os
import signal
from contextlib import suppress


def dies() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def exits() -> None:
    os._exit(137)


def hangs() -> None:
    while True:
        pass


def swells() -> None:
    held = []
    while True:
        held.append(bytearray(64 << 20))


def babbles() -> None:
    for descriptor in range(3, 32):
        with suppress(OSError):
            os.write(descriptor, os.urandom(1 << 12))
    os._exit(0)
