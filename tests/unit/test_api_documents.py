"""Documents in request bodies: what ships is known by name."""

from api.routes.documents import read_template, read_version
from plans import library
from plans.document import load
from plans.template import Template

TEXT = "plan: p\nsheets: [{template: contacts, columns: [{field: email, from: Mail}]}]"


def test_a_shipped_plan_goes_by_its_name():
    version = read_version("hubspot", [], [])

    assert version.plan == library.plan("hubspot")
    assert {each.template for each in version.templates} == {"companies", "contacts", "deals"}


def test_a_shipped_template_is_there_unless_the_partner_has_one():
    own = load(Template, "template: contacts\nfields: [{name: email}]", name="own")

    assert read_version(TEXT, [], []).templates == (library.template("contacts"),)
    assert read_version(TEXT, [], [own]).templates == (own,)
    assert read_version(TEXT, ["template: contacts\nfields: [{name: email}]"], []).templates == (
        own,
    )


def test_a_template_goes_by_its_name_too():
    assert read_template("invoices") == library.template("invoices")
