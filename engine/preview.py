"""A look at files before an import: how they are read and bound, and their first rows. Writes nothing."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

from engine.binding.score import Model
from engine.intake.source import Staged
from engine.pipeline import Request, SheetInput, bound_inputs
from engine.tables import Box, InputFile, Tables, read
from plans.plan import Read
from plans.versions import PlanVersion

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Every table, the ones a sheet wants bound, and the first rows of each table."""

    tables: Tables
    inputs: tuple[SheetInput, ...]
    rows: tuple[Rows, ...]


def look(
    version: PlanVersion,
    files: Sequence[InputFile],
    *,
    given: Read,
    mapping: dict[str, str | int],
    rows: int,
    box: Box,
    weights: Model | None = None,
) -> Look:
    """Read and bind the files as an import would; CompileError when no sheet wants any of them."""
    tables = read(files, plan=version.plan, given=given, box=box)
    return Look(
        tables=tables,
        inputs=bound_inputs(version, tables, Request(mapping=mapping), weights=weights),
        rows=box.call(heads, tables.staged, rows),
    )


def heads(staged: Sequence[Staged], rows: int) -> tuple[Rows, ...]:
    """The first rows of each table, as text. Child process."""
    return tuple(_head(each, rows) for each in staged)


def _head(staged: Staged, rows: int) -> Rows:
    csv.field_size_limit(1 << 24)
    found: list[tuple[str, ...]] = []
    with staged.path.open(encoding="utf-8", newline="") as text:
        text.seek(staged.shards[0].start if staged.shards else 0)
        for record in csv.reader(text, delimiter=staged.delimiter, doublequote=True):
            if len(found) == min(rows, staged.records):
                break
            found.append(tuple(record))
    return tuple(found)
