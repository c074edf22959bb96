"""What ships: every template and plan loads, fits together, and means one thing."""

import unicodedata
from collections import Counter
from importlib.resources import files

import pytest

from plans import library
from plans.document import dump, load
from plans.plan import Plan
from plans.template import Template


def normalised(header: str) -> str:
    parts = unicodedata.normalize("NFKD", header.casefold())
    return "".join(each for each in parts if each.isalnum())


def test_the_library_holds_what_it_promises():
    assert library.templates() == (
        "companies", "contacts", "deals", "invoices", "products", "transactions",
    )  # fmt: skip
    assert library.plans() == (
        "bank-csv", "google-contacts", "hubspot", "outlook-contacts", "pipedrive", "salesforce",
        "stripe",
    )  # fmt: skip


def test_an_unknown_name_is_no_path():
    with pytest.raises(KeyError):
        library.plan("../templates/contacts")


@pytest.mark.parametrize("name", library.templates())
def test_a_template_is_rich_and_clear(name):
    template = library.template(name)
    headers = Counter(
        header
        for field in template.fields
        for header in {normalised(each) for each in (field.name, field.title, *field.synonyms)}
    )

    assert template.template == name
    assert len(template.fields) >= 20
    assert template.identity
    assert all(field.title and len(field.synonyms) >= 7 for field in template.fields)
    assert [header for header, times in headers.items() if times > 1] == []


@pytest.mark.parametrize("name", library.plans())
def test_a_plan_fits_its_templates(name):
    version = library.version(name)

    assert version.plan.plan == name
    assert version.plan.title
    assert {each.template for each in version.templates} == {
        each.template for each in version.plan.sheets
    }


@pytest.mark.parametrize("name", library.plans())
def test_required_fields_are_mapped(name):
    version = library.version(name)
    missing = [
        f"{sheet.name}.{field.name}"
        for sheet in version.plan.sheets
        for field in version.template(sheet.template).fields
        if field.required and sheet.mapping(field.name) is None
    ]

    assert missing == []


def test_shipped_documents_survive_dump_and_load():
    for name in library.plans():
        assert load(Plan, dump(library.plan(name)), name=name) == library.plan(name)
    for template in map(library.template, library.templates()):
        assert load(Template, dump(template), name=template.template) == template


def test_no_shipped_file_is_left_out():
    folders = [files("plans.library") / kind for kind in ("plans", "templates")]
    found = [each.name for folder in folders for each in folder.iterdir()]

    assert len(found) == len(library.plans()) + len(library.templates())
