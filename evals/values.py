"""Scores the reading of values on public input/output pairs.

An input counts when its output is a date, a phone number or an address: then both, each read by
itself, must come to one value. Numbers there are calculated and texts cut together, which reading
values is not about; how many tasks that leaves out is told.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from engine.binding.fit import dated, numeric
from engine.execute import execute
from engine.profile import of_values
from engine.questions import heals
from engine.trial import jobs_of
from plans.versions import PlanVersion
from tests.healing import Healed, look, version_of, with_repairs
from tests.tables import staged

#: Heals uncover heals.
ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Read:
    """One task: how many pairs, and how many were read to the same value, without and with an answer."""

    id: str
    kind: str
    pairs: int
    right: int
    wrong: int
    right_asked: int
    wrong_asked: int


def read_values(folder: Path) -> tuple[list[Read], int]:
    """Every task whose outputs are of one type, and how many tasks are of text alone."""
    tasks = [
        json.loads(line)
        for path in sorted(folder.rglob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
        if "examples" in line
    ]
    found = [each for task in tasks if (each := _read(task["id"], task["examples"]))]
    return found, len(tasks) - len(found)


def _read(id: str, pairs: Sequence[Sequence[str]]) -> Read | None:
    outputs = [out for _, out in pairs]
    if not pairs or (kind := _kind(outputs)) is None:
        return None
    with TemporaryDirectory() as folder:
        plain = version_of({"type": kind}, {})
        truth = max(_ways(plain, outputs, Path(folder) / "out"), key=len)
        told = list(_ways(plain, [given for given, _ in pairs], Path(folder) / "in"))
    unasked, best = told[0], max(told, key=lambda way: _agree(way, truth))
    return Read(
        id=id,
        kind=kind,
        pairs=len(truth),
        right=_agree(unasked, truth),
        wrong=_differ(unasked, truth),
        right_asked=_agree(best, truth),
        wrong_asked=_differ(best, truth),
    )


def _kind(outputs: Sequence[str]) -> str | None:
    (column,) = of_values([("x", outputs)])
    if any(not each.strip() for each in outputs):
        return None
    rates = {
        "email": column.rate("email"),
        "url": column.rate("url"),
        "date": dated(column),
        "phone": column.rate("phone") if numeric(column) < 0.5 else 0.0,
    }
    return next((kind for kind, rate in rates.items() if rate >= 0.99), None)


def _ways(plan: PlanVersion, cells: Sequence[str], folder: Path) -> Iterator[dict[int, str]]:
    """The values as healed unasked, then with each offered repair accepted."""
    folder.mkdir()
    rows = [[str(at), cell] for at, cell in enumerate(cells)]
    table = staged(folder, ["N", "X"], rows)
    for number in range(ROUNDS):
        (folder / str(number)).mkdir()
        seen = look(plan, [table], folder / str(number))
        if not (safe := heals(seen.repairs)):
            break
        plan = with_repairs(plan, safe)
    yield _values(plan, seen, folder)
    for repair in seen.repairs:
        yield _values(with_repairs(plan, [repair]), seen, folder)


def _values(plan: PlanVersion, seen: Healed, folder: Path) -> dict[int, str]:
    """Row number to value of the rows that are valid."""
    target = folder / "valid"
    target.mkdir(exist_ok=True)
    outcome = execute(tuple(jobs_of(plan, seen.tables).values()), folder=target, threads=1)
    paths = [str(path) for sheet in outcome.sheets for path in sheet.valid_parquet]
    if not paths:
        return {}
    sql = "SELECT n, x::VARCHAR FROM read_parquet(?) WHERE x IS NOT NULL"
    return {int(n): str(x) for n, x in duckdb.execute(sql, [paths]).fetchall()}


def _agree(one: dict[int, str], truth: dict[int, str]) -> int:
    return sum(one.get(at) == value for at, value in truth.items())


def _differ(one: dict[int, str], truth: dict[int, str]) -> int:
    return sum(at in one and one[at] != value for at, value in truth.items())
