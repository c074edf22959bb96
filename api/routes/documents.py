"""Plans and templates inside request bodies: text, object or a shipped name, checked the same way."""

from collections.abc import Sequence

from plans import library
from plans.document import load
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version


def read_plan(document: str | Plan) -> Plan:
    """The plan; PlanInvalid lists every problem of a text with its line."""
    if isinstance(document, str) and document in library.plans():
        return library.plan(document)
    return load(Plan, document, name="document") if isinstance(document, str) else document


def read_template(document: str | Template) -> Template:
    """The template; PlanInvalid lists every problem of a text with its line."""
    if isinstance(document, str) and document in library.templates():
        return library.template(document)
    return load(Template, document, name="document") if isinstance(document, str) else document


def shipped() -> tuple[Template, ...]:
    """The templates everybody has, unless they have their own of that name."""
    return tuple(map(library.template, library.templates()))


def read_version(
    document: str | Plan,
    given: Sequence[str | Template],
    known: Sequence[Template],
    *,
    author: str = "",
    reason: str = "",
) -> PlanVersion:
    """A first version with the templates given, then those known, then those that ship.

    PlanInvalid if they do not fit.
    """
    templates = {each.template: each for each in (*shipped(), *known, *map(read_template, given))}
    plan = read_plan(document)
    return first_version(plan, tuple(templates.values()), author=author, reason=reason)
