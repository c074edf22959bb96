"""Units people write behind numbers, and what one is in another: only where that is exact."""

import re
from collections.abc import Iterable
from decimal import Decimal

#: Word to (what it measures, how many of the smallest of its kind). Exact by definition.
_UNITS: dict[str, tuple[str, Decimal]] = {
    word: (kind, Decimal(size))
    for kind, sizes in {
        "mass": {"mg": "1", "g": "1000", "gr": "1000", "kg": "1000000", "kgs": "1000000",
                 "t": "1000000000", "lb": "453592.37", "lbs": "453592.37", "oz": "28349.523125"},
        "length": {"mm": "1", "cm": "10", "m": "1000", "km": "1000000", "in": "25.4",
                   "ft": "304.8", "yd": "914.4", "mi": "1609344"},
        "volume": {"ml": "1", "cl": "10", "dl": "100", "l": "1000", "ltr": "1000"},
        "time": {"s": "1", "sec": "1", "min": "60", "h": "3600", "hrs": "3600", "days": "86400"},
        "number": {"": "1", "k": "1000", "tsd": "1000", "thousand": "1000", "mio": "1000000",
                   "mn": "1000000", "million": "1000000", "bn": "1000000000",
                   "mrd": "1000000000", "billion": "1000000000", "pcs": "1", "stk": "1"},
    }.items()
    for word, size in sizes.items()
}  # fmt: skip

_BEHIND = re.compile(r"^[-+]?\d[\d.,' ]*?\s*([A-Za-z]{1,8})\.?$")
#: What a plan's number transform can scale by.
_SCALE = re.compile(r"\d{1,12}(\.\d{1,6})?")


def shared_unit(values: Iterable[str]) -> str:
    """The one known unit behind every one of these numbers; empty where there is none or several."""
    found = {
        match[1].casefold() if (match := _BEHIND.match(value.strip())) else "" for value in values
    }
    return found.pop() if len(found) == 1 and found <= _UNITS.keys() - {""} else ""


def siblings(unit: str) -> tuple[str, ...]:
    """Every unit that a number in this one can be told in exactly."""
    return tuple(each for each in _UNITS if factor(unit, each) is not None)


def factor(unit: str, to: str) -> str | None:
    """By what a number in `unit` is multiplied to be one in `to`; None where that is not exact."""
    if unit not in _UNITS or to not in _UNITS or _UNITS[unit][0] != _UNITS[to][0]:
        return None
    ratio = _UNITS[unit][1] / _UNITS[to][1]
    text = f"{ratio.normalize():f}"
    return text if _SCALE.fullmatch(text) else None


def pattern(unit: str) -> str:
    """RE2 pattern of the unit behind a number."""
    return rf"(?i)\s*{re.escape(unit)}\.?\s*$"
