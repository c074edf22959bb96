"""Versions: digests that stay, parents, differences."""

import pytest

from plans.changes import AddAlias, AddTransform, MapValues, SetRead, SetTransforms, apply
from plans.document import load
from plans.errors import PlanInvalid
from plans.plan import Plan, Read
from plans.template import Template
from plans.transforms import Case, Trim
from plans.versions import (
    Difference,
    PlanVersion,
    canonical,
    diff,
    digest,
    first_version,
    next_version,
    verify,
)

PEOPLE = load(Template, "template: people\nfields: [{name: name}, {name: city}]", name="t")
PLAN = load(
    Plan,
    """
    plan: p
    sheets:
      - template: people
        columns: [{field: name, from: Name, transforms: [trim, {op: case, to: title}]}]
    """,
    name="p",
)
ALIAS = AddAlias(sheet="people", field="name", header="Name", alias="Nome")


def test_the_digest_is_the_same_on_every_machine_and_day():
    assert digest(PLAN, (PEOPLE,)) == (
        "7ea79be26a6b0fba869472d41f06b02db05d9798a794ed2a5bced1c5088d5fab"
    )


def test_how_a_document_is_written_does_not_matter():
    spelt_out = load(
        Plan,
        """{"reknit": 1, "sheets": [{"name": "people", "columns": [{"transforms":
        [{"op": "trim", "inner": false}, {"to": "title", "op": "case"}], "from": [{"header": "Name"}],
        "field": "name"}], "extra_columns": "ignore", "template": "people"}], "plan": "p"}""",
        name="p.json",
    )

    assert canonical(spelt_out) == canonical(PLAN)


def test_a_version_follows_its_parent():
    first = first_version(PLAN, (PEOPLE,), author="ada", reason="day 1")
    second = next_version(first, apply(first.plan, ALIAS), author="bob", reason="renamed")

    assert (first.number, first.parent, second.number) == (1, None, 2)
    assert second.parent == first.digest != second.digest
    assert second.template("people") == PEOPLE
    assert verify(first)
    assert verify(second)


def test_a_version_that_was_tampered_with_does_not_verify():
    first = first_version(PLAN, (PEOPLE,))

    assert not verify(first.model_copy(update={"plan": apply(PLAN, ALIAS)}))


def test_a_version_survives_json():
    first = first_version(PLAN, (PEOPLE,))

    assert PlanVersion.model_validate_json(first.model_dump_json()) == first


def test_templates_inside_the_plan_come_first():
    own = load(Template, "template: people\nfields: [{name: name}]", name="own")
    version = first_version(PLAN.model_copy(update={"templates": (own,)}), (PEOPLE,))

    assert version.template("people") == own


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("[{field: age, from: Age}]", "sheets[0].columns[0].field: template 'people' has no field"),
        ("[{field: nmae, from: N}]", "template 'people' has no field 'nmae'; did you mean 'name'?"),
        (
            "[{field: city, from: C, transforms: [{op: lookup, template: people, match: id, take: name}]}]",
            "sheets[0].columns[0].transforms[0]: template 'people' has no field 'id'",
        ),
    ],
)
def test_a_plan_that_names_unknown_fields_is_refused(columns, told):
    plan = load(Plan, f"plan: p\nsheets: [{{template: people, columns: {columns}}}]", name="p")

    with pytest.raises(PlanInvalid) as refused:
        first_version(plan, (PEOPLE,))
    assert told in str(refused.value)


def test_a_plan_without_its_template_is_refused():
    with pytest.raises(PlanInvalid, match=r"sheets\[0\].template: there is no template 'people'"):
        first_version(PLAN, ())


def test_a_reference_to_an_unknown_field_is_refused():
    pets = "template: pets\nfields: [{name: owner, type: reference, references: {template: people, field: id}}]"
    plan = load(Plan, "plan: p\nsheets: [{template: people}, {template: pets}]", name="p")

    with pytest.raises(PlanInvalid, match=r"templates.pets.owner: template 'people' has no field"):
        first_version(plan, (PEOPLE, load(Template, pets, name="pets")))


def test_equal_documents_do_not_differ():
    assert diff(PLAN, PLAN) == ()


@pytest.mark.parametrize(
    ("change", "path", "before", "after"),
    [
        (ALIAS, "sheets.people.columns.name.from.Name.aliases", None, ["Nome"]),
        (
            SetRead(sheet="people", read=Read(delimiter=";")),
            "sheets.people.read",
            None,
            {"delimiter": ";"},
        ),
        (
            SetTransforms(sheet="people", field="name", transforms=(Case(to="title"), Trim())),
            "sheets.people.columns.name.transforms",
            ["trim", "case"],
            ["case", "trim"],
        ),
        (
            AddTransform(sheet="people", field="name", transform=Case(to="upper")),
            "sheets.people.columns.name.transforms",
            [{"op": "trim"}, {"op": "case", "to": "title"}],
            [{"op": "trim"}, {"op": "case", "to": "title"}, {"op": "case", "to": "upper"}],
        ),
        (
            MapValues(sheet="people", field="name", values={"a": "b"}),
            "sheets.people.columns.name.transforms.value_map",
            None,
            {"op": "value_map", "values": {"a": "b"}},
        ),
    ],
    ids=lambda each: getattr(each, "change", None),
)
def test_a_difference_names_its_place(change, path, before, after):
    assert diff(PLAN, apply(PLAN, change)) == (Difference(path=path, before=before, after=after),)
