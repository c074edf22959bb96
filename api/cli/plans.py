"""`reknit plans`: store, publish and roll back what sources' files become rows by."""

import click

from api.cli.documents import read_version
from api.cli.replays import replay_plan
from api.cli.state import ACTOR, of_partner, transaction


@click.group("plans")
def plans_group() -> None:
    """Stored plans."""


@plans_group.command("list")
@of_partner
def list_plans(partner: str) -> None:
    """Plans of sources, and companies' own."""
    from engine.store import plans

    with transaction() as c:
        for each in plans.page(c, partner, limit=200):
            owner = each.company or each.source
            used = f"published {each.published}" if each.published else "draft"
            click.echo(f"{each.id}  {owner}  {each.name}  {used}, latest {each.latest}")


@plans_group.command("add")
@click.argument("plan")
@click.option("--source", required=True, help="Name of the source; an unknown one is made.")
@click.option("--template", "given", multiple=True, help="A template file or shipped name.")
@click.option("--publish", is_flag=True, help="Imports use it from now on.")
@click.option("--reason", default="")
@of_partner
def add_plan(
    plan: str, source: str, given: tuple[str, ...], publish: bool, reason: str, partner: str
) -> None:
    """Store PLAN (a file or a shipped name): the first, or the next version of the source's plan."""
    from engine.store import audit, plans, sources, templates

    with transaction() as c:
        mine = [each.template for each in templates.page(c, partner, limit=1_000)]
        made = read_version(plan, given, known=mine)
        there = sources.named(c, partner, source) or sources.add(c, partner, name=source)
        kept = plans.of_source(c, partner, there.id)
        if kept is None:
            kept, number = plans.add(c, partner, source=there.id, version=made), made.number
        else:
            number = plans.revise(
                c, partner, kept.id, made.plan, templates=made.templates, author=ACTOR,
                reason=reason,
            ).version.number  # fmt: skip
        audit.append(c, partner, actor=ACTOR, action="plan.created", target=kept.id)
        if publish:
            plans.publish(c, partner, kept.id, number, actor=ACTOR, reason=reason)
            audit.append(c, partner, actor=ACTOR, action="plan.published", target=kept.id)
    click.echo(f"{kept.id}  version {number}" + ("  published" if publish else ""))


@plans_group.command("publish")
@click.argument("plan")
@click.option("--version", "number", type=int, required=True)
@click.option("--reason", default="")
@of_partner
def publish_plan(plan: str, number: int, reason: str, partner: str) -> None:
    """Imports use that version from now on."""
    from engine.store import audit, plans

    with transaction() as c:
        made = plans.publish(c, partner, plan, number, actor=ACTOR, reason=reason)
        audit.append(c, partner, actor=ACTOR, action="plan.published", target=plan)
    click.echo(f"{plan} uses version {made.published}")


@plans_group.command("rollback")
@click.argument("plan")
@click.option("--reason", default="")
@of_partner
def rollback_plan(plan: str, reason: str, partner: str) -> None:
    """Imports use what was published before."""
    from engine.store import audit, plans

    with transaction() as c:
        made = plans.rollback(c, partner, plan, actor=ACTOR, reason=reason)
        audit.append(c, partner, actor=ACTOR, action="plan.rolled_back", target=plan)
    click.echo(f"{plan} uses version {made.published}")


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    plans_group.add_command(replay_plan)
    root.add_command(plans_group)
