"""What a model gets to see of a file: as little as the data mode allows, and never a raw cell."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from engine.profile import ColumnProfile

LONGEST_NAME, LONGEST_VALUE, SAMPLES = 80, 40, 3
#: A word that stands in this many rows is a label, not somebody's.
OFTEN = 5
#: Nobody is known by so few characters.
CODE = 3


class DataMode(StrEnum):
    """How much of a customer's file may leave for a model."""

    NONE = "none"  #: nothing; the model is not asked
    HEADERS = "headers"  #: column names
    SHAPES = "shapes"  #: names, kinds, patterns such as AA-9999, how full and how varied (default)
    SAMPLES = "samples"  #: also three masked values a column


def column(profile: ColumnProfile, *, mode: DataMode) -> dict[str, Any]:
    """One column for the prompt."""
    shown: dict[str, Any] = {"column": profile.index, "header": clean(profile.header)}
    if mode in (DataMode.SHAPES, DataMode.SAMPLES):
        shown |= {
            "kinds": sorted(kind for kind, rate in profile.rates.items() if rate >= 0.9)[:6],
            "patterns": [pattern_of(shape) for shape, _ in profile.shapes[:3]],
            "filled": _percent(profile.filled, profile.rows),
            "distinct": _percent(profile.distinct, profile.filled),
        }
    if mode is DataMode.SAMPLES:
        shown["samples"] = [masked(value, count) for value, count in profile.top[:SAMPLES]]
    return shown


def clean(text: str, *, longest: int = LONGEST_NAME) -> str:
    """Without control, format and direction characters, and not longer than a name is."""
    kept = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    return " ".join(kept.split())[:longest]


def masked(value: str, count: int) -> str:
    """Digits as 9; letters as x, unless the word is a label that many rows share."""
    shown = clean(value, longest=LONGEST_VALUE)
    if count >= OFTEN and not re.search(r"[\d@]", shown) and len(shown.split()) <= 3:
        return shown
    return pattern_of(re.sub(r"\d", "9", shown))


def labels(values: Sequence[tuple[str, int]], *, most: int = 20) -> list[tuple[int, str]]:
    """Values of a list field that may be shown, with their places in the given sequence.

    Words that many rows share, and codes of at most three characters.
    """
    return [
        (at, clean(value, longest=LONGEST_VALUE))
        for at, (value, count) in enumerate(values[:most])
        if count >= OFTEN and (len(value) <= CODE or not re.search(r"[\d@]", value))
    ]


def pattern_of(text: str) -> str:
    """Letters as A or a, digits as 9; what is left is punctuation."""
    return "".join(
        "9" if c.isdigit() else "A" if c.isupper() else "a" if c.isalpha() else c for c in text
    )[:LONGEST_VALUE]


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
