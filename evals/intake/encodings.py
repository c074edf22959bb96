"""Text decoded with the detected encoding, against the encoding each folder is named after."""

from collections.abc import Callable
from pathlib import Path

import chardet
import charset_normalizer

from engine.intake import encoding


def ours(data: bytes) -> str:
    """As intake decodes."""
    found = encoding.detect(data, whole=True, given=None)
    return data[found.skip :].decode(found.name, "replace")


def by_chardet(data: bytes) -> str:
    """chardet alone."""
    return data.decode(chardet.detect(data)["encoding"] or "utf-8", "replace")


def by_normalizer(data: bytes) -> str:
    """charset-normalizer alone."""
    best = charset_normalizer.from_bytes(data).best()
    return data.decode(best.encoding if best else "utf-8", "replace")


def by_guess(data: bytes) -> str:
    """UTF-8, else Windows-1252."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


DETECTORS: dict[str, Callable[[bytes], str]] = {
    "reknit": ours,
    "chardet": by_chardet,
    "charset-normalizer": by_normalizer,
    "utf-8 else cp1252": by_guess,
}


def evaluate(folder: Path) -> tuple[int, dict[str, list[str]]]:
    """How many files there are, and by detector those it decodes differently from the truth."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "None"
    ]
    files = [path for path in files if path.suffix != ".md" or path.parent.name == "utf_8"]
    wrong: dict[str, list[str]] = {name: [] for name in DETECTORS}
    for path in files:
        data = path.read_bytes()
        truth = data.decode(path.parent.name, "replace").removeprefix("\ufeff")
        for name, detect in DETECTORS.items():
            try:
                found = detect(data).removeprefix("\ufeff")
            except Exception:  # noqa: BLE001 - a detector that fails is wrong
                found = ""
            if found != truth:
                wrong[name].append(f"{path.parent.name}/{path.name}")
    return len(files), wrong
