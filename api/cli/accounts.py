"""`reknit partners|keys|companies`: who uses the deployment."""

from collections.abc import Sequence

import click

from api.cli.state import ACTOR, of_partner, settings, transaction


@click.group("partners")
def partners_group() -> None:
    """Accounts of the deployment."""


@partners_group.command("add")
@click.argument("name")
def add_partner(name: str) -> None:
    """Make a partner."""
    from engine.store import audit, partners

    with transaction() as c:
        made = partners.add(c, name)
        audit.append(c, made.id, actor=ACTOR, action="partner.added", target=made.id)
    click.echo(made.id)


@partners_group.command("list")
def list_partners() -> None:
    """All partners."""
    from engine.store import partners

    with transaction() as c:
        for each in partners.listed(c):
            click.echo(f"{each.id}  {each.created_at:%Y-%m-%d}  {each.name}")


@partners_group.command("verify-audit")
@of_partner
def verify_audit(partner: str) -> None:
    """Check the partner's audit log line by line; exit code 3 names a line that was changed."""
    from engine.errors import Conflict
    from engine.store import audit

    with transaction() as c:
        bad = audit.verify(c, partner)
    if bad is not None:
        raise Conflict(f"line {bad} of the audit log was changed, or lines are missing from there")
    click.echo("the audit log is whole")


@click.group("keys")
def keys_group() -> None:
    """API keys."""


@keys_group.command("mint")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="Repeat; without any: all scopes.")
@click.option("--days", type=float, default=365, show_default=True)
@click.option("--environment", type=click.Choice(["live", "test"]), default="live")
@of_partner
def mint_key(name: str, scopes: Sequence[str], days: float, environment: str, partner: str) -> None:
    """Make a key; its text is shown this once."""
    from engine.model import Scope
    from engine.settings import load_secrets
    from engine.store import audit, keys

    unknown = sorted(set(scopes) - set(Scope))
    if unknown:
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(Scope)}")
    granted = [Scope(each) for each in scopes] or list(Scope)
    secrets = load_secrets(settings())
    with transaction() as c:
        made, text = keys.mint(
            c, partner, secrets=secrets, name=name, scopes=granted, environment=environment,
            days=days,
        )  # fmt: skip
        audit.append(c, partner, actor=ACTOR, action="key.created", target=made.id)
    click.echo(text)


@keys_group.command("list")
@of_partner
def list_keys(partner: str) -> None:
    """The partner's keys, newest first."""
    from engine.ids import utcnow
    from engine.store import keys

    with transaction() as c:
        for each in keys.page(c, partner, limit=200):
            state = "live" if each.live(utcnow()) else "dead"
            click.echo(f"{each.id}  {each.prefix}…  {state}  {each.name}")


@keys_group.command("revoke")
@click.argument("key")
@of_partner
def revoke_key(key: str, partner: str) -> None:
    """The key opens nothing any more."""
    from engine.store import audit, keys

    with transaction() as c:
        keys.revoke(c, partner, key)
        audit.append(c, partner, actor=ACTOR, action="key.revoked", target=key)


@keys_group.command("sign-in")
@click.argument("key")
@of_partner
def sign_in(key: str, partner: str) -> None:
    """Print a link that signs a person in to the console as this key, once, within 15 minutes.

    It begins with REKNIT_PUBLIC_URL, which must be the server's address.
    """
    from api.console.sessions import sign_in_link
    from engine.settings import load_secrets
    from engine.store import audit, keys

    secrets = load_secrets(settings())
    with transaction() as c:
        found = keys.get(c, partner, key)
        audit.append(c, partner, actor=ACTOR, action="console.link_made", target=key)
    click.echo(sign_in_link(found, settings=settings(), secrets=secrets))


@click.group("companies")
def companies_group() -> None:
    """Customers' migrations."""


@companies_group.command("list")
@of_partner
def list_companies(partner: str) -> None:
    """The partner's companies, newest first."""
    from engine.store import companies

    with transaction() as c:
        for each in companies.page(c, partner, limit=200):
            sheets = ", ".join(sheet.name for sheet in each.sheets)
            click.echo(f"{each.id}  {each.external_id or '-'}  {each.name}  [{sheets}]")


@companies_group.command("add")
@click.argument("name")
@click.option("--source", required=True, help="Name of the source its data comes from.")
@click.option("--template", "templates", multiple=True, help="Not needed with a stored plan.")
@click.option("--external-id", default=None)
@of_partner
def add_company(
    name: str, source: str, templates: Sequence[str], external_id: str | None, partner: str
) -> None:
    """Provision a company; an unknown source is made."""
    from engine.store import companies, plans, sources

    with transaction() as c:
        known = sources.named(c, partner, source) or sources.add(c, partner, name=source)
        plan = plans.of_source(c, partner, known.id)
        if plan and not templates:
            number = plan.published or plan.latest
            version = plans.version(c, partner, plan.id, number=number).version
            templates = [each.template for each in version.templates]
        if not templates:
            raise click.UsageError(f"source {source!r} has no plan yet: name its --template")
        made = companies.add(
            c, partner, name=name, source=known.id, templates=templates, external_id=external_id
        )
    click.echo(made.id)


@companies_group.command("erase")
@click.argument("company")
@click.confirmation_option(prompt="All its rows and files go for good. Go on?")
@of_partner
def erase_company(company: str, partner: str) -> None:
    """Delete a company with everything it ever sent."""
    from engine.files import company_prefix, open_files
    from engine.store import audit, companies

    with transaction() as c:
        coming = companies.erase(c, partner, company)
        audit.append(c, partner, actor=ACTOR, action=audit.ERASED, target=company)
    store = open_files(settings())
    for upload in coming:
        store.abandon(upload)
    files = store.delete_prefix(company_prefix(partner, company))
    click.echo(f"{company} and {files} files are gone")


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    for group in (partners_group, keys_group, companies_group):
        root.add_command(group)
