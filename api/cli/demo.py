"""`reknit demo`: one clean import, then a drifted file healed, asked about, approved and run again."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from api.cli.folder import FolderRun

HERE = Path(__file__).resolve()
#: All of them in a checkout, the default one in a wheel.
FIXTURES = (HERE.parents[2] / "fixtures", HERE.parent / "fixtures")

#: What a person who knows the customer would say about the default case.
MEANINGS = {"Product Qualified Lead": "qualified", "Churned": "former"}


@click.command("demo")
@click.option("--case", default="crm_contacts", show_default=True, help="A folder of fixtures/.")
@click.option("--out", type=click.Path(path_type=Path), default="reknit-demo", show_default=True)
def demo(case: str, out: Path) -> None:
    """Import a CRM export, then the same export after it drifted."""
    from api.cli import folder, show
    from api.cli.documents import read_version
    from engine.pipeline import Status
    from engine.policy import Policy
    from plans.plan import Read

    files = next((each / case for each in FIXTURES if (each / case).is_dir()), None)
    if files is None:
        raise click.UsageError(f"there is no case {case!r}; a checkout of Reknit has sixteen")
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
    click.secho("\n── A person answers, accepts the revision, and the run goes on", bold=True)
    made = folder.decide(
        out / "drifted",
        verdict="accept",
        answers=_answers(made),
        without=(),
        reason="demo",
        progress=None,
    )
    show.run(made, out / "drifted", as_json=False)
    for path in sorted((out / "drifted" / "results").rglob("valid.csv")):
        click.echo(f"valid rows: {path}")


def _answers(made: "FolderRun") -> dict[str, str]:
    """An answer for every question about a value whose meaning is known."""
    answers = {}
    for question in made.attempt.proposal.questions if made.attempt.proposal else ():
        for value in question.target.samples[:1]:
            if value in MEANINGS:
                answers[question.id] = MEANINGS[value]
                click.echo(f"{question.prompt} → {MEANINGS[value]}")
    return answers


def register(root: click.Group) -> None:
    """Add the command."""
    root.add_command(demo)
