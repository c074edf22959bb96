"""Before a version is used by all: what it would fix and break in files that came before."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from engine.accounting import Accounting
from engine.binding.score import Model
from engine.compiler.program import Stored
from engine.outcome import Outcome
from engine.pipeline import Request, attempt
from engine.policy import Policy, WhenInvalid
from engine.tables import Box, InputFile, read
from plans.plan import Read
from plans.template import Severity
from plans.versions import PlanVersion

#: A place in the customer's file: file name and row number.
Row = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """One past run's files under the version they were imported with and under another one."""

    before: Accounting
    after: Accounting
    fixed: tuple[Row, ...]  #: invalid before, not any more
    broken: tuple[Row, ...]  #: invalid now, but not before


def replayed(
    used: PlanVersion,
    candidate: PlanVersion,
    files: Sequence[InputFile],
    *,
    given: Read,
    mapping: dict[str, str | int],
    stored: Stored,
    box: Box,
    weights: Model | None = None,
) -> Replayed:
    """Read the files once and try both versions as an import would; nothing is kept.

    `stored`: what the company's sheets held then.
    """
    tables = read(files, plan=used.plan, given=given, box=box)
    staged = (each.path for each in tables.staged)
    readable = (*box.readable, *staged, *(path for _, path in stored))
    policy = Policy(when_invalid=WhenInvalid.TAKE_VALID)
    request = Request(policy=policy, mapping=mapping, stored=stored)
    outcomes = []
    for number, version in enumerate((used, candidate)):
        folder = box.folder / f"version-{number}"
        folder.mkdir()
        own = replace(box, folder=folder, readable=readable)
        made = attempt(version, tables, box=own, request=request, weights=weights)
        outcomes.append((made.outcome, own.call(invalid_rows, made.outcome)))
    (before, was), (after, now) = outcomes
    return Replayed(
        before=before.accounting,
        after=after.accounting,
        fixed=tuple(sorted(was - now)),
        broken=tuple(sorted(now - was)),
    )


def invalid_rows(outcome: Outcome) -> set[Row]:
    """Every row with an error. Child process."""
    parts = [path for sheet in outcome.sheets for path in sheet.invalid_cells]
    return {row for path in parts for row in _rows(path)}


def _rows(path: Path) -> set[Row]:
    table: dict[str, list[Any]] = pq.read_table(
        path, columns=["file", "row_number", "severity"]
    ).to_pydict()
    found = zip(table["file"], table["row_number"], table["severity"], strict=True)
    return {(file, int(row)) for file, row, severity in found if severity == Severity.ERROR}
