"""Binding passes by pairs: what the plan expects, what came, what is bound and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tables import staged

from engine.binding import Binding, Pass, Remembered, Scope, Trust, bind, match, shape
from engine.binding.pairs import Side, in_company
from engine.binding.promised import promised
from engine.binding.words import concepts
from engine.errors import CompileError
from engine.profile import of_values, profile
from plans.plan import Plan, SheetPlan
from plans.template import Template

CONTACTS = Template.model_validate(
    {
        "template": "contacts",
        "fields": [
            {"name": "email", "type": "email", "title": "E-mail"},
            {"name": "name"},
            {"name": "phone", "type": "phone", "synonyms": ["Rufnummer"]},
            {"name": "created", "type": "date"},
            {"name": "city"},
            {"name": "stage", "type": "enum", "values": ["lead", "customer"]},
        ],
    }
)
CELLS = {
    "email": "ann@example.org",
    "phone": "+49 30 123456",
    "date": "2024-05-31",
    "text": "Berlin",
    "stage": "lead",
}


def sheet(**columns: Any) -> SheetPlan:
    mappings = [{"field": field, "from": column} for field, column in columns.items()]
    for mapping in mappings:
        if isinstance(mapping["from"], list) and len(mapping["from"]) > 1:
            mapping["transforms"] = ["join"]
    return SheetPlan.model_validate({"template": "contacts", "columns": mappings})


def bound(
    folder: Path, plan: SheetPlan, headers: Sequence[str], kinds: Sequence[str] = (), **how: Any
) -> Binding:
    cells = [CELLS[kind] for kind in kinds] or ["x"] * len(headers)
    table = staged(folder, headers, [cells] * 20)
    return bind(plan, CONTACTS, table.source, profile(table), **how)


@pytest.mark.parametrize(
    ("expected", "came", "by"),
    [
        ("Name", "Name", Pass.EXACT),
        ("Full Name", "full_name", Pass.NORMALISED),
        ("FullName", "Full name", Pass.NORMALISED),
        ("Prénom", "PRENOM", Pass.NORMALISED),
        ("客户名称", "客户名称", Pass.EXACT),
        ({"header": "Name", "aliases": ["Contact"]}, "contact", Pass.ALIAS),
        ("Surname", "Last Name", Pass.ALIAS),
        ("Custmer Grade", "Customer Grade", Pass.FUZZY),
    ],
)
def test_a_header_is_found_by_the_cheapest_pass(
    tmp_path: Path, expected: Any, came: str, by: Pass
) -> None:
    binding = bound(tmp_path, sheet(name=expected), ["Other", came])
    found = binding.bound("name")
    if by is Pass.FUZZY:
        assert found is None
        assert [(each.columns, each.by) for each in binding.candidates] == [((1,), by)]
    else:
        assert found is not None
        assert (found.columns, found.by) == ((1,), by)


def test_a_slip_of_the_pen_with_telling_values_binds(tmp_path: Path) -> None:
    plan = sheet(email="Customer Email", name="Name")
    binding = bound(tmp_path, plan, ["Custommer Email", "Name"], ["email", "text"])
    found = binding.bound("email")
    assert found is not None
    assert (found.columns, found.by) == ((0,), Pass.FUZZY)


def test_values_alone_are_a_candidate_and_never_a_binding(tmp_path: Path) -> None:
    plan = sheet(email="Email", name="Name")
    binding = bound(tmp_path, plan, ["Reach me", "Name"], ["email", "text"])
    assert binding.missing == ("email",)
    assert [(each.columns, each.by) for each in binding.candidates] == [((0,), Pass.VALUES)]


def test_a_synonym_whose_values_do_not_fit_is_not_bound(tmp_path: Path) -> None:
    binding = bound(tmp_path, sheet(email="Email"), ["E-mail address"], ["phone"])
    assert binding.columns("email") is None


def test_two_columns_of_one_meaning_are_not_guessed(tmp_path: Path) -> None:
    binding = bound(tmp_path, sheet(phone="Telephone"), ["Phone no", "Tel"], ["phone", "phone"])
    assert binding.missing == ("phone",)
    assert {each.columns for each in binding.candidates} == {(0,), (1,)}


def test_no_column_is_taken_twice_unless_the_plan_splits_it(tmp_path: Path) -> None:
    split = bound(tmp_path, sheet(name="Kontakt", city="Kontakt"), ["Kontakt"])
    assert split.columns("name") == split.columns("city") == (0,)
    other = bound(tmp_path, sheet(name="Name", city="Name of town"), ["Name"])
    assert other.columns("name") == (0,)
    assert other.columns("city") is None


def test_several_columns_feed_one_field_in_the_plans_order(tmp_path: Path) -> None:
    plan = sheet(name=["First Name", "Last Name"])
    assert bound(tmp_path, plan, ["Surname", "x", "Forename"]).columns("name") == (2, 0)
    assert bound(tmp_path, plan, ["Surname", "x"]).missing == ("name",)


def test_a_position_needs_no_header(tmp_path: Path) -> None:
    binding = bound(tmp_path, sheet(name={"position": 1}), ["", ""])
    assert binding.columns("name") == (1,)
    assert bound(tmp_path, sheet(name={"position": 7}), ["", ""]).missing == ("name",)


def test_the_call_decides_over_the_header(tmp_path: Path) -> None:
    plan = sheet(name="Name", city="City")
    binding = bound(tmp_path, plan, ["Name", "City", "Z"], given={"name": "Z", "city": 0})
    assert (binding.columns("name"), binding.columns("city")) == ((2,), (0,))
    assert {each.by for each in binding.bounds} == {Pass.GIVEN}


@pytest.mark.parametrize("given", [{"name": "Nope"}, {"name": 9}, {"nope": 0}])
def test_a_call_that_cannot_be_followed_is_refused(tmp_path: Path, given: Any) -> None:
    with pytest.raises(CompileError, match="mapping"):
        bound(tmp_path, sheet(name="Name"), ["Name"], given=given)


def test_a_shape_seen_before_is_bound_as_it_was(tmp_path: Path) -> None:
    table = staged(tmp_path, ["Wer", "Wo"], [["x", "y"]])
    seen = Remembered(
        template="contacts",
        field="name",
        headers=("Wer",),
        shape=shape(table.source),
        scope=Scope.COMPANY,
        trust=Trust.HUMAN,
    )
    binding = bind(sheet(name="Name"), CONTACTS, table.source, profile(table), memory=(seen,))
    assert binding.bounds[0].by is Pass.REMEMBERED
    assert binding.columns("name") == (0,)


def plan_of(*sheets: dict[str, Any]) -> Plan:
    return Plan.model_validate({"plan": "p", "sheets": list(sheets)})


def test_tables_find_their_sheets_by_name_and_by_header(tmp_path: Path) -> None:
    plan = plan_of(
        {"template": "contacts", "columns": [{"field": "email", "from": "Email"}]},
        {
            "template": "contacts",
            "name": "old",
            "files": ["*legacy*"],
            "columns": [{"field": "name", "from": "Name"}],
        },
        {
            "template": "contacts",
            "name": "places",
            "columns": [{"field": "city", "from": "City"}, {"field": "name", "from": "Mayor"}],
        },
    )
    tables = [
        staged(tmp_path, ["Mayor", "City"], [["a", "b"]], file="towns.csv"),
        staged(tmp_path, ["Name"], [["a"]], file="my Legacy export.CSV"),
        staged(tmp_path, ["e-mail address", "x"], [["a@b.co", "y"]], file="people.csv"),
        staged(tmp_path, ["height", "depth"], [["1", "2"]], file="wells.csv"),
    ]
    assert match(tables, plan, [CONTACTS]) == (("contacts", 2), ("old", 1), ("places", 0))


def test_the_only_sheet_takes_every_table(tmp_path: Path) -> None:
    plan = plan_of({"template": "contacts", "columns": [{"field": "email", "from": "Email"}]})
    tables = [staged(tmp_path, [name], [["1"]], file=f"{name}.csv") for name in ("a", "b")]
    assert match(tables, plan, [CONTACTS]) == (("contacts", 0), ("contacts", 1))


@pytest.mark.parametrize(
    ("header", "other"),
    [
        ("Business fax number", "Fax (work)"),  # a fax phone is a fax
        ("Manager's Name", "Vorgesetzter"),  # whoever has a name is meant by it
        ("Telefon służbowy", "Work phone"),  # letters Unicode does not take apart
        ("Fødselsdato", "Date of birth"),
        ("勤務先電話番号", "Work phone"),  # no space between words
        ("País/Región", "Country"),
        ("Company city", "City (business)"),
    ],
)
def test_headers_of_one_meaning_come_to_the_same_concepts(header: str, other: str) -> None:
    assert sorted(concepts(header)) == sorted(concepts(other))


def test_a_bare_name_beside_a_first_name_is_the_last_name() -> None:
    sides = [Side(names=(name,)) for name in ("Vorname", "Name", "Ort")]
    assert [side.names for side in in_company(sides)] == [("Vorname",), ("last name",), ("Ort",)]
    assert in_company(sides[1:]) == sides[1:]


@pytest.mark.parametrize(
    ("field", "cells", "kept"),
    [
        ("Birth date", ["2024-05-31"], (1.0, 0.0)),
        ("Birth date", ["Berlin"], (0.0, 1.0)),
        ("City", ["Berlin"], (0.0, 0.0)),
        ("City", ["17"], (0.0, 1.0)),
        ("Gizmo", ["17"], (0.0, 0.0)),
    ],
)
def test_a_name_promises_what_its_values_are(
    field: str, cells: list[str], kept: tuple[float, float]
) -> None:
    (column,) = of_values([("x", cells)])
    assert promised([field], column) == kept
