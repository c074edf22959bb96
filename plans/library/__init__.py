"""Templates and plans that ship with Reknit, read from the package itself."""

from functools import cache
from importlib.resources import files

from plans.document import load
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version

_HERE = files(__name__)


def plans() -> tuple[str, ...]:
    """The names of the shipped plans."""
    return _names("plans")


def templates() -> tuple[str, ...]:
    """The names of the shipped templates."""
    return _names("templates")


@cache
def plan(name: str) -> Plan:
    """A shipped plan; KeyError when there is none of that name."""
    return load(Plan, _text("plans", name), name=f"plan {name}")


@cache
def template(name: str) -> Template:
    """A shipped template; KeyError when there is none of that name."""
    return load(Template, _text("templates", name), name=f"template {name}")


def version(name: str) -> PlanVersion:
    """Version 1 of a shipped plan with the shipped templates it needs."""
    return first_version(plan(name), tuple(map(template, templates())), author="reknit")


def _names(kind: str) -> tuple[str, ...]:
    listed = (each.name for each in (_HERE / kind).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in listed if name.endswith(".yaml")))


def _text(kind: str, name: str) -> str:
    if name not in _names(kind):
        raise KeyError(name)
    return (_HERE / kind / f"{name}.yaml").read_text(encoding="utf-8")
