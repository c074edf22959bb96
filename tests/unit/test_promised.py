"""What a decision was shown to lead to."""

import pytest

from engine.proposal import (
    Custom,
    Decision,
    Effect,
    Option,
    Proposal,
    Question,
    Repair,
    RepairKind,
    Target,
    Verdict,
)
from engine.questions import promised
from plans.changes import AddAlias

CHANGE = (AddAlias(sheet="s", field="f", header="a", alias="b"),)


def effect(valid: int) -> Effect:
    return Effect(fixed=1, broken=0, changed=0, valid_before=5, valid_after=valid)


def proposal(*repairs: int) -> Proposal:
    """Repairs and one question: its first option changes nothing, its second leads to 9 rows."""
    target = Target(sheet="s", field="f", column="a", affected=1, samples=(), error="")
    options = (
        Option(id="leave", label="Leave it", effect=effect(5)),
        Option(id="map", label="Map it", changes=CHANGE, effect=effect(9)),
    )
    return Proposal(
        plan_digest="d", inputs=(), summary="", etag="e",
        repairs=tuple(
            Repair(
                id=f"r{n}", kind=RepairKind.REBIND, sheet="s", field="f", changes=CHANGE, summary="",
                evidence="", confidence=0.9, effect=effect(valid),
            )
            for n, valid in enumerate(repairs)
        ),
        questions=(
            Question(
                id="q", prompt="", context="", target=target, options=options, recommended="map",
                allow_custom=True, custom=Custom.MEANING,
            ),
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("repairs", "verdict", "answers", "without", "rows"),
    [
        ((7,), Verdict.TAKE_VALID, {}, (), 5),
        ((7,), Verdict.ANSWER, {}, (), 7),
        ((7,), Verdict.ANSWER, {"q": "leave"}, (), 7),
        ((7,), Verdict.ANSWER, {"q": "map"}, ("r0",), 9),
        ((7, 8), Verdict.ANSWER, {"q": "leave"}, ("r0", "r1"), 5),
        ((), Verdict.ACCEPT, {}, (), 9),
        ((7, 8), Verdict.ANSWER, {}, (), None),
        ((7,), Verdict.ACCEPT, {}, (), None),
        ((), Verdict.ANSWER, {"q": "something else"}, (), None),
    ],
)
def test_what_was_tried_as_a_whole_was_shown(repairs, verdict, answers, without, rows):
    decision = Decision(etag="e", verdict=verdict, answers=answers, without=without)

    assert promised(proposal(*repairs), decision, valid=5) == rows
