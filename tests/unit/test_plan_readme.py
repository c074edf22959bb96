"""The plan language's README is true and whole."""

import re
from enum import StrEnum
from pathlib import Path

import pytest

from plans import library
from plans.changes import Change
from plans.document import Document, load
from plans.plan import Duplicates, ExtraColumns, Plan, Read
from plans.template import FieldType, OnInvalid, Rule, Severity, Template, TemplateField
from plans.transforms import Transform
from plans.versions import first_version

TEXT = (Path(__file__).parents[2] / "plans" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
INLINE = re.findall(r"^\| `(\{.*\})` \|", TEXT, re.MULTILINE)


class Row(Document):
    """A table's first cell."""

    transform: Transform | None = None
    change: Change | None = None


def members(union: object, tag: str) -> set[str]:
    kinds = union.__origin__.__args__
    return {each.model_json_schema()["properties"][tag]["const"] for each in kinds}


@pytest.mark.parametrize("text", BLOCKS, ids=lambda text: text.splitlines()[0])
def test_every_example_loads(text):
    if text.startswith("plan:"):
        first_version(
            load(Plan, text, name="README"), tuple(map(library.template, library.templates()))
        )
    else:
        load(Template, text, name="README")


@pytest.mark.parametrize("text", INLINE)
def test_every_transform_and_change_in_a_table_loads(text):
    load(Row, f"transform: {text}" if text.startswith("{op") else f"change: {text}", name="README")


@pytest.mark.parametrize(("union", "tag"), [(Transform, "op"), (Change, "change")])
def test_every_transform_and_change_has_its_row(union, tag):
    shown = {
        re.match(rf"\{{{tag}: (\w+)", text)[1] for text in INLINE if text.startswith(f"{{{tag}")
    }

    assert shown == members(union, tag)


@pytest.mark.parametrize("words", [FieldType, OnInvalid, Severity, ExtraColumns, Duplicates])
def test_every_word_of_the_language_is_explained(words: type[StrEnum]):
    assert [each for each in words if f"`{each}`" not in TEXT] == []


def test_every_rule_constraint_and_reading_option_is_explained():
    told_apart = {"name", "type", "title", "description", "references", "values", "default"}
    names = members(Rule, "rule") | set(Read.model_fields)
    names |= set(TemplateField.model_fields) - told_apart - {"on_invalid", "precision", "scale"}

    assert [each for each in sorted(names) if f"`{each}`" not in TEXT] == []


def test_the_library_is_listed():
    names = (*library.plans(), *library.templates())

    assert [each for each in names if f"`{each}`" not in TEXT] == []
