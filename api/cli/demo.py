"""`reknit demo`: one clean import, then a drifted file healed, asked about, approved and run again."""

import shutil
from pathlib import Path

import click

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@click.command("demo")
@click.option("--case", default="crm_contacts", show_default=True, help="A folder of fixtures/.")
@click.option("--out", type=click.Path(path_type=Path), default="reknit-demo", show_default=True)
def demo(case: str, out: Path) -> None:
    """Import a CRM export, then the same export after it drifted. Needs a checkout."""
    from api.cli import folder, show
    from api.cli.documents import read_version
    from engine.pipeline import Status
    from engine.policy import Policy
    from plans.plan import Read

    files = FIXTURES / case
    if not files.is_dir():
        raise click.UsageError(f"there is no case {case!r}: the demo runs in a checkout of Reknit")
    shutil.rmtree(out, ignore_errors=True)
    version = read_version(str(files / "plan.yaml"), ())

    def imported(name: str, title: str) -> folder.FolderRun:
        click.secho(f"\n── {title}", bold=True)
        (path,) = files.glob(f"{name}.*")
        with show.progress(False) as progress:
            made = folder.start(
                version,
                [path],
                out / name,
                policy=Policy(),
                mapping={},
                read=Read(),
                safe=False,
                progress=progress,
            )
        show.run(made, out / name, as_json=False)
        return made

    imported("day1", "Day 1: the export the plan was written for")
    made = imported("drifted", "Months later: the same export, but the CRM changed it")
    if made.status is not Status.NEEDS_ATTENTION:
        return
    click.secho("\n── A person accepts the proposed revision", bold=True)
    made = folder.decide(
        out / "drifted", verdict="accept", answers={}, without=(), reason="demo", progress=None
    )
    show.run(made, out / "drifted", as_json=False)
    for path in sorted((out / "drifted" / "results").rglob("valid.csv")):
        click.echo(f"valid rows: {path}")


def register(root: click.Group) -> None:
    """Add the command."""
    root.add_command(demo)
