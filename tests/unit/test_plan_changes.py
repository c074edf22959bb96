"""Every change does what it says to a plan, or refuses."""

import pytest
from pydantic import TypeAdapter

from plans.changes import (
    AddAlias,
    AddBooleans,
    AddFormats,
    AddMapping,
    AddNulls,
    AddTransform,
    Change,
    MapValues,
    RemoveMapping,
    SetColumns,
    SetDefault,
    SetDuplicates,
    SetExtraColumns,
    SetFiles,
    SetFormats,
    SetNumber,
    SetOnInvalid,
    SetOptional,
    SetRead,
    SetTransforms,
    apply,
)
from plans.errors import ChangeConflict
from plans.plan import Duplicates, ExtraColumns, Files, Mapping, Plan, Read, SheetPlan
from plans.template import OnInvalid
from plans.transforms import (
    Boolean,
    Case,
    Date,
    DateTime,
    Join,
    Nulls,
    Number,
    Trim,
    ValueMap,
)

AT = {"sheet": "people", "field": "status"}


def people(**mapping: object) -> Plan:
    given = {"field": "status", "columns": ["Status"], **mapping}
    return Plan(
        plan="p",
        sheets=(SheetPlan(template="people", mappings=(Mapping.model_validate(given),)),),
    )


def revised(change: Change, **mapping: object) -> Mapping:
    found = apply(people(**mapping), change).sheet("people").mapping("status")
    assert found is not None
    return found


def transforms(change: Change, *before: object) -> tuple[object, ...]:
    return revised(change, transforms=before).transforms


def test_columns_are_set():
    change = SetColumns(**AT, columns=["State"])

    assert [each.header for each in revised(change).columns] == ["State"]


def test_an_alias_joins_the_column_it_names():
    change = AddAlias(**AT, header="Status", alias="State")
    once = revised(change)

    assert once.columns[0].names == ("Status", "State")
    assert revised(change, columns=once.columns) == once


def test_mappings_come_and_go():
    more = Mapping(field="name", columns=["Name"])
    plan = apply(people(), AddMapping(sheet="people", mapping=more), RemoveMapping(**AT))

    assert plan.sheet("people").mappings == (more,)


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (SetTransforms(**AT, transforms=["trim"]), (Case(to="upper"),), (Trim(),)),
        (AddTransform(**AT, transform=Trim(), at="start"), (Join(),), (Trim(), Join())),
        (AddTransform(**AT, transform="trim"), (Join(),), (Join(), Trim())),
        (AddFormats(**AT, formats=["%d.%m.%Y"]), (), (Date(formats=("%d.%m.%Y",)),)),
        (
            AddFormats(**AT, kind="datetime", formats=["%H", "%M"]),
            (DateTime(formats=("%H",), timezone="Europe/Rome"),),
            (DateTime(formats=("%H", "%M"), timezone="Europe/Rome"),),
        ),
        (
            SetFormats(**AT, formats=["%d/%m/%Y"]),
            (Date(formats=("%m/%d/%Y",), excel_serial=True),),
            (Date(formats=("%d/%m/%Y",), excel_serial=True),),
        ),
        (SetNumber(**AT, number=Number(decimal=",")), (Number(),), (Number(decimal=","),)),
        (
            MapValues(**AT, values={"a": "b"}),
            (Boolean(),),
            (ValueMap(values={"a": "b"}), Boolean()),
        ),
        (MapValues(**AT, values={"a": "b"}), (Trim(),), (Trim(), ValueMap(values={"a": "b"}))),
        (
            MapValues(**AT, values={"WON": "won"}),
            (ValueMap(values={"Won": "x", "lost": "lost"}),),
            (ValueMap(values={"lost": "lost", "WON": "won"}),),
        ),
        (
            MapValues(**AT, values={"WON": "won"}),
            (ValueMap(values={"Won": "x"}, ignore_case=False),),
            (ValueMap(values={"Won": "x", "WON": "won"}, ignore_case=False),),
        ),
        (AddNulls(**AT, words=["-", "tbd"]), (Trim(),), (Nulls(words=("-", "tbd")), Trim())),
        (AddNulls(**AT, words=["-", "tbd"]), (Nulls(words=("-",)),), (Nulls(words=("-", "tbd")),)),
        (
            AddBooleans(**AT, true=["ja"], false=["nein"]),
            (Boolean(true=("yes",), false=("no",)),),
            (Boolean(true=("yes", "ja"), false=("no", "nein")),),
        ),
    ],
    ids=lambda each: getattr(each, "change", None),
)
def test_transforms_change(change, before, after):
    assert transforms(change, *before) == after


def test_boolean_words_join_those_known_anyway():
    (only,) = transforms(AddBooleans(**AT, true=["ja"], false=["nein"]))

    assert only.true[-1] == "ja"
    assert {"yes", "true"} <= set(only.true)


def test_policies_change():
    change = SetOnInvalid(**AT, on_invalid="default", default="open")

    assert revised(change).on_invalid is OnInvalid.DEFAULT
    assert revised(change).default == "open"
    assert revised(SetDefault(**AT, value="new")).default == "new"
    assert revised(SetOptional(**AT, optional=True)).optional


def test_sheet_settings_change():
    sheet = apply(
        people(),
        SetExtraColumns(sheet="people", extra_columns="keep"),
        SetDuplicates(sheet="people", duplicates="last"),
        SetFiles(sheet="people", files="*people*"),
        SetRead(sheet="people", read=Read(delimiter=";")),
    ).sheet("people")

    assert sheet.extra_columns is ExtraColumns.KEEP
    assert sheet.duplicates is Duplicates.LAST
    assert sheet.files == Files(names=("*people*",))
    assert sheet.read.delimiter == ";"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (SetDuplicates(sheet="pets", duplicates="last"), "plan 'p' has no sheet 'pets'"),
        (SetDefault(sheet="people", field="age", value="1"), "field 'age' has no mapping; add one"),
        (RemoveMapping(sheet="people", field="age"), "field 'age' has no mapping"),
        (AddAlias(**AT, header="Stat", alias="S"), "field 'status' has no column 'Stat'"),
        (
            AddMapping(sheet="people", mapping=Mapping(field="status", columns=["S"])),
            "field 'status' has a mapping already",
        ),
        (SetColumns(**AT, columns=["A", "B"]), "several columns need join, concat, coalesce"),
        (SetColumns(**AT, columns=[]), "needs `from` columns, a `constant` transform"),
        (AddBooleans(**AT, true=["no"]), "means both yes and no: no"),
    ],
    ids=lambda each: getattr(each, "change", None),
)
def test_a_change_that_does_not_fit_is_a_conflict(change, told):
    with pytest.raises(ChangeConflict) as conflict:
        apply(people(), change)

    assert told in str(conflict.value)
    assert "\n" not in str(conflict.value)


def test_changes_of_one_call_are_made_all_or_not_at_all():
    plan = people()

    with pytest.raises(ChangeConflict):
        apply(plan, SetDefault(**AT, value="x"), RemoveMapping(sheet="people", field="age"))
    assert plan == people()


def test_a_change_survives_json():
    adapter = TypeAdapter(Change)
    change = AddTransform(**AT, transform=ValueMap(values={"a": "b"}))

    assert adapter.validate_json(adapter.dump_json(change)) == change
