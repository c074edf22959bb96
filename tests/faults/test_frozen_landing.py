"""A worker freezes right before it changes the sheets, its run is given up, and it wakes up."""

from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGCONT
from time import monotonic, sleep

import pytest
from chaos import Storm, storm
from sheets import rows_of

from engine.dataset import exists
from engine.model import FailureCode, Run, RunStatus
from engine.sheets import location
from engine.store import companies


@pytest.fixture
def under(tmp_path: Path) -> Iterator[Storm]:
    folder = tmp_path / "fleet"
    (folder / "other").mkdir(parents=True)
    files = f"file://{folder}/files"
    with storm(f"sqlite:///{folder}/state.db", folder, workers=0, files_url=files) as made:
        yield made


def test_a_first_import_that_was_given_up_stores_nothing(under: Storm) -> None:
    run = submit(under)
    wake(under, given_up(under, run, at="land:begun"))
    assert stored(under, run) == {"contacts": None, "leads": None}
    assert stored(under, completed(under)) == {"contacts": 2, "leads": 2}


def test_an_import_that_was_given_up_changes_no_row(under: Storm) -> None:
    before = completed(under)
    run = submit(under)
    wake(under, given_up(under, run, at="land:sheet-done"))
    assert stored(under, run) == {"contacts": 0, "leads": 0}
    assert stored(under, before) == {"contacts": 2, "leads": 2}


def test_an_undo_that_was_given_up_takes_nothing_back(under: Storm) -> None:
    before = completed(under)
    with under.work.engine.begin() as c:
        run = under.work.undo(c, before.partner, before.id, actor="x")
    wake(under, given_up(under, run, at="undo:begun"))
    assert stored(under, before) == {"contacts": 2, "leads": 2}
    with under.work.engine.begin() as c:
        again = under.work.undo(c, before.partner, before.id, actor="x")
    assert under.work.wait(again.partner, again.id, seconds=60).status is RunStatus.COMPLETED
    assert stored(under, before) == {"contacts": 0, "leads": 0}


def submit(under: Storm) -> Run:
    world, company = under.companies[0]
    with under.work.engine.begin() as c:
        return under.work.submit(
            c, world.partner.id, company=company, options={"rows": True}, actor="x"
        )


def completed(under: Storm) -> Run:
    """A run of a worker that goes when it is done."""
    worker, run = under.fleet.worker(), submit(under)
    ended = under.work.wait(run.partner, run.id, seconds=60)
    assert ended.status is RunStatus.COMPLETED
    under.fleet.kill(worker)
    return ended


def given_up(under: Storm, run: Run, *, at: str) -> int:
    """One worker freezes there, two die there, and the next gives the run up; the frozen one.

    It is on another machine: on theirs the others would wipe its folder, and it could not go on.
    """
    frozen = under.fleet.worker(f"{at}:stop", folder=str(under.fleet.folder / "other"))
    wait(lambda: under.fleet.frozen(frozen))
    for _ in range(2):
        dying = under.fleet.worker(f"{at}:kill")
        wait(lambda gone=dying: not under.fleet.running(gone))
        under.fleet.kill(dying)
    under.fleet.worker()
    ended = under.work.wait(run.partner, run.id, seconds=60)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, FailureCode.QUARANTINED)
    return frozen


def wake(under: Storm, frozen: int) -> None:
    """Let it go on until it has learned that what it did does not count."""
    under.fleet.kill(frozen, SIGCONT)
    wait(lambda: "does not count" in (under.fleet.folder / "other/log").read_text())


def wait(until: Callable[[], bool]) -> None:
    deadline = monotonic() + 30
    while not until():
        assert monotonic() < deadline
        sleep(0.02)


def stored(under: Storm, run: Run) -> dict[str, int | None]:
    """How many rows each sheet has by the run; None: no run has written to it."""
    with under.work.engine.begin() as c:
        sheets = companies.get(c, run.partner, run.company).sheets
    found: dict[str, int | None] = {}
    for sheet in sheets:
        place = location(under.work.settings, run.partner, run.company, sheet=sheet.id)
        rows = rows_of(place, "_run") if exists(place) else None
        found[sheet.name] = None if rows is None else rows.count((run.id,))
    return found
