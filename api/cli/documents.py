"""Commands about plans and templates: list, show, validate, diff, schema, infer."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from engine.errors import NotFound
from plans.document import Document, dump, load
from plans.errors import PlanInvalid, Problem
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def read_template(name: str) -> Template:
    """A template from a file, else from the shipped library."""
    from plans import library

    if Path(name).is_file():
        return load(Template, _text(name), name=name)
    return library.template(_shipped(name, "template", library.templates()))


def read_plan(name: str) -> Plan:
    """A plan from a file, else from the shipped library."""
    from plans import library

    if Path(name).is_file():
        return load(Plan, _text(name), name=name)
    return library.plan(_shipped(name, "plan", library.plans()))


def read_version(
    name: str, templates: tuple[str, ...], *, known: Sequence[Template] = ()
) -> PlanVersion:
    """A plan with the templates it needs: given, its own, stored, beside it, then the library's."""
    from plans import library

    plan = read_plan(name)
    given = (*known, *map(read_template, templates), *plan.templates)
    found = {each.template: each for each in given}
    for sheet in plan.sheets:
        if sheet.template in found:
            continue
        beside = Path(name).parent / f"{sheet.template}.yaml"
        if Path(name).is_file() and beside.is_file():
            found[sheet.template] = read_template(str(beside))
        elif sheet.template in library.templates():
            found[sheet.template] = library.template(sheet.template)
    return first_version(plan, tuple(found.values()))


def _text(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except UnicodeDecodeError:
        problem = Problem(path="", message="is not UTF-8 text; save it as UTF-8")
        raise PlanInvalid(name, (problem,)) from None


@click.group("plan")
def plan_group() -> None:
    """Plans: how one source's files become template rows."""


@click.group("template")
def template_group() -> None:
    """Templates: what the rows must look like."""


@plan_group.command("validate")
@click.argument("plan")
@click.option("--template", "templates", multiple=True, help="A template file or shipped name.")
def validate_plan(plan: str, templates: tuple[str, ...]) -> None:
    """Check PLAN (a file or a shipped name) and everything it refers to."""
    version = read_version(plan, templates)
    sheets = ", ".join(sheet.name for sheet in version.plan.sheets)
    click.echo(f"{plan} is valid: sheets {sheets}; digest {version.digest[:12]}")


@template_group.command("validate")
@click.argument("template")
def validate_template(template: str) -> None:
    """Check TEMPLATE (a file or a shipped name)."""
    found = read_template(template)
    click.echo(f"{template} is valid: {len(found.fields)} fields")


@plan_group.command("diff")
@click.argument("before")
@click.argument("after")
@json_option
def diff_plans(before: str, after: str, as_json: bool) -> None:
    """What differs between two plans."""
    from api.cli.show import show_differences
    from plans.versions import diff

    show_differences(diff(read_plan(before), read_plan(after)), as_json=as_json)


@plan_group.command("list")
def list_plans() -> None:
    """The shipped plans."""
    from plans import library

    for name in library.plans():
        click.echo(f"{name:<20} {library.plan(name).title}")


@template_group.command("list")
def list_templates() -> None:
    """The shipped templates."""
    from plans import library

    for name in library.templates():
        click.echo(f"{name:<20} {library.template(name).title}")


@plan_group.command("show")
@click.argument("plan")
@json_option
def show_plan(plan: str, as_json: bool) -> None:
    """Print a plan (a file or a shipped name)."""
    _print(read_plan(plan), as_json)


@template_group.command("show")
@click.argument("template")
@json_option
def show_template(template: str, as_json: bool) -> None:
    """Print a template (a file or a shipped name)."""
    _print(read_template(template), as_json)


@plan_group.command("schema")
def plan_schema() -> None:
    """The JSON Schema of a plan, so that an editor completes and checks it."""
    _schema(Plan)


@template_group.command("schema")
def template_schema() -> None:
    """The JSON Schema of a template."""
    _schema(Template)


@plan_group.command("infer")
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--template", "templates", multiple=True, help="Map onto these instead of new ones.")
@click.option("--name", default="draft", show_default=True, help="Name of the plan.")
@click.option("--out", type=click.Path(path_type=Path), help="Write here instead of printing.")
def infer_plan(
    files: tuple[Path, ...], templates: tuple[str, ...], name: str, out: Path | None
) -> None:
    """Draft a plan (with templates inside) from sample FILES."""
    from api.cli.local import reading
    from engine.infer import infer

    with reading(files) as tables:
        known = tuple(map(read_template, templates))
        draft = infer(tables.staged, tables.profiles, name=name, templates=known)
    if out is None:
        click.echo(dump(draft), nl=False)
        return
    out.write_text(dump(draft), "utf-8")
    click.echo(f"wrote {out}: sheets {', '.join(sheet.name for sheet in draft.sheets)}")


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    root.add_command(plan_group)
    root.add_command(template_group)


def _shipped(name: str, kind: str, names: Sequence[str]) -> str:
    if name not in names:
        told = f"there is no file {name} and no shipped {kind} of that name"
        raise NotFound(f"{told}; shipped are {', '.join(names)}")
    return name


def _print(document: Document, as_json: bool) -> None:
    if as_json:
        click.echo(document.model_dump_json(exclude_defaults=True, indent=2))
    else:
        click.echo(dump(document), nl=False)


def _schema(kind: type[Document]) -> None:
    from plans.schema import schema

    click.echo(json.dumps(schema(kind), indent=2))
