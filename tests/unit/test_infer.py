"""Drafts from samples: types proven by the column, nothing guessed that two readings fit."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from tables import staged

from engine.infer import infer
from engine.intake.source import Staged
from engine.profile import profile
from plans.document import dump, load
from plans.plan import Plan, SheetPlan
from plans.template import Template, TemplateField
from plans.versions import first_version


def draft(tables: Sequence[Staged], templates: Sequence[Template] = ()) -> Plan:
    profiles = [profile(each) for each in tables]
    return infer(tables, profiles, name="My Export", templates=templates)


def column(folder: Path, header: str, cells: Sequence[str]) -> tuple[TemplateField, SheetPlan]:
    plan = draft([staged(folder, ["Key", header], [[f"k{at}", c] for at, c in enumerate(cells)])])
    return plan.templates[0].fields[1], plan.sheets[0]


@pytest.mark.parametrize(
    ("cells", "type_", "reader"),
    [
        (["31.12.2024", "1.2.2024"], "date", {"formats": ("%d.%m.%Y",)}),
        (["2024-12-31", "2024-01-02"], "date", None),
        (["12/31/2024 5:30 PM", "1/2/2024 11:00 AM"], "datetime",
         {"formats": ("%m/%d/%Y %I:%M %p",)}),
        (["20-Dec-10", "06-Dec-10"], "date", {"formats": ("%d-%b-%y",)}),
        (["1.234,50", "12,75"], "decimal", {"decimal": ",", "thousands": "."}),
        (["12.5", "-3.25"], "decimal", None),
        (["1", "22", "n/a"], "integer", None),
        (["0123", "0456"], "string", None),
        (["INV-1", "INV-2"], "string", None),
        (["yes", "no"], "boolean", {}),
        (["a@b.co", "c@d.org"], "email", {}),
        (["+49 30 123456", "+1 212 736 5000"], "phone", {}),
        (["https://a.b/c"] * 2, "url", {}),
    ],
)  # fmt: skip
def test_a_column_gets_the_narrowest_type_its_values_have(
    tmp_path: Path, cells: list[str], type_: str, reader: dict[str, object] | None
) -> None:
    field, sheet = column(tmp_path, "Phone" if type_ == "phone" else "Thing", cells)
    assert field.type == type_
    transforms = sheet.mappings[1].transforms
    if reader is not None:
        assert reader.items() <= dict(transforms[-1]).items()


@pytest.mark.parametrize("cells", [["01/02/2024", "03/04/2024"], ["1,234", "2,345"]])
def test_a_column_with_two_readings_stays_text_and_says_why(
    tmp_path: Path, cells: list[str]
) -> None:
    field, _ = column(tmp_path, "Thing", cells)
    assert field.type == "string"
    assert "nothing proves" in field.description


def test_another_column_of_the_table_proves_the_order(tmp_path: Path) -> None:
    rows = [["31/12/2024", "01/02/2024"], ["25/12/2024", "03/04/2024"]]
    plan = draft([staged(tmp_path, ["Begin", "Finish"], rows)])
    assert [field.type for field in plan.templates[0].fields] == ["date", "date"]


def test_few_repeated_words_are_an_enum_and_full_columns_are_required(tmp_path: Path) -> None:
    rows = [[str(at), ["open", "closed"][at % 2], ""] for at in range(40)]
    plan = draft([staged(tmp_path, ["Order ID", "Status", "Note"], rows)])
    order, status, note = plan.templates[0].fields
    assert (status.type, status.values) == ("enum", ("closed", "open"))
    assert (order.required, note.required) == (True, False)
    assert plan.templates[0].identity == (("order_id",),)


def test_headers_become_names_whatever_they_are(tmp_path: Path) -> None:
    headers = ["客户", "Größe (cm)", "", "2nd line", "Größe-cm"]
    plan = draft([staged(tmp_path, headers, [["a", "b", "c", "d", "e"]])])
    names = [field.name for field in plan.templates[0].fields]
    assert names == ["customer", "grosse_cm", "column_2", "n_2_nd_line", "grosse_cm_2"]
    assert plan.sheets[0].mappings[2].columns[0].position == 2


def test_a_given_template_that_fits_is_used(tmp_path: Path) -> None:
    contacts = Template.model_validate(
        {
            "template": "contacts",
            "fields": [
                {"name": "email", "type": "email"},
                {"name": "first_name", "synonyms": ["Given name"]},
                {"name": "born", "type": "date", "title": "Birthday"},
            ],
        }
    )
    rows = [["Ann", "ann@b.co", "31.12.1999", "x"]]
    table = staged(tmp_path, ["Given Name", "E-Mail", "Date of birth", "Shoe"], rows)
    plan = draft([table], [contacts])
    assert plan.templates == ()
    assert [m.field for m in plan.sheets[0].mappings] == ["first_name", "email", "born"]
    assert first_version(plan, (contacts,)).number == 1


def test_tables_of_one_shape_share_a_sheet_and_others_get_their_own(tmp_path: Path) -> None:
    tables = [
        staged(tmp_path, ["Name", "City"], [["a", "b"]], file="people 2023.csv"),
        staged(tmp_path, ["Name", "City"], [["c", "d"]], file="people 2024.csv"),
        staged(tmp_path, ["SKU", "Price"], [["x1", "2.5"]], file="goods.csv"),
    ]
    plan = draft(tables)
    assert [sheet.name for sheet in plan.sheets] == ["people", "goods"]
    assert plan.sheets[0].files.names == ("people *.csv",)


def test_a_draft_is_a_plan_document(tmp_path: Path) -> None:
    plan = draft([staged(tmp_path, ["Name", "Paid"], [["a", "1.234,50"]])])
    assert load(Plan, dump(plan), name="draft") == plan


def test_a_zip_code_stays_text_even_without_a_leading_zero(tmp_path: Path) -> None:
    field, _ = column(tmp_path, "ZIP Code", ["60623", "60628"])
    assert field.type == "string"


def test_a_header_that_stands_twice_feeds_the_second_field_by_its_number(tmp_path: Path) -> None:
    plan = draft([staged(tmp_path, ["Key", "Note", "Note"], [["k", "a", "b"], ["l", "c", "d"]])])
    assert [each.columns[0].names for each in plan.sheets[0].mappings] == [("Key",), ("Note",), ()]
    assert plan.sheets[0].mappings[2].columns[0].position == 2
