"""`reknit runs start|undo|replay`: imports into a company's sheets; a server or worker does the work."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.documents import FILE
from api.cli.exits import NEEDS_ATTENTION, RUN_FAILED
from api.cli.local import MAPS, READS, mapping, pairs, policied, policy, reading_options
from api.cli.runs import line, runs_group
from api.cli.state import ACTOR, of_partner, opened

if TYPE_CHECKING:
    import sqlalchemy

    from engine.model import Run
    from engine.work import Work

PLAN = click.option("--plan", help="The id of a plan; without it the company's published one.")
VERSION = click.option("--version", "number", type=click.IntRange(1), help="Of --plan.")
METADATA = click.option(
    "--metadata", multiple=True, metavar="NAME=VALUE", help="Kept with the run."
)
WAIT = click.option("--wait", type=float, default=0, help="So many seconds for the run to end.")


@click.command("start")
@click.argument("company")
@click.argument("files", nargs=-1, required=True, type=FILE)
@MAPS
@READS
@PLAN
@VERSION
@policied
@click.option(
    "--mode",
    type=click.Choice(["upsert", "create_only", "update_only"]),
    default="upsert",
    show_default=True,
    help="Which rows the sheets take.",
)
@click.option("--keep-existing", is_flag=True, help="Stored values that are not empty stay.")
@click.option("--exclude", multiple=True, metavar="FIELD=VALUE", help="Skip rows with this value.")
@click.option("--tag", "tags", multiple=True, help="On every row that is written.")
@click.option("--dry-run", is_flag=True, help="Try the files; store no row.")
@click.option("--queue", is_flag=True, help="Begin when the company's import under way has ended.")
@METADATA
@WAIT
@of_partner
def start_run(company: str, files: Sequence[Path], partner: str, **said: Any) -> None:
    """Import FILES into the sheets of COMPANY (its id), by its published plan."""
    options = {
        "mapping": mapping(said["maps"]),
        "read": reading_options(said["reads"]).model_dump(mode="json", exclude_defaults=True),
        "mode": said["mode"],
        "keep_existing": said["keep_existing"],
        "exclude": _exclusions(said["exclude"]),
        "tags": list(said["tags"]),
        **({"plan_id": said["plan"]} if said["plan"] else {}),
    }
    with opened() as work:
        with work.engine.begin() as c:
            used = [_stored(work, c, partner, company, each) for each in files]
            run = work.submit(
                c, partner, company=company, used=used, options=options, policy=policy(said),
                dry_run=said["dry_run"], metadata=pairs(said["metadata"]), queue=said["queue"],
                actor=ACTOR, **_version(c, partner, company, said),
            )  # fmt: skip
            _check_fields(c, run)
            _audit(c, run, "run.started")
        _told(work, run, said["wait"])


@click.command("undo")
@click.argument("run")
@WAIT
@of_partner
def undo_run(run: str, wait: float, partner: str) -> None:
    """Take back what RUN wrote; rows a later run edited stay and are listed in the report."""
    with opened() as work:
        with work.engine.begin() as c:
            made = work.undo(c, partner, run, actor=ACTOR)
            _audit(c, made, "run.undone")
        _told(work, made, wait)


@click.command("replay")
@click.argument("run")
@click.argument("files", nargs=-1, type=FILE)
@PLAN
@VERSION
@policied
@METADATA
@WAIT
@of_partner
def replay_run(run: str, files: Sequence[Path], wait: float, partner: str, **said: Any) -> None:
    """Try the rejected rows of RUN again: by the published plan, or corrected as in FILES.

    FILES are its rejected-rows files, CSV or XLSX, as they came back.
    """
    from engine import replays
    from engine.model import RunKind

    with opened() as work:
        with work.engine.begin() as c:
            first = replays.first_of(c, partner, run)
            options = replays.as_before(c, first)
            used = [_stored(work, c, partner, first.company, each) for each in files]
            made = work.submit(
                c, partner, company=first.company, used=used, options=options,
                policy=policy(said), metadata=pairs(said["metadata"]), actor=ACTOR,
                kind=RunKind.REPLAY, origin=first.id,
                **_version(c, partner, first.company, said),
            )  # fmt: skip
            _audit(c, made, "run.replayed")
        _told(work, made, wait)


def _stored(
    work: "Work", c: "sqlalchemy.Connection", partner: str, company: str, path: Path
) -> str:
    """The upload that the file becomes."""
    from engine.files import open_files, read_chunks
    from engine.ids import utcnow
    from engine.store import uploads

    stored = open_files(work.settings).put_content(partner, company, read_chunks(path))
    made = uploads.add(
        c, partner, company=company, name=path.name, content_type="application/octet-stream",
        size=stored.size, valid_until=utcnow() + timedelta(hours=1),
    )  # fmt: skip
    return uploads.stored(c, partner, made.id, digest=stored.digest, size=stored.size).id


def _exclusions(said: Sequence[str]) -> list[dict[str, Any]]:
    lists: dict[str, list[str]] = {}
    for each in said:
        field, equals, value = each.partition("=")
        if not equals:
            raise click.UsageError(f"--exclude {each!r} should look like FIELD=VALUE")
        lists.setdefault(field, []).append(value)
    return [{"field": field, "values": values} for field, values in lists.items()]


def _version(
    c: "sqlalchemy.Connection", partner: str, company: str, said: dict[str, Any]
) -> dict[str, Any]:
    """The plan and version that --plan and --version name; Conflict for a plan of another source."""
    from engine.errors import Conflict
    from engine.store import companies, plans

    if said["plan"] is None:
        if said["number"] is not None:
            raise click.UsageError("--version needs its --plan")
        return {}
    named, there = plans.get(c, partner, said["plan"]), companies.get(c, partner, company)
    if named.source != there.source or named.company not in (None, company):
        raise Conflict(f"plan {named.id} is not of this company's source")
    return {"plan": named.id, "version": said["number"]}


def _check_fields(c: "sqlalchemy.Connection", run: "Run") -> None:
    """A suppression list of a field that nothing has would let everybody through."""
    from engine.store import plans

    version = plans.version(c, run.partner, run.plan, number=run.plan_version).version
    fields = {field.name for template in version.templates for field in template.fields}
    named = [("--exclude", each["field"]) for each in run.options["exclude"]]
    for option, field in [*named, *(("--map", field) for field in run.options["mapping"])]:
        if field not in fields:
            raise click.UsageError(f"{option}: no template has a field {field!r}")


def _audit(c: "sqlalchemy.Connection", run: "Run", action: str) -> None:
    from engine.store import audit

    audit.append(c, run.partner, actor=ACTOR, action=action, target=run.origin or run.id)


def _told(work: "Work", run: "Run", seconds: float) -> None:
    """The run as it is, or after the wait what it did; the exit code says where it stands."""
    there = work.wait(run.partner, run.id, seconds=seconds) if seconds else run
    click.echo(line(there))
    for sheet, counts in there.rows.items():
        click.echo(f"{sheet}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items() if n))
    code = {"needs_attention": NEEDS_ATTENTION, "failed": RUN_FAILED}.get(there.status, 0)
    if code == NEEDS_ATTENTION:
        click.echo(f"See what it asks by: reknit runs review {there.id}")
    raise SystemExit(code)


def register(root: click.Group) -> None:
    """Add the commands of this module to the group `runs`."""
    for command in (start_run, undo_run, replay_run):
        runs_group.add_command(command)
