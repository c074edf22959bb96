"""The JSON Schemas accept what loading accepts, and refuse what it refuses."""

import jsonschema
import pytest

from plans.schema import schema
from plans.transforms import Op, Transform

VALIDATORS = {
    kind: jsonschema.Draft202012Validator(schema(kind)) for kind in ("plan", "template", "change")
}


@pytest.mark.parametrize("kind", VALIDATORS)
def test_a_schema_is_a_schema_with_a_name(kind):
    jsonschema.Draft202012Validator.check_schema(schema(kind))

    assert schema(kind)["$id"] == f"urn:reknit:schema:{kind}:1"
    assert schema(kind)["title"].startswith("Reknit ")


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
