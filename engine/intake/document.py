"""Where the records are in a JSON document: a list, in an envelope, by column, or by key."""

import json
import re
from itertools import chain
from typing import Any

#: How deep an envelope may be, and fewest members that are records by key.
DEEPEST, FEWEST = 4, 3
#: What records are called beside other lists, such as those they refer to.
_NAMES = ("data", "items", "records", "results", "rows")


class Number(str):
    """A number's text as it stands in the file."""


_NEXT = re.compile(r"[^ \t\r\n,]|\Z")
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)


def loads(text: str) -> Any:
    """Parse with numbers kept as text."""
    return _DECODER.decode(text)


def loads_all(text: str) -> Any:
    """Parse one document, or a list of all where several stand one after another, with commas or not."""
    found: list[Any] = []
    at, end = 0, len(text.rstrip(" \t\r\n,"))
    while at < end or not found:
        value, at = _DECODER.raw_decode(text, _start(text, at))
        found.append(value)
    return found[0] if len(found) == 1 else found


def _start(text: str, at: int) -> int:
    found = _NEXT.search(text, at)
    return found.start() if found else at


def records_of(document: Any) -> list[Any] | None:
    """The records of a document; an object that is no envelope is one, None for a plain value."""
    if not isinstance(document, dict):
        return document if isinstance(document, list) else None
    level: list[dict[str, Any]] = [document]
    for _ in range(DEEPEST):
        members = [*chain.from_iterable(each.items() for each in level)]
        lists = [(name, each) for name, each in members if _all(each, dict)]
        lists = [each for each in lists if each[0] in _NAMES] or lists
        found: list[list[Any]] = [each for _, each in lists]
        found = found or [_by_column(each) or _by_key(each) for each in level]
        if any(found):
            return max(found, key=len)
        level = [each for _, each in members if isinstance(each, dict)]
    return [document]


def _all(value: Any, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, kind) for v in value)


def _by_column(value: dict[str, Any]) -> list[Any]:
    """Records of lists that are columns as long as each other, or of names beside lists of cells."""
    lists = {name: each for name, each in value.items() if isinstance(each, list)}
    rows = next((each for each in lists.values() if _all(each, list)), None)
    if rows is not None:
        wide = {len(each) for each in rows}
        names = next(
            (each for each in lists.values() if _all(each, str) and {len(each)} == wide), None
        )
        if names is None:
            return rows if len(wide) == 1 < len(rows) else []
        return [dict(zip(names, each, strict=True)) for each in rows]
    plain = not any(isinstance(cell, (dict, list)) for each in lists.values() for cell in each)
    if (
        len(lists) < 2
        or len(lists) < len(value)
        or not plain
        or len(set(map(len, lists.values()))) > 1
    ):
        return []
    return [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]


def _by_key(value: dict[str, Any]) -> list[Any]:
    """Objects of mostly the same members under keys of their own; the key becomes a column."""
    objects = list(value.values())
    if len(objects) < FEWEST or not all(isinstance(each, dict) and each for each in objects):
        return []
    common: set[str] = set.intersection(*map(set, objects))
    if not common or any(len(common) < 0.5 * len(each) for each in objects) or "key" in common:
        return []
    return [{"key": key, **each} for key, each in value.items()]
