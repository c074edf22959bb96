"""What detection costs beside staging, at a million rows of a plain file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from engine.intake import IntakeLimits, delimited, stage
from engine.sandbox import Limits, call
from plans.plan import Read

ROWS = 1_000_000


def measure(work: Path) -> tuple[float, float]:
    """CPU seconds of detection, and of staging with it."""
    path = work / "million.csv"
    with path.open("w", newline="") as file:
        file.write("id,name,mail,joined,amount,city\n")
        file.writelines(
            f'{n},"Name, {n}",user{n}@example.org,2024-0{n % 9 + 1}-1{n % 9},{n / 7:.2f},Rome\n'
            for n in range(ROWS)
        )
    return call(_measure, path, work, limits=Limits(folder=work, readable=(work,)))


def _measure(path: Path, work: Path) -> tuple[float, float]:
    spent = [0.0]
    started = time.process_time()
    with (
        _timed(delimited.encoding, "detect", spent),
        _timed(delimited.dialect, "detect", spent),
        _timed(delimited.layout, "find", spent),
    ):
        stage(path, name=path.name, folder=work, read=Read(), limits=IntakeLimits())
    return spent[0], time.process_time() - started


@contextmanager
def _timed(module: Any, name: str, spent: list[float]) -> Iterator[None]:
    """Adds the CPU time of a module's function to `spent`."""
    plain: Callable[..., Any] = getattr(module, name)

    def timed(*args: Any, **more: Any) -> Any:
        before = time.process_time()
        try:
            return plain(*args, **more)
        finally:
            spent[0] += time.process_time() - before

    with patch.object(module, name, timed):
        yield
