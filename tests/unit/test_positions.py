"""Files without headers whose columns changed places: what the values tell, and what they do not."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tables import source

from engine.binding import Binding, Pass, bind
from engine.drift import DriftCode, drifts
from engine.profile import Profile, of_values
from plans.plan import SheetPlan
from plans.template import Template

FIELDS = {"name": "string", "email": "email", "born": "date", "note": "string"}
CELLS = {
    "name": ["Ann Lee", "Bob Ray", "Cid Poe"],
    "email": ["a@b.co", "c@d.org", "e@f.net"],
    "born": ["2001-02-03", "1999-12-31", "1980-05-06"],
    "note": ["vip", "", "late"],
    "id": ["17", "18", "19"],
}
TEMPLATE = Template.model_validate(
    {"template": "people", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]}
)
SHEET = SheetPlan.model_validate(
    {"template": "people", "columns": [{"field": n, "from": at} for at, n in enumerate(FIELDS)]}
)


def came(*order: str) -> Binding:
    """The columns of a file without headers, in this order."""
    columns = of_values([("", CELLS[each]) for each in order])
    file = replace(source([""] * len(order)), header_rows=())
    return bind(SHEET, TEMPLATE, file, Profile(columns=columns, rows=3, whole=True))


def places(binding: Binding) -> Mapping[str, int]:
    return {each.field: each.columns[0] for each in binding.bounds}


def test_columns_at_their_numbers_are_as_planned() -> None:
    binding = came("name", "email", "born", "note")
    assert places(binding) == {"name": 0, "email": 1, "born": 2, "note": 3}
    assert {each.by for each in binding.bounds} == {Pass.EXACT}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (("name", "born", "email", "note"), {"name": 0, "email": 2, "born": 1, "note": 3}),
        (("email", "name", "born", "note"), {"name": 1, "email": 0, "born": 2, "note": 3}),
        (("id", "name", "email", "born", "note"), {"email": 2, "born": 3, "note": 4}),
    ],
    ids=["two swapped", "a text swapped", "one more in front"],
)
def test_columns_that_changed_places_are_found_by_their_values(
    order: tuple[str, ...], expected: dict[str, int]
) -> None:
    binding = came(*order)
    assert places(binding) == expected
    told = drifts(SHEET, source([""] * len(order)), binding)
    moved = {each.field for each in told if each.code is DriftCode.MOVED}
    assert set(binding.missing) == FIELDS.keys() - expected.keys()
    assert moved == {field for field, at in expected.items() if at != list(FIELDS).index(field)}


def test_what_the_values_do_not_tell_is_missing_and_not_shifted() -> None:
    """Both columns hold dates where the plan wants the only one, and texts follow nobody."""
    binding = came("born", "note", "name", "born")
    assert "email" in binding.missing
    assert "born" in binding.missing
    assert places(binding).keys() <= {"name", "note"}
