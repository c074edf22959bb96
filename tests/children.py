"""What a sandbox child can do wrong."""

import os
import signal


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
    os.write(3, os.urandom(1 << 16))
    os._exit(0)
