"""What a model says of values, columns and units: typed, tried on the rows, and never applied unasked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import respx
from healing import look, version_of
from model_wire import CHAT, body, models
from tables import staged

from engine.mapping import Budget, DataMode, Status, suggest
from engine.proposal import Repair, RepairKind
from engine.questions import heals
from engine.trial import tried, undominated

pytestmark = pytest.mark.filterwarnings("ignore")

STAGE = {"type": "enum", "values": ["Lead", "Won", "Lost"]}


@dataclass(frozen=True)
class Advice:
    """How a consultation ended, what of it stood the trial, and what was sent."""

    status: Status
    repairs: tuple[Repair, ...]
    sent: str
    calls: int

    @property
    def only(self) -> Repair:
        (repair,) = self.repairs
        return repair


def advice(
    folder: Path,
    field: dict[str, Any],
    cells: Sequence[str],
    answer: dict[str, Any],
    *,
    header: str = "X",
    more: Sequence[str] = (),
    mode: DataMode = DataMode.SHAPES,
) -> Advice:
    """A field `x` over these cells (and a third column), and a model that answers so."""
    headers = ["N", header, *(["Second"] if more else [])]
    rows = [
        [str(at), *row] for at, row in enumerate(zip(cells, *([more] if more else []), strict=True))
    ]
    seen = look(version_of(field, {}), [staged(folder, headers, rows)], folder)
    with respx.mock(assert_all_called=False) as wire:
        route = wire.post(CHAT).respond(json=body(answer))
        told = suggest(
            seen.version,
            seen.tables,
            seen.outcome,
            models=models(),
            mode=mode,
            budget=Budget(seconds=60),
            known=seen.repairs,
        )
    stood = tried(seen.version, seen.tables, told.repairs, folder=folder / "advice")
    kept = undominated((*seen.repairs, *stood))
    assert all(each.by == "model" for each in stood)
    assert heals(stood) == ()
    return Advice(
        status=told.status,
        repairs=tuple(each for each in kept if each.by == "model"),
        sent="".join(each.prompt for each in told.exchanges),
        calls=route.call_count,
    )


def fixed(repair: Repair) -> int:
    assert repair.effect is not None
    assert repair.effect.broken == 0
    return repair.effect.fixed


def test_unknown_values_of_a_list_get_a_meaning(tmp_path: Path) -> None:
    said = [("0", "Won"), ("1", "Lead")]
    answer = {"meanings": [{"field": "x", "value": int(n), "means": to} for n, to in said]}
    cells = ["Gewonnen"] * 6 + ["Offen"] * 5 + ["Lost"]
    told = advice(tmp_path, STAGE, cells, answer, mode=DataMode.SAMPLES)
    assert fixed(told.only) == 11
    assert told.only.kind is RepairKind.VALUES
    assert "'Gewonnen' → 'Won'" in told.only.summary


def test_values_that_become_one_are_flagged(tmp_path: Path) -> None:
    answer = {"meanings": [{"field": "x", "value": at, "means": "Won"} for at in (0, 1)]}
    cells = ["Gewonnen"] * 6 + ["Verloren"] * 5
    told = advice(tmp_path, STAGE, cells, answer, mode=DataMode.SAMPLES)
    assert told.only.confidence < 0.8
    assert "several to one" in told.only.summary
    assert "nobody can tell these values apart" in told.only.evidence


def test_codes_of_countries_and_words_for_yes_get_a_meaning(tmp_path: Path) -> None:
    answer = {"meanings": [{"field": "x", "value": 0, "means": "DE"}]}
    told = advice(
        tmp_path, {"type": "country"}, ["BRD-W"] * 5 + ["FR"], answer, mode=DataMode.SAMPLES
    )
    assert fixed(told.only) == 5
    said = [("0", "yes"), ("1", "no")]
    answer = {"meanings": [{"field": "x", "value": int(n), "means": to} for n, to in said]}
    cells = ["freigegeben"] * 6 + ["gesperrt"] * 5 + ["1"]
    told = advice(tmp_path, {"type": "boolean"}, cells, answer, mode=DataMode.SAMPLES)
    assert fixed(told.only) == 11


def test_a_date_that_can_be_read_both_ways_stays_a_question(tmp_path: Path) -> None:
    answer = {"dates": [{"field": "x", "date": "%d/%m/%Y", "time": ""}]}
    told = advice(tmp_path, {"type": "date"}, ["01/02/2024", "03/04/2024"], answer)
    assert fixed(told.only) == 2
    assert told.only.kind is RepairKind.AMBIGUOUS_FORMAT
    assert told.only.confidence < 0.75
    assert "99/99/9999" in told.sent
    assert "01/02/2024" not in told.sent


def test_a_day_of_13_contradicts_the_wrong_order(tmp_path: Path) -> None:
    """The order is proven in the column's other cells, so the data's own reading wins."""
    answer = {"dates": [{"field": "x", "date": "%m/%d/%Y", "time": ""}]}
    cells = ["25/12/2024", "01/02/2024", "12/31/2024"]
    told = advice(tmp_path, {"type": "date"}, [*cells, "26/12/2024"], answer)
    assert told.repairs == ()


def test_marks_that_could_be_either_stay_a_question(tmp_path: Path) -> None:
    answer = {"numbers": [{"field": "x", "decimal": ",", "thousands": "."}]}
    told = advice(tmp_path, {"type": "decimal"}, ["EUR 1.234", "EUR 5.678"], answer)
    assert all(each.kind is RepairKind.AMBIGUOUS_FORMAT for each in told.repairs)


def test_a_unit_is_taken_off_and_converted_exactly(tmp_path: Path) -> None:
    field = {"type": "decimal", "title": "Weight (kg)"}
    told = advice(tmp_path, field, ["500 g", "1250 g"], {"units": [{"field": "x", "unit": "kg"}]})
    assert fixed(told.only) == 2
    assert told.only.effect is not None
    assert {each[3] for each in told.only.effect.samples} == {"0.5", "1.25"}
    assert told.only.kind is RepairKind.VALUES


def test_a_unit_that_cannot_be_told_exactly_is_refused(tmp_path: Path) -> None:
    answer = {"units": [{"field": "x", "unit": "kg"}]}
    told = advice(tmp_path, {"type": "decimal"}, ["5 lb", "7 lb"], answer)
    assert (told.status, told.repairs, told.calls) == (Status.UNUSABLE, (), 2)


def test_a_field_is_cut_out_of_a_column(tmp_path: Path) -> None:
    part = {"field": "x", "column": 1, "separator": ", ", "part": 0, "rest": False}
    answer = {"matches": [], "parts": [part], "joins": []}
    field = {"required": True, "title": "Surname"}
    told = advice(tmp_path, field, ["Lee, Ann", "Ray, Bob"], answer, header="Qqq")
    assert told.only.kind is RepairKind.COLUMN
    assert told.only.effect is not None
    assert told.only.effect.valid_after == 2
    assert [each[3] for each in told.only.effect.samples] == ["Lee", "Ray"]


def test_a_field_is_put_together_from_columns(tmp_path: Path) -> None:
    answer = {"joins": [{"field": "x", "columns": [1, 2], "separator": " "}]}
    told = advice(
        tmp_path, {"required": True}, ["Ann", "Bob"], answer, header="Qqq", more=["Lee", "Ray"]
    )
    assert told.only.effect is not None
    assert [each[3] for each in told.only.effect.samples] == ["Ann Lee", "Bob Ray"]


REFUSED: dict[str, dict[str, Any]] = {
    "unknown column": {"matches": [{"field": "x", "column": 7}]},
    "unknown field": {"parts": [{"field": "y", "column": 1, "separator": " ", "part": 0}]},
    "cut out of nowhere": {"parts": [{"field": "x", "column": 9, "separator": " ", "part": 0}]},
    "another separator": {"parts": [{"field": "x", "column": 1, "separator": "x", "part": 0}]},
    "a far part": {"parts": [{"field": "x", "column": 1, "separator": " ", "part": 19}]},
    "one column joined": {"joins": [{"field": "x", "columns": [1, 1], "separator": " "}]},
    "a format nobody has": {"dates": [{"field": "x", "date": "%j", "time": ""}]},
    "marks of no number": {"numbers": [{"field": "x", "decimal": ".", "thousands": ""}]},
    "a meaning of nothing": {"meanings": [{"field": "x", "value": 0, "means": "Won"}]},
    "a unit of nothing": {"units": [{"field": "x", "unit": "kg"}]},
    "fed twice": {"matches": [{"field": "x", "column": 1}],
                  "parts": [{"field": "x", "column": 1, "separator": " ", "part": 0}]},
    "SQL": {"sql": "DROP TABLE x"},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_not_offered_is_refused_whole(tmp_path: Path, name: str) -> None:
    told = advice(tmp_path, {"required": True}, ["Ann", "Bob"], REFUSED[name], header="Qqq")
    assert (told.status, told.repairs) == (Status.UNUSABLE, ())


def test_a_part_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    answer = {"parts": [{"field": "x", "column": 1, "separator": ";", "part": 0, "rest": False}]}
    told = advice(tmp_path, {"required": True}, ["Ann Lee", "Bob Ray"], answer, header="Qqq")
    assert (told.status, told.repairs) == (Status.ANSWERED, ())


def test_what_the_data_settles_is_not_asked(tmp_path: Path) -> None:
    told = advice(tmp_path, {"type": "date"}, ["25.12.2024", "01.02.2024"], {})
    assert (told.calls, told.sent) == (0, "")


def test_headers_alone_ask_nothing_about_values(tmp_path: Path) -> None:
    told = advice(tmp_path, {"type": "date"}, ["01/02/2024"], {}, mode=DataMode.HEADERS)
    assert told.calls == 0
