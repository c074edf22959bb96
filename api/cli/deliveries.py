"""`reknit destinations`, `reknit deliveries`: stored rows brought to where they are needed."""

import json
from collections.abc import Sequence
from typing import IO, Any

import click

from api.cli.exports import checked, ended, line, selection
from api.cli.state import ACTOR, of_partner, opened, settings, transaction


@click.group("destinations")
def destinations_group() -> None:
    """Databases, endpoints and buckets rows can be delivered to."""


@destinations_group.command("add")
@click.argument("name")
@click.argument("document", type=click.File("r"), default="-")
@of_partner
def add_destination(name: str, document: IO[str], partner: str) -> None:
    """Keep DOCUMENT (JSON, from a file or the standard input) as destination NAME, sealed."""
    from pydantic import ValidationError

    from engine.delivery import destination_from, seal_destination, shown_destination
    from engine.ids import Kind, new_id
    from engine.secrets import Keys
    from engine.settings import load_secrets
    from engine.store import audit, destinations

    try:
        place, made = destination_from(json.loads(document.read())), new_id(Kind.DESTINATION)
    except ValueError as error:
        told = error.errors(include_input=False) if isinstance(error, ValidationError) else ()
        words = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in told]
        raise click.BadParameter("; ".join(words) or "not JSON") from None
    keys = Keys.from_ring(load_secrets(settings()).every("seal"))
    with transaction() as c:
        destinations.add(
            c, partner, destination=made, name=name, shown=shown_destination(place),
            sealed=seal_destination(place, keys=keys, owner=made),
        )  # fmt: skip
        audit.append(c, partner, actor=ACTOR, action="destination.created", target=made)
    click.echo(made)


@destinations_group.command("list")
@of_partner
def list_destinations(partner: str) -> None:
    """The partner's destinations, newest first."""
    from engine.store import destinations

    with transaction() as c:
        for each in destinations.page(c, partner, limit=200):
            click.echo(f"{each.id}  {each.shown['kind']}  {each.name}")


@destinations_group.command("remove")
@click.argument("destination")
@of_partner
def remove_destination(destination: str, partner: str) -> None:
    """Forget DESTINATION (id or name) and its credentials."""
    from engine.errors import Conflict
    from engine.store import audit, destinations, errands

    with transaction() as c:
        there = destinations.get(c, partner, destination)
        if errands.in_use(c, partner, there.id):
            raise Conflict(f"a delivery to {there.name} is under way; cancel it first")
        destinations.remove(c, partner, there.id)
        audit.append(c, partner, actor=ACTOR, action="destination.deleted", target=there.id)


@click.group("deliveries")
def deliveries_group() -> None:
    """Rows on their way to a destination."""


@deliveries_group.command("create")
@click.argument("company")
@click.argument("destination")
@click.option("--sheet", "sheets", multiple=True, help="Repeat; without any: every one with rows.")
@selection
@click.option("--wait", type=float, default=0, help="So many seconds for its end.")
@of_partner
def create_delivery(
    company: str, destination: str, sheets: Sequence[str], wait: float, partner: str, **said: Any
) -> None:
    """Send the stored rows of COMPANY to DESTINATION; a worker does it."""
    from engine.exporting import sheet_named
    from engine.shipping import Shipment, planned
    from engine.store import audit, companies, destinations, errands

    with opened() as work:
        with work.engine.begin() as c:
            owner = companies.get(c, partner, company)
            there = destinations.get(c, partner, destination)
            named = tuple(sheet_named(owner, each) for each in sheets)
            wanted = checked(Shipment, {**said, "destination": there.id, "sheets": named})
            made = errands.add(
                c, partner, company=owner.id, kind=errands.Kind.DELIVERY, title=there.name,
                request=planned(work.settings, owner, wanted), destination=there.id, actor=ACTOR,
            )  # fmt: skip
            work.send(c, made)
            audit.append(c, partner, actor=ACTOR, action="delivery.created", target=made.id)
        click.echo(line(ended(work, made, seconds=wait)))


@deliveries_group.command("show")
@click.argument("delivery")
@click.option("--refused", is_flag=True, help="Also each row the destination did not take.")
@of_partner
def show_delivery(delivery: str, refused: bool, partner: str) -> None:
    """How far DELIVERY is."""
    from engine.store import batches, errands

    with transaction() as c:
        click.echo(line(errands.get(c, partner, delivery, kind=errands.Kind.DELIVERY)))
        place: str | None = None
        while refused:
            told, place = batches.results(
                c, partner, delivery, limit=1_000, after=place, refused=True
            )
            for each in told:
                click.echo(f"{each.sheet}  {each.row}  {each.refusal}")
            refused = place is not None


@deliveries_group.command("retry")
@click.argument("delivery")
@click.option("--wait", type=float, default=0, help="So many seconds for its end.")
@of_partner
def retry_delivery(delivery: str, wait: float, partner: str) -> None:
    """Go on with DELIVERY, which failed or was canceled."""
    from engine.store import audit, errands

    with opened() as work:
        with work.engine.begin() as c:
            errands.get(c, partner, delivery, kind=errands.Kind.DELIVERY)
            made = errands.retry(c, partner, delivery)
            work.send(c, made)
            audit.append(c, partner, actor=ACTOR, action="delivery.retried", target=delivery)
        click.echo(line(ended(work, made, seconds=wait)))


@deliveries_group.command("cancel")
@click.argument("delivery")
@of_partner
def cancel_delivery(delivery: str, partner: str) -> None:
    """Send nothing more of DELIVERY."""
    from engine.store import audit, errands

    with transaction() as c:
        errands.get(c, partner, delivery, kind=errands.Kind.DELIVERY)
        click.echo(line(errands.cancel(c, partner, delivery)))
        audit.append(c, partner, actor=ACTOR, action="delivery.canceled", target=delivery)


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    root.add_command(destinations_group)
    root.add_command(deliveries_group)
