"""`reknit companies export`, `reknit exports`: a company's stored rows as files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import click

from api.cli.accounts import companies_group
from api.cli.state import ACTOR, of_partner, opened, settings, transaction

if TYPE_CHECKING:
    from pydantic import BaseModel

    from engine.exporting import Export
    from engine.model import Company
    from engine.store.errands import Errand
    from engine.work import Work

F = TypeVar("F", bound=Callable[..., Any])
D = TypeVar("D", bound="BaseModel")


class _Json(click.ParamType[Any]):
    """A JSON text."""

    name = "json"

    def convert(self, value: str, param: Any, ctx: Any) -> Any:
        """What the text says."""
        try:
            return json.loads(value)
        except ValueError as error:
            self.fail(f"no JSON: {error}", param, ctx)


def selection(command: F) -> F:
    """The options that say which rows and columns of one sheet, and as of when."""
    return _with(
        command,
        click.option(
            "--where", "filter", type=_Json(),
            help='A filter: {"field": "age", "op": ">=", "value": 18}; or `all`, `any` of them.',
        ),
        click.option("--tag", "tags", multiple=True, help="Only rows with this tag; repeat for any."),
        click.option("--run", default=None, help="Only rows whose present values this run wrote."),
        click.option("--id", "ids", type=int, multiple=True, help="Only this row; repeat."),
        click.option("--column", "columns", multiple=True, help="Only this column; repeat."),
        click.option("--as-of", default=None, help="As they were just after a run, or at a time."),
    )  # fmt: skip


def _with(command: F, *options: Callable[[F], F]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def _shape(command: F) -> F:
    """The options that say which rows, and as what."""
    return _with(
        command,
        click.option("--sheet", default=None, help="Without it: the whole workbook, as a ZIP."),
        click.option(
            "--format", type=click.Choice(["csv", "parquet", "json", "ndjson"]), default="csv",
            show_default=True,
        ),
        selection,
        click.option("--lineage", is_flag=True, help="Also where each row comes from."),
        click.option("--safe", is_flag=True, help="No text can run as a formula."),
        click.option("--gzip", is_flag=True, help="Packed."),
    )  # fmt: skip


@companies_group.command("export")
@click.argument("company")
@_shape
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@of_partner
def export_company(company: str, out: Path, partner: str, **said: Any) -> None:
    """Write the stored rows of COMPANY (its id) to a file, now."""
    from engine import exporting
    from engine.store import companies

    with transaction() as c:
        owner = companies.get(c, partner, company)
    wanted = _wanted(owner, said)
    found = exporting.snapshots(settings(), owner, wanted)
    folder = exporting.downloads(settings()) / uuid4().hex
    folder.mkdir(parents=True)
    try:
        rows = exporting.written(found, wanted, to=folder / "export", settings=settings())
        shutil.move(folder / "export", out)
    finally:
        shutil.rmtree(folder)
    click.echo(f"{rows} rows in {out}")


@click.group("exports")
def exports_group() -> None:
    """Exports that a worker prepares."""


@exports_group.command("create")
@click.argument("company")
@_shape
@click.option("--wait", type=float, default=0, help="So many seconds for the file.")
@of_partner
def create_export(company: str, wait: float, partner: str, **said: Any) -> None:
    """Have the stored rows of COMPANY prepared; prints the export's id and state."""
    from engine import exporting
    from engine.store import audit, companies, errands

    with opened() as work:
        with work.engine.begin() as c:
            owner = companies.get(c, partner, company)
            wanted = _wanted(owner, said)
            exporting.snapshots(work.settings, owner, wanted)
            made = errands.add(
                c, partner, company=owner.id, kind=errands.Kind.EXPORT, title=owner.name,
                request=wanted.model_dump(mode="json"), actor=ACTOR,
            )  # fmt: skip
            work.send(c, made)
            audit.append(c, partner, actor=ACTOR, action="export.created", target=made.id)
        click.echo(line(ended(work, made, seconds=wait)))


@exports_group.command("show")
@click.argument("export")
@of_partner
def show_export(export: str, partner: str) -> None:
    """How far EXPORT is."""
    from engine.store import errands

    with transaction() as c:
        click.echo(line(errands.get(c, partner, export, kind=errands.Kind.EXPORT)))


@exports_group.command("download")
@click.argument("export")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True)
@of_partner
def download_export(export: str, out: Path, partner: str) -> None:
    """Fetch the file of EXPORT."""
    from engine.errors import Expired, NotFound
    from engine.files import open_files
    from engine.store import audit, errands

    with transaction() as c:
        there = errands.get(c, partner, export, kind=errands.Kind.EXPORT)
        audit.append(c, partner, actor=ACTOR, action="export.downloaded", target=export)
    if there.file is None:
        gone = there.expires_at is not None
        raise (Expired if gone else NotFound)(f"export {export} ({there.status}) has no file")
    with out.open("wb") as file:
        for chunk in open_files(settings()).get(there.file.key):
            file.write(chunk)
    click.echo(f"{there.file.records} rows in {out}")


def _wanted(company: "Company", said: dict[str, Any]) -> "Export":
    from engine.exporting import Export, sheet_named

    sheet = said["sheet"] and sheet_named(company, said["sheet"])
    return checked(Export, {**said, "sheet": sheet})


def checked(document: type[D], said: dict[str, Any]) -> D:
    """The request as its document; wrong usage when an option does not fit."""
    from pydantic import ValidationError

    try:
        return document.model_validate(said)
    except ValidationError as error:
        told = error.errors(include_input=False)[0]
        place = ".".join(map(str, told["loc"])).replace("filter", "where", 1)
        raise click.BadParameter(f"{place}: {told['msg']}") from None


def ended(work: "Work", errand: "Errand", *, seconds: float) -> "Errand":
    """The export or delivery once it is over, or the seconds are."""
    from engine.store import errands

    deadline = monotonic() + seconds
    while errand.open and monotonic() < deadline:
        sleep(0.2)
        with work.engine.begin() as c:
            errand = errands.get(c, errand.partner, errand.id)
    return errand


def line(errand: "Errand") -> str:
    """An export or delivery in one line: id, state, rows, and why it failed."""
    done, total = errand.progress.get("done") or 0, errand.progress.get("total")
    rows = f"{done}/{total}" if total is not None else "-"
    refused = errand.progress.get("refused")
    told = [errand.id, str(errand.status), f"{rows} rows"]
    told += [f"{refused} refused"] if refused else []
    told += [f"{errand.error_code}: {errand.error_message}"] if errand.error_code else []
    return "  ".join(told)


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    root.add_command(exports_group)
