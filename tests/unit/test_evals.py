"""The yardstick itself: figures, calibration, and a fit that learns what there is to learn."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.binding.pairs import FEATURES, Side
from engine.binding.score import final_features, nearest, scores
from evals.__main__ import main
from evals.fit import Sample, fit
from evals.mapping import Guess, calibration, figures
from evals.tasks import tasks


def guess(*, matched: bool = True, right: bool = True, sure: float = 0.99) -> Guess:
    return Guess(suite="s", matched=matched, right=right, rank=1 if right else 2, sure=sure)


def test_figures_count_what_is_bound_and_what_is_wrong() -> None:
    told = figures(
        [guess(), guess(sure=0.5), guess(right=False), guess(matched=False, right=False)]
    )
    assert (told.columns, told.matched) == (4, 3)
    assert told.acc_at_1 == pytest.approx(2 / 3)
    assert told.mrr == pytest.approx(2.5 / 3)
    assert (told.bound, told.precision) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert told.false_positives == 1.0


def test_calibration_is_the_gap_between_saying_and_being_right() -> None:
    honest = [(0.75, at < 75) for at in range(100)]
    assert calibration(honest) == pytest.approx(0.0)
    assert calibration([(0.95, False)] * 10) == pytest.approx(0.95)


def test_the_fit_learns_the_feature_that_tells() -> None:
    telling = FEATURES.index("meaning")
    table = np.zeros((6, 6, len(FEATURES)))
    table[np.arange(6), np.arange(6), telling] = 1.0
    sample = Sample(table=table, truth=np.eye(6), counted=tuple(range(6)))
    model = fit([sample] * 5)
    assert model.pair[telling] == max(model.pair[: len(FEATURES)])
    assert len(model.final) == final_features(np.zeros((2, 2))).shape[-1]


def test_a_field_beside_its_equal_rival_is_less_sure() -> None:
    column = [Side(names=("E-mail",))]
    alone = scores([Side(names=("Email",)), Side(names=("City",))], column).sure[0, 0]
    rivalled = scores([Side(names=("Email",)), Side(names=("email",))], column).sure[0, 0]
    assert alone > 0.9 > rivalled


def test_a_large_schema_is_searched_by_its_nearest_names() -> None:
    fields = [Side(names=(f"attribute {at} of thing",)) for at in range(700)]
    fields[432] = Side(names=("Postal code",))
    columns = [Side(names=("ZIP",)), *(Side(names=(f"x{at}",)) for at in range(40))]
    assert int(scores(fields, columns).logits[0].argmax()) == 432
    assert nearest("ZIP", [each.names[0] for each in fields])[0] == 432


def test_tasks_are_read_as_the_open_suites_write_them(tmp_path: Path) -> None:
    raw = {
        "id": "t",
        "suite": "s",
        "source": [{"name": "a", "samples": ["1"]}, {"name": "b", "samples": []}],
        "target": [{"name": "x", "description": "A label"}, {"name": "y"}],
        "truth": [["a", "x"], ["a", "y"]],
        "ignore": ["b"],
    }
    (tmp_path / "one.jsonl").write_text(json.dumps(raw) + "\n")
    (task,) = tasks(tmp_path)
    assert task.truth == {0: frozenset({0, 1})}
    assert task.fields[0].names == ("x", "A label")
    assert task.ignored == frozenset({1})


def test_a_lead_says_no_more_than_that_it_is_clear() -> None:
    clear, clearer, far = (final_features(np.array([[4.0, 4.0 - by]])) for by in (3.0, 6.0, 30.0))
    assert (clear[0, 0] == clearer[0, 0]).all()
    assert clear[0, 1, 1] > clearer[0, 1, 1] == far[0, 1, 1]


def test_a_given_folder_ends_with_the_five_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("evals.__main__.OPEN", tmp_path / "none")
    given = tmp_path / "tasks"
    given.mkdir()
    raw = {"id": "t", "suite": "s", "source": [{"name": "E-mail"}, {"name": "Fax"}],
           "target": [{"name": "email"}, {"name": "city"}], "truth": [["E-mail", "email"]]}  # fmt: skip
    (given / "one.jsonl").write_text(json.dumps(raw) + "\n")
    assert main([str(given)]) == 0
    told = dict(line.split("=") for line in capsys.readouterr().out.splitlines()[-5:])
    five = ["acc_at_1", "auto_bound_at_95", "false_positives", "drift_remapped", "ece"]
    assert list(told) == five
    assert (told["acc_at_1"], told["drift_remapped"]) == ("1.0000", "nan")
