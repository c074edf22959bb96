"""Storms of requests, frozen workers, a database that is away, children that go wrong."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from signal import SIGCONT, SIGSTOP
from threading import Event
from time import monotonic, sleep

import pytest
import sqlalchemy as sa
from chaos import DEAD, Storm, storm

from engine.errors import ActiveRun, Conflict
from engine.model import FailureCode, Run, RunStatus
from engine.proposal import Decision, Verdict
from engine.store import companies, events, idempotency, proposals, runs
from engine.store.database import open_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "fleet"
    made.mkdir()
    return made


def submit(under: Storm, company: int = 0, **options: object) -> Run:
    world, home = under.companies[company]
    with under.work.engine.begin() as c:
        run = under.work.submit(c, world.partner.id, company=home, options=options, actor="x")
        under.accepted.append(run.id)
        return run


def ended(under: Storm, run: Run) -> Run:
    return under.work.wait(run.partner, run.id, seconds=60)


def test_a_storm_of_requests_starts_and_decides_each_run_once(
    database_url: str, folder: Path
) -> None:
    with storm(database_url, folder, workers=1) as under:
        started = same_keys(under)
        assert len(set(started)) == len(under.companies)
        busy = start_together(under)
        assert busy == 99
        decide_together(under)
        under.settle(Random(1))
        assert under.violations() == []


def same_keys(under: Storm) -> list[str]:
    """16 senders a key, one key a company: the answers."""

    def post(number: int) -> str:
        at = number % len(under.companies)
        world, company = under.companies[at]
        asked = {"scope": "POST /v1/imports", "key": f"key-{at}"}
        with under.work.engine.begin() as c:
            there = idempotency.begin(c, world.partner.id, **asked, fingerprint="f", days=1)
            if there is not None:
                return there.body.decode()
            run = under.work.submit(
                c, world.partner.id, company=company, actor="x", metadata={"key": asked["key"]}
            )
            idempotency.finish(
                c, world.partner.id, **asked, status=201, headers={}, body=run.id.encode()
            )
        under.accepted.append(run.id)
        return run.id

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(post, range(16 * len(under.companies))))


def start_together(under: Storm) -> int:
    """100 starts at once for one company: how many are told who was first."""
    world, _ = under.companies[0]
    with under.work.engine.begin() as c:
        home = companies.add(
            c, world.partner.id, name="busy", source=world.source.id, templates=[]
        ).id

    def start(number: int) -> str:
        try:
            with under.work.engine.begin() as c:
                options = {"ask": True}
                return under.work.submit(
                    c, world.partner.id, company=home, options=options, actor="x"
                ).id
        except ActiveRun as busy:
            return f"busy {busy.run}"

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(start, range(100)))
    (winner,) = [each for each in answers if each.startswith("run_")]
    under.accepted.append(winner)
    return answers.count(f"busy {winner}")


def decide_together(under: Storm) -> None:
    """32 acceptances and 32 rejections of one proposal: one of them wins."""
    world, _ = under.companies[0]
    run = under.work.wait(world.partner.id, under.accepted[-1], seconds=60)
    with under.work.engine.begin() as c:
        shown = proposals.open_of(c, world.partner.id, run.id)
    assert shown is not None

    def decide(verdict: Verdict) -> int:
        decision = Decision(etag=shown.proposal.etag, verdict=verdict, answers={}, actor=verdict)
        try:
            under.work.decide(world.partner.id, run.id, decision)
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(decide, [Verdict.ACCEPT, Verdict.REJECT] * 32)) == 1


def test_a_frozen_worker_that_wakes_up_writes_nothing(database_url: str, folder: Path) -> None:
    with storm(database_url, folder, workers=1) as under:
        frozen = under.fleet.alive[0]
        started = [submit(under, number, sleep=0.5) for number in range(3)]
        for run in started:
            under.work.wait(run.partner, run.id, seconds=60, until={RunStatus.RUNNING})
        under.fleet.kill(frozen, SIGSTOP)
        under.fleet.worker()
        sleep(2 * DEAD)
        done = [ended(under, run) for run in started]
        under.fleet.kill(frozen, SIGCONT)
        sleep(1)
        assert {run.status for run in done} == {RunStatus.COMPLETED}
        assert all(run.claim == 2 for run in done)
        assert under.violations() == []


def test_a_file_that_kills_its_worker_is_quarantined_and_the_queue_goes_on(
    database_url: str, folder: Path
) -> None:
    with storm(database_url, folder, workers=1) as under:
        poison = submit(under, poison=99)
        others = [submit(under, number) for number in range(1, 4)]
        deadline = monotonic() + 60
        while not ended_now(under, poison) and monotonic() < deadline:
            if not any(map(under.fleet.running, under.fleet.alive)):
                under.fleet.worker()
            sleep(0.05)
        done = ended(under, poison)
        assert (done.status, done.error_code) == (RunStatus.FAILED, FailureCode.QUARANTINED)
        with under.work.engine.begin() as c:
            told = events.of_run(c, done.partner, done.id)
        tries = [each.type for each in told if each.type in ("run.running", "run.recovered")]
        assert len(tries) == 4  # three that died, and the one that gave up
        assert {ended(under, run).status for run in others} == {RunStatus.COMPLETED}
        assert under.violations() == []


def ended_now(under: Storm, run: Run) -> bool:
    with under.work.engine.begin() as c:
        return runs.get(c, run.partner, run.id).ended


@pytest.mark.parametrize(
    ("child", "code"),
    [
        ("dies", FailureCode.QUARANTINED),
        ("exits", FailureCode.QUARANTINED),
        ("hangs", FailureCode.TIMEOUT),
        ("swells", FailureCode.QUARANTINED),
        ("babbles", FailureCode.QUARANTINED),
    ],
)
def test_a_child_that_goes_wrong_fails_its_run_alone(
    migrated_sqlite: Path, folder: Path, child: str, code: str
) -> None:
    with storm(f"sqlite:///{folder}/state.db", folder, workers=1) as under:
        bad, good = submit(under, child=child), submit(under, 1)
        assert ended(under, good).status is RunStatus.COMPLETED
        done = ended(under, bad)
        assert (done.status, done.error_code) == (RunStatus.FAILED, code)
        assert under.violations() == []


def test_canceling_kills_a_child_at_work(folder: Path) -> None:
    with storm(f"sqlite:///{folder}/state.db", folder, workers=1) as under:
        run = submit(under, child="hangs")
        under.work.wait(run.partner, run.id, seconds=60, until={RunStatus.RUNNING})
        sleep(0.5)
        under.work.cancel(run.partner, run.id, actor="x")
        done = ended(under, run)
        assert done.status is RunStatus.CANCELED
        assert under.violations() == []


def test_a_locked_database_only_delays(folder: Path) -> None:
    with storm(f"sqlite:///{folder}/state.db", folder, workers=2) as under:
        started = [submit(under, number, sleep=0.2) for number in range(6)]
        with under.work.engine.connect() as c:
            c.exec_driver_sql("BEGIN IMMEDIATE")
            sleep(3 * DEAD)
            c.rollback()
        assert {ended(under, run).status for run in started} == {RunStatus.COMPLETED}
        assert under.violations() == []


def test_a_server_that_drops_every_connection_only_delays(
    migrated_postgresql: str, postgresql: str, folder: Path
) -> None:
    from databases import create_postgresql

    create_postgresql(postgresql, "dropped", template="migrated")
    over, drop = (
        Event(),
        sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'dropped'"),
    )

    def rage() -> None:
        while not over.wait(0.2):
            with engine.connect() as c:
                c.execute(drop)

    with storm(postgresql.format("dropped"), folder, workers=2) as under:
        engine = open_database(postgresql.format("postgres"))
        started = [submit(under, number, sleep=0.2) for number in range(6)]
        with ThreadPoolExecutor(1) as pool:
            raging = pool.submit(rage)
            sleep(3 * DEAD)
            over.set()
            raging.result()
        engine.dispose()
        under.work.engine.dispose()
        assert {ended(under, run).status for run in started} == {RunStatus.COMPLETED}
        assert under.violations() == []
