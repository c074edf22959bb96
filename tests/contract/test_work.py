from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from databases import BACKENDS, fresh_url
from dbos import DBOS
from records import World, document, settle
from worker import ended, fast, submit, working

from engine import retention
from engine.desk import Desk
from engine.errors import AlreadyDecided, Conflict, ProposalChanged
from engine.files import open_files, run_prefix
from engine.ids import utcnow
from engine.model import Event, FailureCode, Run, RunStatus, Width
from engine.proposal import Decision, Verdict
from engine.store import companies, events, executors, plans, proposals, runs, uploads
from engine.store.database import open_database
from engine.work import QUEUE, Work, turn_id


@pytest.fixture(scope="module", params=BACKENDS)
def work(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Work]:
    """A worker for all tests here; each test brings its own partner."""
    folder = tmp_path_factory.mktemp("work")
    engine = open_database(fresh_url(request, request.param, folder))
    with working(engine, fast(folder)) as started:
        yield started
    engine.dispose()


@pytest.fixture
def world(work: Work) -> World:
    with work.engine.begin() as c:
        return settle(c)


def told(work: Work, run: Run) -> list[Event]:
    with work.engine.begin() as c:
        return events.of_run(c, run.partner, run.id)


def decision(run: Run, *, verdict: Verdict = Verdict.ACCEPT, **given: object) -> Decision:
    etag = f"{run.id}-{run.turn}"
    return Decision(
        **{"etag": etag, "verdict": verdict, "answers": {}, "actor": "a person"} | given
    )


def test_a_run_completes_and_tells_its_whole_story(work: Work, world: World) -> None:
    done = ended(work, submit(work, world))
    assert done.status is RunStatus.COMPLETED
    assert (done.counts.read, done.counts.valid, done.counts.invalid) == (3, 2, 1)
    history = told(work, done)
    assert [each.type for each in history] == [
        "run.queued", "run.running", "run.phase", "run.phase", "run.drifted", "run.completed",
    ]  # fmt: skip
    assert history[-2].data == {"count": 1, "codes": {"column_renamed": 1}}
    with work.engine.begin() as c:
        (made,) = runs.artifacts_of(c, done.partner, done.id)
    files = open_files(work.settings)
    assert b"".join(files.get(made.key)) == f"{done.id}\n".encode()


def test_an_approved_revision_becomes_the_companys_own_plan(work: Work, world: World) -> None:
    waiting = ended(work, submit(work, world, ask=True))
    assert waiting.status is RunStatus.NEEDS_ATTENTION
    queued = work.decide(
        world.partner.id, waiting.id, decision(waiting, answers={"header": "Mail"})
    )
    assert (queued.status, queued.turn) == (RunStatus.QUEUED, 2)
    done = ended(work, queued)
    assert (done.status, done.plan_version) == (RunStatus.COMPLETED, 2)
    assert done.plan != waiting.plan
    with work.engine.begin() as c:
        used = plans.version(c, world.partner.id, done.plan)
        mapping = used.version.plan.sheets[0].mapping("email")
        assert mapping is not None
        assert [each.header for each in mapping.columns] == ["Mail"]
        assert (used.run, used.version.author) == (done.id, "a person")
        assert plans.get(c, world.partner.id, waiting.plan).published == 1
    (decided,) = [each for each in told(work, done) if each.type == "run.decided"]
    assert decided.data["etag"] == f"{waiting.id}-1"


def test_a_revision_for_the_source_reaches_every_company(work: Work, world: World) -> None:
    waiting = ended(work, submit(work, world, ask=True))
    work.decide(world.partner.id, waiting.id, decision(waiting), width=Width.SOURCE)
    done = ended(work, waiting)
    assert (done.plan, done.plan_version) == (waiting.plan, 2)
    with work.engine.begin() as c:
        source = world.source.id
        other = companies.add(c, world.partner.id, name="B", source=source, templates=[])
        used = plans.effective(c, world.partner.id, source=source, company=other.id)
        assert (used.id, used.published) == (waiting.plan, 2)


def test_a_source_that_moved_on_keeps_what_others_decided(work: Work, world: World) -> None:
    waiting = ended(work, submit(work, world, ask=True))
    with work.engine.begin() as c:
        plans.revise(c, world.partner.id, waiting.plan, document(header="Newer"))
    with pytest.raises(Conflict, match="newer version"):
        work.decide(world.partner.id, waiting.id, decision(waiting), width=Width.SOURCE)
    with work.engine.begin() as c:
        assert runs.get(c, world.partner.id, waiting.id).status is RunStatus.NEEDS_ATTENTION
        assert proposals.open_of(c, world.partner.id, waiting.id) is not None
    work.cancel(world.partner.id, waiting.id, actor="a test")


@pytest.mark.parametrize(
    ("verdict", "status", "code"),
    [
        (Verdict.REJECT, RunStatus.FAILED, FailureCode.REJECTED),
        (Verdict.TAKE_VALID, RunStatus.COMPLETED, None),
    ],
)
def test_a_rejected_revision_changes_no_plan(
    work: Work, world: World, verdict: Verdict, status: RunStatus, code: str | None
) -> None:
    waiting = ended(work, submit(work, world, ask=True))
    work.decide(world.partner.id, waiting.id, decision(waiting, verdict=verdict))
    done = ended(work, waiting)
    assert (done.status, done.error_code) == (status, code)
    assert (done.plan, done.plan_version) == (waiting.plan, 1)


def test_a_decision_on_an_older_proposal_applies_nothing(work: Work, world: World) -> None:
    waiting = ended(work, submit(work, world, ask=True))
    with pytest.raises(ProposalChanged):
        work.decide(world.partner.id, waiting.id, decision(waiting, etag="older"))
    assert work.cancel(world.partner.id, waiting.id, actor="x").status is RunStatus.CANCELED
    with pytest.raises(Conflict, match="canceled"):
        work.decide(world.partner.id, waiting.id, decision(waiting))


def test_of_64_decisions_at_once_one_wins(work: Work, world: World) -> None:
    waiting = ended(work, submit(work, world, ask=True))

    def decide(verdict: Verdict) -> Run | None:
        try:
            return work.decide(world.partner.id, waiting.id, decision(waiting, verdict=verdict))
        except AlreadyDecided:
            return None

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(decide, [Verdict.ACCEPT, Verdict.REJECT] * 32))
    (winner,) = [each for each in answers if each]
    done = ended(work, winner)
    assert done.turn == (1 if done.status is RunStatus.FAILED else 2)
    assert [each.type for each in told(work, done)].count("run.decided") == 1


def test_a_policy_that_approves_leaves_the_same_trace_as_a_person(work: Work, world: World) -> None:
    done = ended(work, submit(work, world, approve=True))
    assert (done.status, done.plan_version) == (RunStatus.COMPLETED, 2)
    (decided,) = [each for each in told(work, done) if each.type == "run.decided"]
    assert (decided.actor, decided.data["etag"]) == ("policy", f"{done.id}-policy")


def test_canceling_stops_a_run_at_work(work: Work, world: World) -> None:
    run = submit(work, world, sleep=60)
    work.wait(world.partner.id, run.id, seconds=30, until={RunStatus.RUNNING})
    asked = work.cancel(world.partner.id, run.id, actor="a test")
    assert (asked.status, asked.cancel_requested) == (RunStatus.RUNNING, True)
    done = ended(work, run)
    assert done.status is RunStatus.CANCELED
    files = open_files(work.settings)
    assert files.keys(run_prefix(done.partner, done.company, done.id)) == []


def test_a_fault_of_ours_is_tried_again_and_told(work: Work, world: World) -> None:
    done = ended(work, submit(work, world, fault=2))
    assert (done.status, done.tries) == (RunStatus.COMPLETED, 2)
    again = [each.data.get("message") for each in told(work, done) if each.type == "run.queued"]
    assert again == [None, "Retrying (attempt 2 of 5)", "Retrying (attempt 3 of 5)"]


@pytest.mark.parametrize(
    ("options", "code", "tries"),
    [
        ({"fault": 99}, FailureCode.INTERNAL, 5),
        ({"crash": True}, FailureCode.QUARANTINED, 3),
    ],
)
def test_after_enough_tries_a_run_fails_with_whose_fault_it_is(
    work: Work, world: World, options: dict[str, object], code: str, tries: int
) -> None:
    done = ended(work, submit(work, world, **options))
    assert (done.status, done.error_code) == (RunStatus.FAILED, code)
    assert [each.type for each in told(work, done)].count("run.running") == tries
    assert ended(work, submit(work, world)).status is RunStatus.COMPLETED


def test_one_partners_crowd_does_not_hold_up_another(work: Work, world: World) -> None:
    with work.engine.begin() as c:
        crowd = [
            companies.add(c, world.partner.id, name=str(n), source=world.source.id, templates=[]).id
            for n in range(30)
        ]
        other = settle(c, "Other")
    waiting = [submit(work, world, each, sleep=0.1) for each in crowd]
    late = ended(work, submit(work, other))
    done = [ended(work, each) for each in waiting]
    assert late.started_at is not None
    after = [each for each in done if each.started_at and each.started_at > late.started_at]
    assert len(after) > len(done) / 2


def test_a_turn_of_a_dead_process_is_taken_over(work: Work, world: World) -> None:
    """Pins DBOS._recover_pending_workflows, which is private, and the columns it works on."""
    with work.engine.begin() as c:
        run = work.submit(c, world.partner.id, company=world.company.id, actor="a test")
        table = sa.Table(
            "workflow_status", sa.MetaData(), autoload_with=c,
            schema=None if c.dialect.name == "sqlite" else "dbos",
        )  # fmt: skip
        mine = table.c.workflow_uuid == turn_id(run)
        c.execute(
            sa.update(table).where(mine).values(
                status="PENDING", executor_id="ghost", application_version="turns-1"
            )
        )  # fmt: skip
        runs.claim(c, world.partner.id, run.id, turn=1, executor="ghost")
        c.execute(sa.text("INSERT INTO executors (id, beat) VALUES ('ghost', 0)"))
    done = ended(work, run)
    assert (done.status, done.claim) == (RunStatus.COMPLETED, 2)
    assert "run.recovered" in [each.type for each in told(work, done)]
    with work.engine.begin() as c:
        assert "ghost" not in executors.silent(c, seconds=-1)


def test_a_turn_that_kills_its_workers_is_quarantined(work: Work, world: World) -> None:
    with work.engine.begin() as c:
        run = work.submit(c, world.partner.id, company=world.company.id, actor="a test")
        for number in range(3):
            runs.claim(c, world.partner.id, run.id, turn=1, executor=f"dead {number}")
    done = ended(work, run)
    assert (done.status, done.error_code) == (RunStatus.FAILED, FailureCode.QUARANTINED)


def test_a_file_in_quarantine_is_read_by_no_other_run(work: Work, world: World) -> None:
    poison, harmless = sent(work, world, b"a\n1\n"), sent(work, world, b"a\n2\n")
    runs_of = [submitted(work, world, poison, crash=True), submitted(work, world, poison)]
    runs_of += [submitted(work, world, harmless), submitted(work, world, harmless, poison)]
    failed = (RunStatus.FAILED, FailureCode.QUARANTINED)
    assert [(each.status, each.error_code) for each in runs_of] == [
        failed, failed, (RunStatus.COMPLETED, None), failed,
    ]  # fmt: skip
    assert runs_of[0].id in (runs_of[1].error_message or "")
    assert runs_of[1].claim == 1


def test_leftovers_of_more_runs_than_one_look_finds_are_removed(
    work: Work, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.retention.BATCH", 2)
    files = open_files(work.settings)
    made = [submitted(work, world) for _ in range(5)]
    orphans = [f"{run_prefix(r.partner, r.company, r.id)}{32 * 'a'}" for r in made]
    for key in orphans:
        files.put(key, [b"of a turn that did not count"])
    desk = Desk(
        engine=work.engine, files=files, settings=work.settings, executor="check",
        advance=lambda context: None, enqueue=work.enqueue,  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    retention.drop_leftovers(desk, age=timedelta(0), dead_seconds=60)
    assert [key for key in orphans if files.exists(key)] == []


def sent(work: Work, world: World, content: bytes) -> str:
    """Upload the same bytes anew; the upload's id."""
    stored = open_files(work.settings).put_content(world.partner.id, world.company.id, [content])
    with work.engine.begin() as c:
        up = uploads.add(
            c, world.partner.id, company=world.company.id, name="x.csv", content_type="text/csv",
            size=stored.size, valid_until=utcnow(),
        )  # fmt: skip
        uploads.stored(c, world.partner.id, up.id, digest=stored.digest, size=stored.size)
    return up.id


def submitted(work: Work, world: World, *used: str, **options: object) -> Run:
    """A run over these uploads, once it ended."""
    with work.engine.begin() as c:
        run = work.submit(
            c, world.partner.id, company=world.company.id, used=used, options=options, actor="x"
        )
    return ended(work, run)


def test_a_turn_whose_workflow_is_gone_is_swept_up(work: Work, world: World) -> None:
    with work.engine.begin() as c:
        lost = runs.add(
            c, world.partner.id, company=world.company.id, plan=world.plan, uploads=(),
            options={}, policy=runs.Policy(), dry_run=False, priority=0, metadata={}, actor="x",
        )  # fmt: skip
    assert work.wait(world.partner.id, lost.id, seconds=60).status is RunStatus.COMPLETED


def test_the_queue_is_the_one_that_was_asked_for(work: Work) -> None:
    queue = DBOS.retrieve_queue(QUEUE)
    assert queue is not None
    assert queue.polling_interval_sec == 0.05
