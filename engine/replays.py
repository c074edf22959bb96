"""Replays of a run's rejected rows: what one may start from, what came before, how the rows stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from engine.desk import Desk
from engine.errors import Conflict, Expired
from engine.intake.source import Source
from engine.model import Artifact, Run, RunKind, RunStatus
from engine.phase import Rejects
from engine.store import findings, runs
from engine.store.findings import Finding

#: The result file of a replay that tells which rows it took in.
SETTLED = "settled-rows.parquet"
_SOURCES = TypeAdapter(tuple[Source, ...])


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a first run's rejected rows stand: its invalid = valid + duplicate + invalid here."""

    runs: tuple[str, ...]  #: completed replays that were not undone
    valid: int
    duplicate: int
    invalid: int


def first_of(c: sa.Connection, partner: str, run: str) -> Run:
    """The run whose rows these are: a replay's rows are those of its origin."""
    there = runs.get(c, partner, run)
    if there.kind is RunKind.REPLAY and there.origin:
        return runs.get(c, partner, there.origin)
    return there


def standing(c: sa.Connection, first: Run) -> Standing:
    """What became of its rejected rows so far."""
    made = _made(c, first)
    valid = sum(each.counts.valid for each in made)
    duplicate = sum(each.counts.duplicate for each in made)
    return Standing(
        runs=tuple(each.id for each in made),
        valid=valid,
        duplicate=duplicate,
        invalid=first.counts.invalid - valid - duplicate,
    )


def as_before(c: sa.Connection, first: Run) -> dict[str, Any]:
    """The options of the first run, for its replay; Conflict or Expired when nothing is to replay."""
    if first.status is not RunStatus.COMPLETED or first.dry_run or first.kind is RunKind.UNDO:
        raise Conflict(f"run {first.id} is no completed import: there is nothing to replay")
    if runs.of_origin(c, first.partner, first.id, kind=RunKind.UNDO):
        raise Conflict(f"run {first.id} was undone: import its files again instead")
    if first.expired_at is not None:
        raise Expired(f"the rejected rows of run {first.id} are gone; import the files again")
    if not standing(c, first).invalid:
        raise Conflict(f"no rejected row of run {first.id} is left")
    # How its files were read says nothing about the file of rejected rows.
    return {name: value for name, value in first.options.items() if name != "read"}


def rejects(desk: Desk, run: Run, folder: Path) -> Rejects:
    """What the run's origin left for its rejected rows to be tried again, on this machine."""
    with desk.engine.begin() as c:
        first = runs.get(c, run.partner, run.origin or "")
        sources = findings.of_run(c, run.partner, first.id, kind=Finding.READ)
        left = runs.artifacts_of(c, run.partner, first.id)
        made = [each.id for each in _made(c, first) if each.id != run.id]
        taken = [each for by in made for each in runs.artifacts_of(c, run.partner, by)]

    def here(artifacts: Sequence[Artifact], name: str) -> tuple[Path, ...]:
        found = [each for each in artifacts if each.name.endswith(name)]
        return tuple(desk.files.fetch(each.key, folder, digest=each.digest) for each in found)

    return Rejects(
        run=first.id,
        sources=_SOURCES.validate_python(sources),
        rejected=here(left, "/rejected-rows.csv"),
        settled=here(taken, SETTLED),
    )


def _made(c: sa.Connection, first: Run) -> list[Run]:
    done = runs.of_origin(c, first.partner, first.id, kind=RunKind.REPLAY)
    return [
        each for each in done if not runs.of_origin(c, first.partner, each.id, kind=RunKind.UNDO)
    ]
