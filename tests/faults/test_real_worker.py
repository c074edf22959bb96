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
from engine.store import companies, partners, plans, proposals, runs, sources, uploads
from engine.store.database import open_database
from engine.work import Work, prepare

CASE = Path(__file__).parents[2] / "fixtures" / "crm_contacts"
#: Each falls into another part of a run's way.
PLACES = (
    "claim:after-commit:kill", "progress:after-commit:kill:2", "progress:after-commit:kill:4",
    "turn:file-stored:kill:2", "turn:after-advance:kill", "settle-completed:before-commit:kill",
)  # fmt: skip


def test_a_run_killed_in_every_phase_completes_once_with_the_same_bytes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, dead_seconds=1.0, heartbeat_seconds=0.25)
    engine = open_database(settings.database)
    prepare(engine)
    work = Work(engine, settings, revise=revise)
    done = []
    for places in zip(PLACES[::2], PLACES[1::2], strict=True):
        started = []
        for place in places:
            worker = begin(settings, place)
            started.append(submit(work, "day1.csv"))
            assert worker.wait(timeout=100) == -9, place
        # A third death would count as the file's fault.
        worker = begin(settings, "")
        done += [work.wait(run.partner, run.id, seconds=100) for run in started]
        if places[1] != PLACES[-1]:
            worker.terminate()
            assert worker.wait(timeout=100) == 0
    assert {run.status for run in done} == {RunStatus.COMPLETED}
    assert len({valid(work, run) for run in done}) == 1
    drifted = submit(work, "drifted.csv")
    assert approved(work, drifted).status is RunStatus.COMPLETED
    worker.terminate()
    assert worker.wait(timeout=60) == 0
    assert list((tmp_path / "scratch").glob("*/*")) == []
    work.close()
    engine.dispose()


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
            [Path(sys.executable).with_name("reknit"), "worker"],
            env=os.environ | given, stdout=log, stderr=log,
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
