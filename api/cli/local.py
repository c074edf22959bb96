"""Runs without a server: `run`, `check`, `decide`. Everything of a run lies in one folder."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from api.cli.documents import FILE, json_option, read_version
from api.cli.exits import NEEDS_ATTENTION, RUN_FAILED

if TYPE_CHECKING:
    from engine.policy import Policy
    from engine.tables import Tables
    from plans.plan import Read

F = TypeVar("F", bound=Callable[..., Any])

PLAN = click.option("--plan", "plan", required=True, help="A plan file, or a shipped plan's name.")
TEMPLATES = click.option(
    "--template", "templates", multiple=True, help="A template file or shipped name."
)
MAPS = click.option(
    "--map", "maps", multiple=True, metavar="FIELD=COLUMN", help="By header or 0-based number."
)
READS = click.option(
    "--read", "reads", multiple=True, metavar="OPTION=VALUE", help="Such as delimiter=; or sheet=2."
)
QUIET = click.option("--quiet", is_flag=True, help="No progress bars.")


def policied(command: F) -> F:
    """The command gets what `policy` reads."""
    options = (
        click.option(
            "--policy",
            type=click.Choice(["pause", "take_valid", "fail"]),
            default="pause",
            show_default=True,
        ),
        click.option(
            "--max-invalid-rows",
            type=click.IntRange(0),
            help="So many invalid rows need no decision.",
        ),
        click.option(
            "--max-invalid-percent",
            type=click.FloatRange(0, 100),
            help="Such a share needs no decision.",
        ),
        click.option(
            "--auto-approve",
            type=click.FloatRange(0.5, 1),
            help="Approve repairs at least this sure.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command("run")
@click.argument("files", nargs=-1, required=True, type=FILE)
@PLAN
@TEMPLATES
@MAPS
@READS
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="reknit-run",
    show_default=True,
)
@policied
@click.option("--safe", is_flag=True, help="CSV safe to open in a spreadsheet.")
@QUIET
@json_option
def run(files: tuple[Path, ...], out: Path, as_json: bool, quiet: bool, **said: Any) -> None:
    """Import FILES by a plan into the folder --out; nothing is asked from a server."""
    from api.cli import folder, show

    version = read_version(said["plan"], said["templates"])
    with show.progress(quiet or as_json) as progress:
        done = folder.start(
            version,
            files,
            out,
            policy=policy(said),
            mapping=mapping(said["maps"]),
            read=reading_options(said["reads"]),
            safe=said["safe"],
            progress=progress,
        )
    _end(done, out, as_json)


@click.command("decide")
@click.argument("out", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--accept", is_flag=True, help="Take the proposal and every recommended answer.")
@click.option("--answer", "answers", multiple=True, metavar="QUESTION=OPTION")
@click.option("--without", multiple=True, metavar="REPAIR", help="Leave this repair out.")
@click.option("--reject", is_flag=True, help="Refuse the proposal: the run fails.")
@click.option("--take-valid", is_flag=True, help="Refuse the proposal, keep the valid rows.")
@click.option("--reason", default="", help="Why; kept with the new plan version.")
@QUIET
@json_option
def decide(out: Path, as_json: bool, quiet: bool, **said: Any) -> None:
    """Decide on the proposal of the run in the folder OUT, and run again."""
    from api.cli import folder, show

    verdict = _verdict(said)
    with show.progress(quiet or as_json) as progress:
        done = folder.decide(
            out,
            verdict=verdict,
            answers=pairs(said["answers"]),
            without=said["without"],
            reason=said["reason"],
            progress=progress,
        )
    _end(done, out, as_json)


@click.command("check")
@click.argument("files", nargs=-1, required=True, type=FILE)
@PLAN
@TEMPLATES
@MAPS
@READS
@QUIET
@json_option
def check(files: tuple[Path, ...], as_json: bool, quiet: bool, **said: Any) -> None:
    """How FILES are read, bound and what drifted from the plan; writes nothing."""
    from api.cli import folder, show

    version = read_version(said["plan"], said["templates"])
    with show.progress(quiet or as_json) as progress:
        tables, inputs = folder.look(
            version,
            files,
            mapping=mapping(said["maps"]),
            read=reading_options(said["reads"]),
            progress=progress,
        )
    show.check(tables, inputs, as_json=as_json)


@contextmanager
def reading(files: tuple[Path, ...]) -> Iterator["Tables"]:
    """The tables of the files without any plan, in a folder that goes away."""
    from api.cli import folder
    from engine.tables import read
    from plans.plan import Read

    with TemporaryDirectory(prefix="reknit-") as scratch:
        box = folder.box(Path(scratch), files)
        yield read(folder.inputs(files), plan=None, given=Read(), box=box)


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    for command in (run, decide, check):
        root.add_command(command)


def _end(done: Any, out: Path, as_json: bool) -> None:
    from api.cli import show

    show.run(done, out, as_json=as_json)
    code = {"needs_attention": NEEDS_ATTENTION, "failed": RUN_FAILED}.get(done.status, 0)
    raise SystemExit(code)


def policy(said: dict[str, Any]) -> "Policy":
    """The policy of `policied`."""
    from engine.policy import Policy

    return Policy(
        when_invalid=said["policy"],
        max_invalid_rows=said["max_invalid_rows"],
        max_invalid_percent=said["max_invalid_percent"],
        auto_approve=said["auto_approve"],
    )


def mapping(said: Sequence[str]) -> dict[str, str | int]:
    """What --map says: a number is a 0-based column, everything else a header."""
    return {
        field: int(column) if column.isdigit() else column for field, column in pairs(said).items()
    }


def reading_options(said: Sequence[str]) -> "Read":
    """What --read says."""
    from pydantic import ValidationError

    from plans.plan import Read

    try:
        return Read.model_validate_strings(pairs(said))
    except ValidationError as error:
        first = error.errors()[0]
        name, message = ".".join(map(str, first["loc"])), first["msg"]
        if first["type"] == "extra_forbidden":
            options = ", ".join(Read.model_fields)
            message = f"there is no such option; it can be {options}"
        raise click.UsageError(f"--read {name}: {message}") from None


def pairs(said: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE as said on the command line."""
    found = [each.partition("=") for each in said]
    for name, equals, _ in found:
        if not equals:
            raise click.UsageError(f"{name!r} should look like NAME=VALUE")
    return {name: value for name, _, value in found}


def _verdict(said: dict[str, Any]) -> str:
    asked = {
        "accept": said["accept"] and not said["answers"],
        "answer": bool(said["answers"]),
        "reject": said["reject"],
        "take_valid": said["take_valid"],
    }
    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) != 1:
        raise click.UsageError("give one of --accept, --answer, --reject, --take-valid")
    return chosen[0]
