"""Drift as facts: one code per difference."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tables import staged

from engine.binding import bind
from engine.drift import Drift, DriftCode, drifts
from engine.profile import profile
from plans.plan import SheetPlan
from plans.template import Template

TEMPLATE = Template.model_validate(
    {"template": "people", "fields": [{"name": "name"}, {"name": "city"}]}
)


def plan(**more: Any) -> SheetPlan:
    columns = [{"field": "name", "from": "Name"}, {"field": "city", "from": "City"}]
    return SheetPlan.model_validate({"template": "people", "columns": columns, **more})


def found(folder: Path, headers: list[str], sheet: SheetPlan) -> tuple[Drift, ...]:
    table = staged(folder, headers, [["x"] * len(headers)])
    return drifts(sheet, table.source, bind(sheet, TEMPLATE, table.source, profile(table)))


@pytest.mark.parametrize(
    ("headers", "codes"),
    [
        (["Name", "City"], []),
        (["City", "Name"], [DriftCode.REORDERED]),
        (["name", "City"], [DriftCode.RENAMED]),
        (["City"], [DriftCode.MISSING]),
        (["Name", "City", "Shoe size"], [DriftCode.EXTRA]),
        (["Ville", "Shoe size", "NAME"],
         [DriftCode.RENAMED, DriftCode.RENAMED, DriftCode.REORDERED, DriftCode.EXTRA]),
    ],
)  # fmt: skip
def test_headers_drift(tmp_path: Path, headers: list[str], codes: list[DriftCode]) -> None:
    assert [each.code for each in found(tmp_path, headers, plan())] == codes


@pytest.mark.parametrize(
    ("headers", "unlike"),
    [
        (["Item No.", "Price"], True),
        (["Name", "Price"], True),
        (["Name", "City"], False),
    ],
)
def test_a_file_with_hardly_a_planned_column_is_unlike_the_plan(
    tmp_path: Path, headers: list[str], unlike: bool
) -> None:
    names = ["Name", "City", "Street", "Phone"]
    template = Template.model_validate(
        {"template": "people", "fields": [{"name": each.lower()} for each in names]}
    )
    columns = [{"field": each.lower(), "from": each} for each in names]
    sheet = SheetPlan.model_validate({"template": "people", "columns": columns})
    table = staged(tmp_path, headers, [["x"] * len(headers)])
    told = drifts(sheet, table.source, bind(sheet, template, table.source, profile(table)))
    assert (told[0].code is DriftCode.UNLIKE) == unlike
    assert len([each for each in told if each.code is DriftCode.MISSING]) == 4 - len(
        {*headers} & {*names}
    )


def test_an_optional_column_may_be_away(tmp_path: Path) -> None:
    columns = [{"field": "name", "from": "Name", "optional": True}]
    sheet = SheetPlan.model_validate({"template": "people", "columns": columns})
    assert [each.code for each in found(tmp_path, ["Age"], sheet)] == [DriftCode.EXTRA]


def test_a_drift_says_what_was_expected_and_what_came(tmp_path: Path) -> None:
    renamed = found(tmp_path, ["name", "City"], plan())[0]
    assert (renamed.field, renamed.expected, renamed.found) == ("name", "Name", "name")
    assert "'Name' came as 'name'" in renamed.message


def test_reading_drifts_where_the_plan_says_how(tmp_path: Path) -> None:
    sheet = plan(read={"delimiter": ";", "encoding": "UTF_8", "header_row": 3})
    table = staged(tmp_path, ["Name", "City"], [["x", "y"]])
    source = replace(table.source, encoding="utf-8")
    binding = bind(sheet, TEMPLATE, source, profile(table))
    codes = [each.code for each in drifts(sheet, source, binding)]
    assert codes == [DriftCode.DELIMITER, DriftCode.HEADER]
