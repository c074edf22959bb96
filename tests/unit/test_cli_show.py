"""What a terminal shows of a repair."""

import pytest

from api.cli.show import OUT, _drifts, _effect
from engine.drift import Drift, DriftCode
from engine.proposal import Effect


@pytest.mark.parametrize(
    ("fixed", "broken", "after", "told"),
    [
        (0, 0, 7, ""),
        (2, 0, 7, " (fixes 2 cells)"),
        (60, 1, 47, " (fixes 60 cells, valid rows 7 → 47, breaks 1)"),
    ],
)
def test_an_effect_is_told_where_there_is_one(fixed, broken, after, told):
    effect = Effect(fixed=fixed, broken=broken, changed=0, valid_before=7, valid_after=after)
    assert _effect(effect) == told
    assert _effect(None) == " (not tried)"


def test_what_goes_into_a_file_is_not_broken_at_the_width_of_a_small_terminal():
    assert OUT.is_terminal or OUT.width == 160


def test_of_many_drifts_alike_the_first_are_told_and_the_rest_counted(capsys):
    extra = [Drift(code=DriftCode.EXTRA, sheet="s", message=f"column {n}") for n in range(300)]
    _drifts([extra[0], Drift(code=DriftCode.REORDERED, sheet="s", message="moved"), *extra[1:]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[8:] == [
        "  column_extra: column 7",
        "  column_extra: 292 more, told by --json",
        "  columns_reordered: moved",
    ]
