from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest
import sqlalchemy as sa
from records import World, settle, start

from engine.errors import ActiveRun, Conflict, NotFound, Superseded
from engine.model import ENDED, TRANSITIONS, Progress, Run, RunStatus
from engine.policy import Policy
from engine.store import events, line, runs


def put(c: sa.Connection, world: World, status: RunStatus) -> Run:
    """A run in that state, on the shortest way there."""
    run = start(c, world)
    if status is RunStatus.QUEUED:
        return run
    if status in (RunStatus.NEEDS_ATTENTION, RunStatus.COMPLETED):
        runs.move(c, world.partner.id, run.id, RunStatus.RUNNING, actor="a test")
    return runs.move(c, world.partner.id, run.id, status, actor="a test")


def test_a_run_comes_back_as_it_was_started(database: sa.Engine, world: World) -> None:
    policy = Policy(max_invalid_rows=3)
    with database.begin() as c:
        run = start(c, world, uploads=("up_1",), policy=policy, options={"has_header": True})
    with database.begin() as c:
        assert runs.get(c, world.partner.id, run.id) == run
    assert (run.status, run.turn, run.policy) == (RunStatus.QUEUED, 1, policy)


def test_only_listed_transitions_happen(database: sa.Engine, world: World) -> None:
    for before, after in product(RunStatus, RunStatus):
        with database.begin() as c:
            run = put(c, world, before)
            said = len(events.of_run(c, world.partner.id, run.id))
            if after in TRANSITIONS[before]:
                moved = runs.move(c, world.partner.id, run.id, after, actor="a test")
                assert (moved.status, moved.ended) == (after, after in ENDED)
                assert (moved.finished_at is not None) == moved.ended
                assert len(events.of_run(c, world.partner.id, run.id)) == said + 1
            else:
                with pytest.raises(Conflict, match=before):
                    runs.move(c, world.partner.id, run.id, after, actor="a test")
                assert runs.get(c, world.partner.id, run.id).status is before
                assert len(events.of_run(c, world.partner.id, run.id)) == said
            if not runs.get(c, world.partner.id, run.id).ended:
                runs.move(c, world.partner.id, run.id, RunStatus.CANCELED, actor="a test")


def test_a_company_has_one_active_run(database: sa.Engine, world: World) -> None:
    def attempt(number: int) -> str:
        try:
            with database.begin() as c:
                return start(c, world).id
        except ActiveRun as busy:
            return f"busy with {busy.run}"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(attempt, range(100)))
    (winner,) = [each for each in answers if each.startswith("run_")]
    assert answers.count(f"busy with {winner}") == 99


def test_the_next_run_starts_when_the_last_one_ended(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        first = put(c, world, RunStatus.CANCELED)
        second = start(c, world)
        assert [each.id for each in runs.page(c, world.partner.id)] == [second.id, first.id]
        assert [each.id for each in runs.page(c, world.partner.id, before=second.id)] == [first.id]


def test_whoever_queues_waits_in_order_and_the_first_gets_the_place(
    database: sa.Engine, world: World
) -> None:
    sent: list[str] = []

    def enqueue(c: sa.Connection, run: Run, later: float) -> None:
        sent.append(run.id)

    with database.begin() as c:
        made = [start(c, world, queue=True) for _ in range(4)]
        assert [each.waits for each in made] == [False, True, True, True]
        with pytest.raises(Superseded):
            runs.claim(c, world.partner.id, made[1].id, turn=1, executor="w")
    for each in (made[1], made[0], made[2]):
        with database.begin() as c:
            line.cancel(c, world.partner.id, each.id, actor="a test", enqueue=enqueue)
    assert sent == [made[2].id, made[3].id]
    with database.begin() as c:
        last = runs.active(c, world.partner.id, world.company.id)
        assert last is not None
        assert last.id == made[3].id
        assert [each.type for each in events.of_run(c, world.partner.id, last.id)] == [
            "run.queued", "run.admitted",
        ]  # fmt: skip


def test_no_run_is_left_in_line_however_ends_and_starts_meet(
    database: sa.Engine, world: World
) -> None:
    def enqueue(c: sa.Connection, run: Run, later: float) -> None:
        pass

    def add(number: int) -> None:
        with database.begin() as c:
            start(c, world, queue=True)

    def end(number: int) -> None:
        with database.begin() as c:
            if (there := runs.active(c, world.partner.id, world.company.id)) is not None:
                line.cancel(c, world.partner.id, there.id, actor="a test", enqueue=enqueue)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: (add, end)[n % 2](n), range(80)))
    with database.begin() as c:
        while (there := runs.active(c, world.partner.id, world.company.id)) is not None:
            line.cancel(c, world.partner.id, there.id, actor="a test", enqueue=enqueue)
        every = runs.page(c, world.partner.id, limit=100)
    assert len(every) == 40
    assert {each.status for each in every} == {RunStatus.CANCELED}


def test_a_new_claim_fences_the_old_worker_off(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        run = start(c, world)
        old = runs.claim(c, world.partner.id, run.id, turn=1, executor="w1")
        new = runs.claim(c, world.partner.id, run.id, turn=1, executor="w2")
        assert (old.claim, new.claim) == (1, 2)
        said = Progress(phase="execute", done=1)
        assert not runs.show(c, world.partner.id, run.id, fence=(1, 1), progress=said)
        assert runs.show(c, world.partner.id, run.id, fence=(1, 2), progress=said)
        with pytest.raises(Superseded):
            runs.move(c, world.partner.id, run.id, RunStatus.COMPLETED, actor="w1", fence=(1, 1))
        runs.move(c, world.partner.id, run.id, RunStatus.COMPLETED, actor="w2", fence=(1, 2))
        kinds = [each.type for each in events.of_run(c, world.partner.id, run.id)]
        assert kinds == ["run.queued", "run.running", "run.recovered", "run.completed"]


def test_a_claim_of_a_past_turn_or_an_ended_run_fails(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        run = start(c, world)
        with pytest.raises(Superseded):
            runs.claim(c, world.partner.id, run.id, turn=2, executor="w1")
        runs.move(c, world.partner.id, run.id, RunStatus.CANCELED, actor="a test")
        with pytest.raises(Superseded, match="canceled"):
            runs.claim(c, world.partner.id, run.id, turn=1, executor="w1")


def test_canceling_ends_an_idle_run_and_flags_a_running_one(
    database: sa.Engine, world: World
) -> None:
    with database.begin() as c:
        run = start(c, world)
        runs.claim(c, world.partner.id, run.id, turn=1, executor="w1")
        flagged = runs.ask_to_cancel(c, world.partner.id, run.id, actor="a test")
        assert (flagged.status, flagged.cancel_requested) == (RunStatus.RUNNING, True)
        runs.move(c, world.partner.id, run.id, RunStatus.NEEDS_ATTENTION, actor="w1")
        assert runs.ask_to_cancel(c, world.partner.id, run.id, actor="x").status == "canceled"
        assert runs.ask_to_cancel(c, world.partner.id, run.id, actor="x").status == "canceled"
        done = put(c, world, RunStatus.COMPLETED)
        with pytest.raises(Conflict, match="completed"):
            runs.ask_to_cancel(c, world.partner.id, done.id, actor="a test")


def test_events_count_without_a_gap_under_load(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        run = start(c, world)

    def say(number: int) -> None:
        with database.begin() as c:
            events.append(c, world.partner.id, run.id, "run.phase", actor="w", data={"n": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(say, range(40)))
    with database.begin() as c:
        told = events.of_run(c, world.partner.id, run.id)
        assert [each.sequence for each in told] == list(range(1, 42))
        later = events.of_run(c, world.partner.id, run.id, after=40)
        assert [each.sequence for each in later] == [41]


def test_a_foreign_run_is_not_found(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        run = start(c, world)
        other = settle(c, "Other")
        for act in (
            lambda: runs.get(c, other.partner.id, run.id),
            lambda: runs.move(c, other.partner.id, run.id, RunStatus.CANCELED, actor="x"),
            lambda: runs.claim(c, other.partner.id, run.id, turn=1, executor="w"),
            lambda: runs.ask_to_cancel(c, other.partner.id, run.id, actor="x"),
            lambda: events.append(c, other.partner.id, run.id, "run.phase", actor="x"),
        ):
            with pytest.raises(NotFound):
                act()
        assert events.of_run(c, other.partner.id, run.id) == []
