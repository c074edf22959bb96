"""`reknit runs`: look at imports, decide, cancel."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.evidence import evidence
from api.cli.local import pairs
from api.cli.state import ACTOR, of_partner, opened, settings, transaction

if TYPE_CHECKING:
    import sqlalchemy

    from engine.model import Run
    from engine.proposal import Proposal

STATUSES = ("queued", "running", "needs_attention", "completed", "failed", "canceled")


@click.group("runs")
def runs_group() -> None:
    """Imports: look, decide, cancel."""


@runs_group.command("list")
@click.option("--status", multiple=True, type=click.Choice(STATUSES))
@click.option("--company", default=None)
@click.option("--plan", default=None)
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="As JSON lines.")
@of_partner
def list_runs(
    status: Sequence[str],
    company: str | None,
    plan: str | None,
    limit: int,
    as_json: bool,
    partner: str,
) -> None:
    """Runs, newest first."""
    from engine.model import RunStatus
    from engine.store import runs

    wanted = [RunStatus(each) for each in status]
    with transaction() as c:
        found = runs.page(c, partner, limit=limit, company=company, status=wanted, plan=plan)
    for each in found:
        click.echo(json.dumps(_run(each)) if as_json else line(each))


@runs_group.command("show")
@click.argument("run")
@of_partner
def show_run(run: str, partner: str) -> None:
    """A run with its events, proposal and files, as JSON."""
    from pydantic import TypeAdapter

    from engine import replays
    from engine.model import Artifact, Event, RunKind
    from engine.proposal import Proposal
    from engine.store import events, proposals, runs

    with transaction() as c:
        there = runs.get(c, partner, run)
        stands = replays.standing(c, there) if there.kind is RunKind.IMPORT else None
        history = events.of_run(c, partner, run, limit=1_000)
        shown = proposals.open_of(c, partner, run)
        files = runs.artifacts_of(c, partner, run)
    proposal = TypeAdapter(Proposal).dump_python(shown.proposal, mode="json") if shown else None
    told = {
        **_run(there),
        "replayed": asdict(stands) if stands and stands.runs else None,
        "proposal": proposal,
        "files": TypeAdapter(list[Artifact]).dump_python(files, mode="json"),
        "events": TypeAdapter(list[Event]).dump_python(history, mode="json"),
    }
    click.echo(json.dumps(told, indent=2, ensure_ascii=False))


@runs_group.command("review")
@click.argument("run")
@of_partner
def review_run(run: str, partner: str) -> None:
    """What RUN asks and proposes, and how to decide."""
    from api.cli import show
    from engine.store import runs

    with transaction() as c:
        runs.get(c, partner, run)
        found = _open(c, partner, run)
    approve = f"reknit runs approve {run}"
    refuse = f"reknit runs reject {run} [--take-valid]"
    show.review(found, accept=approve, answer=approve, refuse=refuse)


@runs_group.command("approve")
@click.argument("run")
@click.option("--answer", "answers", multiple=True, metavar="QUESTION=OPTION")
@click.option("--without", multiple=True, metavar="REPAIR", help="A repair that is not taken.")
@click.option("--for", "width", type=click.Choice(["company", "source"]), default="company")
@click.option("--reason", default="")
@of_partner
def approve_run(
    run: str, answers: Sequence[str], without: Sequence[str], width: str, reason: str, partner: str
) -> None:
    """Accept the proposed revision, with answers to its questions."""
    verdict = "answer" if answers else "accept"
    _decide(run, partner, verdict=verdict, answers=pairs(answers), without=without, reason=reason,
            width=width)  # fmt: skip


@runs_group.command("reject")
@click.argument("run")
@click.option("--take-valid", is_flag=True, help="Keep the rows that are valid.")
@click.option("--reason", default="")
@of_partner
def reject_run(run: str, take_valid: bool, reason: str, partner: str) -> None:
    """Turn the proposed revision down."""
    _decide(run, partner, verdict="take_valid" if take_valid else "reject", reason=reason)


@runs_group.command("files")
@click.argument("run")
@click.argument("names", nargs=-1)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=".", show_default=True
)
@of_partner
def take_files(run: str, names: Sequence[str], out: Path, partner: str) -> None:
    """Write the result files of RUN into --out: the ones of these NAMES, or all."""
    from engine.errors import NotFound
    from engine.files import open_files
    from engine.store import runs

    with transaction() as c:
        runs.get(c, partner, run)
        there = [
            each
            for each in runs.artifacts_of(c, partner, run)
            if not each.name.startswith("staging/")
        ]
    if missing := sorted({*names} - {each.name for each in there}):
        raise NotFound(f"run {run} has no file {missing[0]!r}")
    store = open_files(settings())
    for each in (each for each in there if not names or each.name in names):
        path = out / each.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(store.get(each.key))
        click.echo(f"{path}  {each.size:,} bytes")


@runs_group.command("cancel")
@click.argument("run")
@of_partner
def cancel_run(run: str, partner: str) -> None:
    """Stop a run."""
    from engine.store import audit

    with opened() as work:
        there = work.cancel(partner, run, actor=ACTOR)
        with work.engine.begin() as c:
            audit.append(c, partner, actor=ACTOR, action="run.canceled", target=run)
    click.echo(line(there))


def _decide(run: str, partner: str, *, width: str = "company", **given: Any) -> None:
    from engine.model import Width
    from engine.proposal import Decision, Verdict
    from engine.store import audit

    with opened() as work:
        with work.engine.begin() as c:
            shown = _open(c, partner, run)
        decision = Decision(
            etag=shown.etag,
            verdict=Verdict(given["verdict"]),
            answers=given.get("answers", {}),
            without=tuple(given.get("without", ())),
            actor=ACTOR,
            reason=given["reason"],
        )
        there = work.decide(partner, run, decision, width=Width(width))
        with work.engine.begin() as c:
            audit.append(c, partner, actor=ACTOR, action="run.decided", target=run)
    click.echo(line(there))


def _open(c: "sqlalchemy.Connection", partner: str, run: str) -> "Proposal":
    from engine.errors import Conflict
    from engine.store import proposals

    shown = proposals.open_of(c, partner, run)
    if shown is None:
        raise Conflict(f"run {run} waits for no decision")
    return shown.proposal


def line(run: "Run") -> str:
    """A run in one line."""
    counts = f"{run.counts.valid}/{run.counts.read} valid"
    why = f"  {run.error_code}: {run.error_message}" if run.error_code else ""
    told = run.progress.message or run.progress.phase
    kind = f"  {run.kind} of {run.origin}" if run.origin else ""
    return f"{run.id}  {run.status:<15}  {counts}  {run.created_at:%F %T}{kind}  {told}{why}"


def _run(run: "Run") -> dict[str, Any]:
    from pydantic import TypeAdapter

    from engine.model import Run

    told: dict[str, Any] = TypeAdapter(Run).dump_python(run, mode="json")
    return told


def register(root: click.Group) -> None:
    """Add the commands of this module."""
    runs_group.add_command(evidence)
    root.add_command(runs_group)
