"""Workbooks made to break readers: read, or refused with which code."""

import tempfile
from collections import Counter
from pathlib import Path

from engine.errors import EngineError, SourceError
from engine.intake import take_in

KINDS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods", ".xml"}


def evaluate(folders: list[Path]) -> Counter[str]:
    """How many files ended how."""
    found: Counter[str] = Counter()
    for path in (each for folder in folders for each in sorted(folder.rglob("*"))):
        if not path.is_file() or path.suffix.lower() not in KINDS:
            continue
        with tempfile.TemporaryDirectory() as work:
            found[_outcome(path, Path(work))] += 1
    return found


def _outcome(path: Path, work: Path) -> str:
    try:
        take_in(path, name=path.name, folder=work, seconds=60)
    except SourceError as error:
        return f"refused: {error.code.value}"
    except EngineError:
        return "crashed"
    return "read"
