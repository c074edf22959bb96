from pathlib import Path

import sqlalchemy as sa
from records import settle
from worker import ended, fast, submit, working

from engine.model import RunStatus
from engine.store import companies, runs


def test_a_stopping_worker_hands_over_what_it_cannot_finish(
    database: sa.Engine, tmp_path: Path
) -> None:
    with database.begin() as c:
        world = settle(c)
    settings = fast(tmp_path)
    with working(database, settings, patience=1) as work:
        run = submit(work, world, sleep=2)
        work.wait(world.partner.id, run.id, seconds=30, until={RunStatus.RUNNING})
    with database.begin() as c:
        left = runs.get(c, world.partner.id, run.id)
    assert (left.status, left.turn, left.tries) == (RunStatus.QUEUED, 2, 0)
    assert list((tmp_path / "scratch").glob("*/*")) == []
    with working(database, settings) as work:
        assert ended(work, run).status is RunStatus.COMPLETED


def test_a_more_urgent_run_goes_first(database: sa.Engine, tmp_path: Path) -> None:
    with database.begin() as c:
        world = settle(c)
        made = [
            companies.add(c, world.partner.id, name=str(n), source=world.source.id, templates=[]).id
            for n in range(6)
        ]
    with working(database, fast(tmp_path, workers=1, partner_runs=1)) as work:
        first = submit(work, world, sleep=1)
        work.wait(world.partner.id, first.id, seconds=30, until={RunStatus.RUNNING})
        queued = []
        for company, priority in zip(made, (9, 9, 9, 1, 1, 1), strict=True):
            with work.engine.begin() as c:
                queued.append(
                    work.submit(c, world.partner.id, company=company, priority=priority, actor="x")
                )
        done = sorted((ended(work, each) for each in queued), key=lambda run: run.started_at or 0)
    assert [run.priority for run in done] == [1, 1, 1, 9, 9, 9]
