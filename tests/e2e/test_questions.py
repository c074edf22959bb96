"""From what is left over to questions, and from a decision to the plan that reads the file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from healing import Healed, look, version_of
from tables import staged

from engine.errors import DecisionInvalid, ProposalChanged
from engine.proposal import Decision, Proposal, Verdict
from engine.questions import decide, etag, propose
from plans.changes import apply
from plans.versions import next_version

STAGE = {"type": "enum", "values": ["Lead", "Won", "Lost"]}


def asked(
    folder: Path, field: dict[str, Any], cells: list[str], *, header: str = "X"
) -> tuple[Healed, Proposal]:
    rows = [[str(at), cell] for at, cell in enumerate(cells)]
    found = look(version_of(field, {}), [staged(folder, ["N", header], rows)], folder)
    left = [each for each in found.repairs if each not in found.safe]
    return found, propose(
        found.version, found.outcome, left, inputs=["a" * 64], drifts=found.drifts
    )


def decision(proposal: Proposal, **more: Any) -> Decision:
    return Decision(**{"etag": proposal.etag, "verdict": Verdict.ANSWER, "answers": {}, **more})


def rerun(folder: Path, found: Healed, proposal: Proposal, taken: Decision) -> Healed:
    changes = decide(proposal, taken, found.version)
    revised = next_version(found.version, apply(found.version.plan, *changes))
    return look(revised, [each.staged for each in found.tables], folder)


def test_both_readings_of_a_date_are_options_with_their_effect(tmp_path: Path) -> None:
    found, proposal = asked(tmp_path, {"type": "date"}, ["01/02/2024", "03/04/2024"])
    (question,) = proposal.questions
    assert question.recommended is None
    assert [option.effect.fixed for option in question.options if option.effect] == [2, 2, 0]
    assert (question.target.affected, question.target.column) == (2, "X")
    answer = {question.id: question.options[1].id}
    again = rerun(tmp_path, found, proposal, decision(proposal, answers=answer))
    assert again.outcome.accounting.valid == 2


def test_every_unknown_value_gets_a_question_and_one_word_maps_it(tmp_path: Path) -> None:
    found, proposal = asked(tmp_path, STAGE, ["Closed", "Closed", "Dead", "Lead"])
    assert [question.target.samples for question in proposal.questions] == [("Closed",), ("Dead",)]
    first, second = (question.id for question in proposal.questions)
    again = rerun(
        tmp_path, found, proposal, decision(proposal, answers={first: "Won", second: "is-2"})
    )
    assert again.outcome.accounting.valid == 4


def test_an_answer_outside_the_allowed_values_is_refused(tmp_path: Path) -> None:
    found, proposal = asked(tmp_path, STAGE, ["Closed"])
    taken = decision(proposal, answers={proposal.questions[0].id: "Winner"})
    with pytest.raises(DecisionInvalid, match="is not one of Lead, Won, Lost"):
        decide(proposal, taken, found.version)


def test_a_missing_column_is_asked_with_the_likely_columns(tmp_path: Path) -> None:
    cells = ["ann@example.org", "bob@example.org"]
    found, proposal = asked(tmp_path, {"type": "email"}, cells, header="Reach me")
    taken = decision(proposal, verdict=Verdict.ACCEPT)
    again = rerun(tmp_path, found, proposal, taken)
    assert again.tables[0].binding.columns("x") == (1,)


def test_a_missing_column_can_be_named_by_its_header(tmp_path: Path) -> None:
    found, proposal = asked(tmp_path, {}, ["a", "b"], header="Zzz")
    (question,) = proposal.questions
    taken = decision(proposal, answers={question.id: "Zzz"})
    again = rerun(tmp_path, found, proposal, taken)
    assert again.tables[0].binding.columns("x") == (1,)


def test_empty_cells_of_a_needed_field_can_get_a_value(tmp_path: Path) -> None:
    found, proposal = asked(tmp_path, {"required": True}, ["a", ""])
    taken = decision(proposal, answers={proposal.questions[0].id: "nobody"})
    assert rerun(tmp_path, found, proposal, taken).outcome.accounting.valid == 2


def test_a_repair_can_be_left_out_of_the_acceptance(tmp_path: Path) -> None:
    cells = ["Lead", "Wonn", "Losst", "Losst"]
    found, proposal = asked(tmp_path, {"type": "enum", "values": ["Lead", "Lost"]}, cells)
    (near,) = proposal.repairs
    accept = decision(proposal, verdict=Verdict.ACCEPT)
    assert len(decide(proposal, accept, found.version)) == 1
    assert decide(proposal, replace(accept, without=(near.id,)), found.version) == ()


@pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.TAKE_VALID])
def test_a_rejection_changes_nothing(tmp_path: Path, verdict: Verdict) -> None:
    found, proposal = asked(tmp_path, STAGE, ["Closed"])
    assert decide(proposal, decision(proposal, verdict=verdict), found.version) == ()


def test_a_decision_is_about_exactly_the_proposal_that_was_seen(tmp_path: Path) -> None:
    found, proposal = asked(tmp_path, STAGE, ["Closed"])
    with pytest.raises(ProposalChanged):
        decide(proposal, decision(proposal, etag="0" * 64), found.version)
    other = next_version(found.version, found.version.plan)
    moved = other.model_copy(update={"digest": "1" * 64})
    with pytest.raises(ProposalChanged):
        decide(proposal, decision(proposal), moved)


@pytest.mark.parametrize(
    "wrong",
    [{"answers": {"nope": "x"}}, {"without": ("nope",)}, {"answers": {"things.x.value-1": ""}}],
)
def test_what_the_proposal_does_not_have_is_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    found, proposal = asked(tmp_path, STAGE, ["Closed"])
    with pytest.raises(DecisionInvalid):
        decide(proposal, decision(proposal, **wrong), found.version)


def test_the_etag_covers_what_is_seen_and_is_the_same_for_the_same(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    _, proposal = asked(tmp_path, STAGE, ["Closed"])
    _, same = asked(tmp_path / "b", STAGE, ["Closed"])
    assert proposal.etag == same.etag == etag(same)
    assert etag(replace(proposal, summary="other")) != proposal.etag
    assert etag(replace(proposal, inputs=())) != proposal.etag


def test_everything_left_over_stands_in_a_question(tmp_path: Path) -> None:
    _, proposal = asked(tmp_path, STAGE, ["Closed", *(f"w{at}" for at in range(30))])
    assert sum(question.target.affected for question in proposal.questions) == 31


def test_a_question_about_a_value_names_the_rows_of_that_value_alone(tmp_path: Path) -> None:
    _, proposal = asked(tmp_path, STAGE, ["Lead", "Closed", "Dead", "Closed"])
    places = {each.target.samples[0]: each.context for each in proposal.questions}
    assert places == {
        "Closed": "first in rows 3, 5 of file.csv",
        "Dead": "first in row 4 of file.csv",
    }


@pytest.mark.parametrize(
    ("field", "cells", "answers"),
    [
        ({"type": "country"}, ["Utopia", "Freedonia", "DE"], ["GB", "US"]),
        ({"type": "integer"}, ["dozen", "score", "7"], ["12", "20"]),
    ],
)
def test_each_of_several_unreadable_values_can_stand_for_one(
    tmp_path: Path, field: dict[str, Any], cells: list[str], answers: list[str]
) -> None:
    found, proposal = asked(tmp_path, field, cells)
    assert len(proposal.questions) == 2
    told = {each.id: answer for each, answer in zip(proposal.questions, answers, strict=True)}
    again = rerun(tmp_path, found, proposal, decision(proposal, answers=told))
    assert again.outcome.accounting.valid == 3


def test_a_missing_part_of_a_join_is_asked_with_its_likely_column(tmp_path: Path) -> None:
    version = version_of(
        {"required": True}, {"from": ["First", "Family name"], "transforms": ["join"]}
    )
    table = staged(tmp_path, ["N", "First", "Fam. nm"], [["1", "Ann", "Lee"], ["2", "Bob", "Ray"]])
    found = look(version, [table], tmp_path)
    proposal = propose(
        found.version, found.outcome, found.repairs, inputs=["a" * 64], drifts=found.drifts
    )
    (question,) = proposal.questions
    taken = decision(proposal, answers={question.id: question.options[0].id})
    again = rerun(tmp_path, found, proposal, taken)
    assert again.tables[0].binding.columns("x") == (1, 2)


def test_two_names_are_no_words_for_yes_and_no(tmp_path: Path) -> None:
    for at, cells in enumerate((["Ann Lee", "Bob Ray"], ["A-1", "B-2"] * 3, ["x@y.org", "z"])):
        folder = tmp_path / str(at)
        folder.mkdir()
        found, _ = asked(folder, {"type": "boolean"}, cells)
        assert [each for each in found.repairs if "yes is" in each.summary] == []
