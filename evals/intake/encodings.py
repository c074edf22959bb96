"""Text decoded with the detected encoding, against the encoding each folder is named after."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import chardet
import charset_normalizer

from engine.intake import encoding
from engine.intake.views import SURE


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


def exports(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Plain rows with a few foreign words of real texts among them, and the encoding they are in."""
    draw = random.Random(7)
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.parent.name
        try:
            text = path.read_bytes().decode(name)
        except (LookupError, UnicodeDecodeError):
            continue
        words = [each for each in re.findall(r"[^\W\d_]{2,14}", text) if not each.isascii()]
        if name.lower().startswith("utf") or len(words) < 30 or path.suffix == ".md":
            continue
        for count in (3, 8, 25):
            some = draw.sample(words, count)
            lines = ["id,name,city,amount"]
            for n in range(200):
                word = some.pop() if some and n % 3 == 0 else draw.choice(["Smith", "Jones"])
                lines.append(f"{n},{word},{draw.choice(['Rome', 'Oslo'])},{n * 3}.50")
            yield name, "\n".join(lines).encode(name, "replace")


def calibration(folder: Path) -> dict[str, tuple[int, int]]:
    """Files whose encoding is unsure and others: how many, and how many are decoded wrongly."""
    told = {"unsure": (0, 0), "sure": (0, 0)}
    for name, data in exports(folder):
        found = encoding.detect(data, whole=True, given=None)
        kind = "unsure" if found.choice.confidence < SURE else "sure"
        files, wrong = told[kind]
        same = data.decode(found.name, "replace") == data.decode(name)
        told[kind] = files + 1, wrong + (not same)
    return told


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
