"""Every case of fixtures/: day 1, then the drifted files, healed, asked about and answered."""

from pathlib import Path

import duckdb
import pytest
from cases import CASES, Ask, Cell, End, Step, expected, files, version

from engine.drift import DriftCode
from engine.outcome import Outcome
from engine.pipeline import Attempt, attempt, revise
from engine.proposal import Decision, Proposal, Question, RepairKind, Verdict
from engine.tables import Box, InputFile, Tables, read
from plans.plan import Read
from plans.versions import PlanVersion


def cells(outcome: Outcome, severity: str, *, named: bool) -> list[Cell]:
    """The invalid cells as a case writes them; the file's name only where there are several."""
    found: list[Cell] = []
    for path in (path for sheet in outcome.sheets for path in sheet.invalid_cells):
        rows = duckdb.execute(
            "SELECT file, row_number, coalesce(field, ''), code FROM read_parquet(?)"
            " WHERE severity = ?",
            [str(path), severity],
        )
        found += [(file if named else "", *rest) for file, *rest in rows.fetchall()]
    return sorted(found)


def check_end(tried: Attempt, end: End, *, named: bool) -> None:
    counted = {
        sheet.sheet: (rows.read, rows.valid, rows.invalid, rows.duplicate, rows.skipped)
        for sheet in tried.outcome.sheets
        for rows in [sheet.accounting]
    }
    assert counted == end.sheets
    assert cells(tried.outcome, "error", named=named) == sorted(end.cells)
    assert cells(tried.outcome, "warning", named=named) == sorted(end.warnings)
    assert tried.status == end.status


def rebound(tried: Attempt) -> dict[str, str]:
    """Fields that other headers than the plan's first ones feed; of several columns, each."""
    found: dict[str, list[str]] = {}
    for drift in tried.drifts:
        if drift.code is DriftCode.RENAMED:
            found.setdefault(f"{drift.sheet}.{drift.field}", []).append(str(drift.found))
    return {field: " + ".join(headers) for field, headers in sorted(found.items())}


def repaired(repairs: tuple, *, rebinds: bool) -> list[str]:
    return sorted(
        f"{each.sheet}.{each.field} {each.kind}"
        for each in repairs
        if rebinds or each.kind is not RepairKind.REBIND
    )


def question(proposal: Proposal, ask: Ask) -> Question:
    (found,) = (
        each
        for each in proposal.questions
        if f"{each.target.sheet}.{each.target.field or 'rows'}" == ask.field
        and (ask.value is None or each.target.samples == (ask.value,))
    )
    return found


def answer(asked: Question, ask: Ask) -> str:
    """An option's id, the option whose label says so, else the text itself."""
    ids = [each.id for each in asked.options if ask.answer in (each.id, each.label)]
    ids += [each.id for each in asked.options if ask.answer in each.label]
    return ids[0] if ids else ask.answer


def decided(tried: Attempt, step: Step) -> tuple[PlanVersion, Proposal]:
    proposal = tried.proposal
    assert proposal is not None
    affected = {}
    answers = {}
    for ask in step.asked:
        asked = question(proposal, ask)
        affected[asked.id] = ask.affected
        answers[asked.id] = answer(asked, ask)
    assert affected == {each.id: each.target.affected for each in proposal.questions}
    assert repaired(proposal.repairs, rebinds=True) == sorted(step.proposed)
    decision = Decision(etag=proposal.etag, verdict=Verdict.ANSWER, answers=answers, actor="test")
    return revise(tried.version, proposal, decision), proposal


def run(case: str, name: str, before: PlanVersion, *, folder: Path) -> tuple[Attempt, Tables, Box]:
    paths = files(case, name)
    folder.mkdir()
    box = Box(folder=folder, readable=paths)
    inputs = [InputFile(name=path.name, path=path) for path in paths]
    tables = read(inputs, plan=before.plan, given=Read(), box=box)
    return attempt(before, tables, box=box), tables, box


@pytest.mark.parametrize("case", CASES)
def test_a_case_ends_as_expected_and_its_last_plan_still_reads_day_one(case, tmp_path):
    current, steps = version(case), expected(case).steps
    for name, step in steps.items():
        tried, tables, box = run(case, name, current, folder=tmp_path / name)
        named = len(tables.staged) > 1
        assert rebound(tried) == dict(sorted(step.rebound.items()))
        assert repaired(tried.healed, rebinds=False) == sorted(step.healed)
        assert len(tried.unused) == step.unused
        check_end(tried, step, named=named)
        current = tried.version
        if step.then is not None:
            revised, seen = decided(tried, step)
            again = attempt(revised, tables, box=box, seen=seen)
            check_end(again, step.then, named=named)
            current = again.version
    again, *_ = run(case, "day1", current, folder=tmp_path / "again")
    assert again.outcome.accounting.valid >= sum(rows[1] for rows in steps["day1"].sheets.values())


def test_there_are_cases_enough():
    assert len(CASES) >= 12
