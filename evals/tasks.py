"""Mapping tasks as the open suites write them: one JSON a line."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.binding.pairs import Side
from engine.profile import of_values


@dataclass(frozen=True, kw_only=True)
class Task:
    """Columns of a file, fields of a schema, and which belong together."""

    id: str
    suite: str
    columns: tuple[Side, ...]
    fields: tuple[Side, ...]
    truth: dict[int, frozenset[int]]  #: column to its fields; a column not in here has none
    ignored: frozenset[int]


def tasks(folder: Path) -> Iterator[Task]:
    """Every task of every `*.jsonl` below the folder."""
    for path in sorted(folder.rglob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            raw = json.loads(line)
            if {"source", "target", "truth"} <= raw.keys():
                yield _task(raw)


def _task(raw: dict[str, Any]) -> Task:
    columns = [each["name"] for each in raw["source"]]
    fields = [each["name"] for each in raw["target"]]
    truth: dict[int, set[int]] = {}
    for column, field in raw["truth"]:
        if column in columns and field in fields:
            truth.setdefault(columns.index(column), set()).add(fields.index(field))
    ignored = raw.get("ignore", [])
    return Task(
        id=raw["id"],
        suite=raw["suite"],
        columns=_sides(raw["source"]),
        fields=_sides(raw["target"]),
        truth={column: frozenset(each) for column, each in truth.items()},
        ignored=frozenset(at for at, name in enumerate(columns) if name in ignored),
    )


def _sides(raw: list[dict[str, Any]]) -> tuple[Side, ...]:
    samples = [(each["name"], [str(value) for value in each.get("samples", ())]) for each in raw]
    profiles = of_values(samples)
    return tuple(
        Side(
            names=_names(each),
            about=each.get("description", ""),
            values=profile if profile.filled else None,
        )
        for each, profile in zip(raw, profiles, strict=True)
    )


def _names(each: dict[str, Any]) -> tuple[str, ...]:
    """A short description is a label: another name."""
    label = each.get("description", "")
    return (each["name"], label) if 0 < len(label.split()) <= 5 else (each["name"],)
