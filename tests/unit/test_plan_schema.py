"""The JSON Schemas accept what loading accepts, and refuse what it refuses."""

import jsonschema
import pytest

from plans.changes import Change
from plans.plan import Plan
from plans.schema import schema
from plans.template import Template
from plans.transforms import Op, Transform

VALIDATORS = {
    name: jsonschema.Draft202012Validator(schema(kind))
    for name, kind in (("plan", Plan), ("template", Template), ("change", Change))
}


@pytest.mark.parametrize("name", VALIDATORS)
def test_a_schema_is_a_schema_with_a_name(name):
    document = VALIDATORS[name].schema
    jsonschema.Draft202012Validator.check_schema(document)

    assert document["$id"] == f"urn:reknit:schema:{name}:1"
    assert document["title"] == f"Reknit {name}"


def test_short_forms_are_fine():
    columns = [
        {"field": "a", "from": "A", "transforms": ["trim", {"op": "number", "decimal": ","}]},
        {"field": "b", "from": 3},
        {"field": "c", "from": ["A", {"header": "B", "aliases": ["C"]}], "transforms": ["join"]},
    ]
    sheet = {"template": "t", "files": ["*.csv"], "columns": columns}

    VALIDATORS["plan"].validate({"plan": "p", "sheets": [sheet, {"template": "u", "files": "*u*"}]})
    VALIDATORS["template"].validate(
        {"template": "t", "fields": [{"name": "a", "type": "integer", "min": 1}], "identity": ["a"]}
    )
    VALIDATORS["change"].validate(
        {"change": "add_transform", "sheet": "t", "field": "a", "transform": "trim"}
    )


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("plan", {"plan": "p"}),
        ("plan", {"plan": "p", "sheets": [{"template": "t", "extra": 1}]}),
        ("plan", {"plan": "p", "sheets": [{"template": "t", "columns": [
            {"field": "a", "from": "A", "transforms": ["trimm"]}]}]}),
        ("plan", {"plan": "p", "sheets": [{"template": "t", "columns": [
            {"field": "a", "from": "A", "transforms": [{"separator": " ", "part": 0}]}]}]}),
        ("template", {"template": "t", "fields": [{"name": "a", "type": "text"}]}),
        ("change", {"sheet": "t", "field": "a"}),
    ],
)  # fmt: skip
def test_mistakes_are_not(kind, document):
    assert not VALIDATORS[kind].is_valid(document)


def test_short_words_are_the_transforms_that_need_nothing_more():
    bare = set()
    for each in Transform.__origin__.__args__:
        if not any(field.is_required() for field in each.model_fields.values()):
            bare.add(each.model_fields["op"].default)

    assert set(Op.__args__) == bare
