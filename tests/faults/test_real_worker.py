"""`reknit worker` over the real pipeline, killed with -9 wherever a run can be."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import sqlalchemy as sa

from api.cli.documents import read_version
from engine.files import open_files
from engine.ids import utcnow
from engine.model import Run, RunStatus
from engine.pipeline import revise
from engine.proposal import Decision, Verdict
from engine.settings import Settings
from engine.store import (
    companies,
    events,
    partners,
    plans,
    proposals,
    runs,
    sources,
    uploads,
)
from engine.store.database import open_database
from engine.work import Work, prepare

CASE = Path(__file__).parents[2] / "fixtures" / "crm_contacts"
#: Where a run is → where its worker dies. A third death of one run would count as its file's fault.
PHASES = {
    "claimed": "claim:after-commit:kill",
    "reading": "progress:after-commit:kill",
    "checking rows": "progress:after-commit:kill:2",
    "storing": "turn:file-stored:kill:2",
    "bringing in": "land:after-commit:kill",
    "telling": "turn:after-advance:kill",
    "ending": "settle-completed:before-commit:kill",
    "ended": "settle-completed:after-commit:kill",
}
PATIENCE = 300


def test_a_run_killed_in_every_phase_completes_once_with_the_same_bytes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, dead_seconds=1.0, heartbeat_seconds=0.25)
    engine = open_database(settings.database)
    prepare(engine)
    work = Work(engine, settings, revise=revise)
    done: dict[str, Run] = {}
    for phase, place in PHASES.items():
        worker = begin(settings, place)
        started = submit(work, "day1.csv")
        killed = worker.wait(timeout=PATIENCE)
        worker = begin(settings, "")
        done[phase] = work.wait(started.partner, started.id, seconds=PATIENCE)
        stop(worker)
        told(work, phase, killed, done[phase])
    assert len({valid(work, run) for run in done.values()}) == 1
    worker = begin(settings, "")
    assert approved(work, submit(work, "drifted.csv")).status is RunStatus.COMPLETED
    stop(worker)
    assert list((tmp_path / "scratch").glob("*/*")) == []
    work.close()
    engine.dispose()


def told(work: Work, phase: str, killed: int, run: Run) -> None:
    """Print and check how a run ended that was killed in this phase."""
    with work.engine.begin() as c:
        kinds = [each.type for each in events.of_run(c, run.partner, run.id)]
    once = kinds.count("run.completed") == 1 and kinds[-1] == "run.completed"
    print(f"phase={phase!r} killed={killed} completed_once={'yes' if once else 'no'}")  # noqa: T201
    assert (killed, once, run.status) == (-9, True, RunStatus.COMPLETED), kinds


def stop(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    # One that has only just started knows no better than to die of the signal.
    assert worker.wait(timeout=PATIENCE) in (0, -15)


def begin(settings: Settings, failpoint: str) -> subprocess.Popen[bytes]:
    """`reknit worker` as whoever runs a deployment starts it."""
    given = {
        "REKNIT_DATA_DIR": str(settings.data_dir),
        "REKNIT_DEAD_SECONDS": str(settings.dead_seconds),
        "REKNIT_HEARTBEAT_SECONDS": str(settings.heartbeat_seconds),
        "FAILPOINT": failpoint,
    }
    with (settings.data_dir / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", "from api.cli import main; main()", "worker"],
            cwd=CASE.parents[1], env=os.environ | given, stdout=log, stderr=log,
        )  # fmt: skip


def submit(work: Work, file: str) -> Run:
    """A run of a new company over one of the case's files."""
    with work.engine.begin() as c:
        partner = (partners.listed(c) or [partners.add(c, "Acme")])[0].id
        company = provision(c, partner)
        path = CASE / file
        stored = open_files(work.settings).put_content(partner, company, [path.read_bytes()])
        up = uploads.add(
            c, partner, company=company, name=file, content_type="text/csv", size=stored.size,
            valid_until=utcnow() + timedelta(hours=1),
        )  # fmt: skip
        uploads.stored(c, partner, up.id, digest=stored.digest, size=stored.size)
        return work.submit(c, partner, company=company, used=[up.id], actor="a test")


def provision(c: sa.Connection, partner: str) -> str:
    source = sources.named(c, partner, "crm")
    if source is None:
        source = sources.add(c, partner, name="crm")
        version = read_version(str(CASE / "plan.yaml"), ())
        made = plans.add(c, partner, source=source.id, version=version)
        plans.publish(c, partner, made.id, 1, actor="a test")
    return companies.add(c, partner, name="One", source=source.id, templates=["contacts"]).id


def valid(work: Work, run: Run) -> tuple[tuple[str, str], ...]:
    """The digests of the run's rows, valid and invalid."""
    with work.engine.begin() as c:
        made = runs.artifacts_of(c, run.partner, run.id)
    assert made
    return tuple((each.name, each.digest) for each in made if each.name.endswith(".csv"))


def approved(work: Work, run: Run) -> Run:
    """The run after every proposal was accepted with the first option of each question."""
    deadline = monotonic() + 90
    while monotonic() < deadline:
        there = work.wait(run.partner, run.id, seconds=60)
        if there.ended:
            return there
        with work.engine.begin() as c:
            shown = proposals.open_of(c, run.partner, run.id)
        assert shown is not None
        answers = {each.id: each.options[0].id for each in shown.proposal.questions}
        decision = Decision(
            etag=shown.proposal.etag, verdict=Verdict.ANSWER, answers=answers, actor="a person"
        )
        work.decide(run.partner, run.id, decision)
        sleep(0.1)
    return work.wait(run.partner, run.id, seconds=0)
