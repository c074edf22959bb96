"""Named places where the fault tests kill, freeze or break this process; nothing when unarmed."""

import os
import re
import signal
import threading
from collections.abc import Callable

NAMES: set[str] = set()
_armed: dict[str, tuple[str, int]] = {}
_lock = threading.Lock()


class InjectedFault(Exception):
    """A fault test asked for this."""


def _raise() -> None:
    raise InjectedFault


_ACTIONS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "raise": _raise,
}
_FORM = re.compile(rf"(?P<place>.+):(?P<action>{'|'.join(_ACTIONS)})(?::(?P<count>\d+))?")


def arm(text: str) -> None:
    """`place:action[:n]`, comma separated: act at the n-th (default first) arrival at that place."""
    for part in filter(None, text.split(",")):
        found = _FORM.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} is not place:action or place:action:n")
        _armed[found["place"]] = found["action"], int(found["count"] or 1)


def hit(name: str) -> None:
    """This place is reached."""
    if not _armed:
        return
    with _lock:
        NAMES.add(name)
        action, left = _armed.get(name, ("", 0))
        if not action:
            return
        _armed[name] = action, left - 1
    if left == 1:
        _ACTIONS[action]()
