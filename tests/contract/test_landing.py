"""Rows go into sheets once, by the latest claim, and not after a cancel."""

import shutil
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from objects import s3_settings
from records import World, settle, start
from sheets import rows_of
from worker import SHEETS, fast, submit, working

from engine.dataset import Location, history, undo
from engine.errors import Canceled, Conflict, Superseded
from engine.model import Run, RunStatus
from engine.settings import Settings
from engine.sheets import location
from engine.store import companies, runs
from engine.store.database import open_database
from engine.work import Work


def running(database: sa.Engine, world: World) -> Run:
    with database.begin() as c:
        run = start(c, world)
        return runs.claim(c, run.partner, run.id, turn=1, executor="one")


def test_a_worker_whose_turn_was_taken_over_may_not_begin(
    database: sa.Engine, world: World
) -> None:
    run = running(database, world)
    with database.begin() as c:
        newer = runs.claim(c, run.partner, run.id, turn=1, executor="two")
    with pytest.raises(Superseded), database.begin() as c:
        runs.land(c, run)
    with database.begin() as c:
        assert runs.land(c, newer).landing


def test_a_run_is_canceled_before_it_begins_to_store_or_not_at_all(
    database: sa.Engine, world: World
) -> None:
    run = running(database, world)
    with database.begin() as c:
        runs.ask_to_cancel(c, run.partner, run.id, actor="a test")
    with pytest.raises(Canceled), database.begin() as c:
        runs.land(c, run)
    with database.begin() as c:
        runs.move(c, run.partner, run.id, RunStatus.CANCELED, actor="a test")
    later = running(database, world)
    with database.begin() as c:
        runs.land(c, later)
    with pytest.raises(Conflict, match="storing its rows"), database.begin() as c:
        runs.ask_to_cancel(c, later.partner, later.id, actor="a test")


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "folder":
        return fast(tmp_path)
    endpoint = request.getfixturevalue("object_store")
    there = s3_settings(endpoint, tmp_path, prefix=uuid4().hex)
    return there.model_copy(update={"poll_seconds": 0.05, "retry_seconds": 0.1})


def places(work: Work, run: Run) -> list[Location]:
    """Where the sheets of the run's company lie."""
    with work.engine.begin() as c:
        sheets = companies.get(c, run.partner, run.company).sheets
    return [location(work.settings, run.partner, run.company, sheet=each.id) for each in sheets]


def kinds(work: Work, run: Run) -> list[list[str]]:
    """What the versions of each sheet of the run's company are, newest first."""
    found = places(work, run)
    assert all(rows_of(each, "_run") in ([], [(run.id,)] * 2) for each in found)
    return [[each.kind for each in history(each)] for each in found]


def test_rows_of_a_run_that_fails_after_storing_them_are_taken_back(
    migrated_sqlite: Path, settings: Settings, tmp_path: Path
) -> None:

    engine = open_database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'state.db')}")
    with engine.begin() as c:
        world = settle(c)
    with working(engine, settings) as work:
        good = work.wait(world.partner.id, submit(work, world, rows=True).id, seconds=60)
        assert good.rows["leads"]["created"] == 2
        assert kinds(work, good) == [["import"]] * len(SHEETS)
        with engine.begin() as c:
            back = work.undo(c, good.partner, good.id, actor="a test")
        assert work.wait(back.partner, back.id, seconds=60).status is RunStatus.COMPLETED
        bad = submit(work, world, rows=True, spoilt=True)
        assert work.wait(bad.partner, bad.id, seconds=60).status is RunStatus.FAILED
        assert kinds(work, bad) == [["undo", "import", "undo", "import"]] * len(SHEETS)
        assert {history(each)[0].maker for each in places(work, bad)} == {bad.id}
    engine.dispose()


def test_an_undo_goes_on_where_one_before_it_was_given_up(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    engine = open_database(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'state.db')}")
    with engine.begin() as c:
        world = settle(c)
    with working(engine, fast(tmp_path)) as work:
        run = work.wait(world.partner.id, submit(work, world, rows=True).id, seconds=60)
        with engine.begin() as c:
            sheet = companies.get(c, run.partner, run.company).sheets[0]
        place = location(work.settings, run.partner, run.company, sheet=sheet.id)
        (tmp_path / "undo").mkdir()
        undo(place, run.id, undo_run="run_given_up", scratch=tmp_path / "undo")
        with engine.begin() as c:
            again = work.undo(c, run.partner, run.id, actor="a test")
        assert work.wait(again.partner, again.id, seconds=60).status is RunStatus.COMPLETED
        assert kinds(work, run) == [["undo", "import"]] * len(SHEETS)
    engine.dispose()
