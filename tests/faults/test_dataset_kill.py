import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sheets import bring, part, rows_of

from engine.dataset import Counts, Location, exists, give_up, history
from engine.errors import Conflict, GivenUp

CHILD = Path(__file__).parent / "upsert_child.py"
KILLS = int(os.environ.get("KILLS", "6"))
OLD = [{"email": f"{n}@x.io", "name": "old"} for n in range(30_000)]
NEW = [{"email": f"{n}@x.io", "name": "new"} for n in range(20_000, 50_000)]
COUNTS = Counts(created=20_000, updated=10_000)


@pytest.fixture
def sheet(tmp_path: Path) -> Location:
    sheet = Location(url=str(tmp_path / "sheet"))
    bring(sheet, tmp_path, "r1", OLD)
    part(tmp_path / "r2.parquet", NEW)
    return sheet


def start(folder: Path, moment: str, **more: Any) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(CHILD), str(folder), str(folder / "r2.parquet"), "r2", moment]
    path = os.pathsep.join(each for each in sys.path if each)
    return subprocess.Popen(command, env={"PYTHONPATH": path}, **more)


def assert_loaded_once(sheet: Location) -> None:
    rows = rows_of(sheet, "email", "name")
    assert len(rows) == len({email for email, _ in rows}) == 50_000
    assert sum(name == "new" for _, name in rows) == 30_000
    assert [each.run for each in history(sheet)] == ["r2", "r1"]


@pytest.mark.parametrize(("moment", "left"), [("writing", ["r1"]), ("committed", ["r2", "r1"])])
def test_a_run_killed_at_either_side_of_its_commit_is_loaded_once(
    sheet: Location, tmp_path: Path, moment: str, left: list[str]
) -> None:
    assert start(tmp_path, moment).wait() == -9
    assert [each.run for each in history(sheet)] == left
    assert bring(sheet, tmp_path, "r2", NEW) == COUNTS
    assert_loaded_once(sheet)


def test_a_run_killed_at_any_time_and_tried_again_is_loaded_once(
    sheet: Location, tmp_path: Path
) -> None:
    for _ in range(KILLS):
        child = start(tmp_path, "never")
        time.sleep(random.uniform(0.1, 0.9))
        child.kill()
        child.wait()
    assert bring(sheet, tmp_path, "r2", NEW) == COUNTS
    assert_loaded_once(sheet)


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "never filled"])
def test_a_run_given_up_while_its_writer_was_frozen_never_writes(
    tmp_path: Path, filled: bool
) -> None:
    sheet = Location(url=str(tmp_path / "sheet"))
    part(tmp_path / "r2.parquet", NEW)
    if filled:
        bring(sheet, tmp_path, "r1", OLD[:3])
    child = start(tmp_path, "frozen", stderr=subprocess.PIPE)
    os.waitpid(child.pid, os.WUNTRACED)
    for _ in range(2):
        give_up(sheet, "r2", undo_run="r2/back")
    child.send_signal(signal.SIGCONT)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 1
    assert b"Conflict" in errors
    with pytest.raises(GivenUp):
        bring(sheet, tmp_path, "r2", NEW)
    assert exists(sheet) is filled
    assert bring(sheet, tmp_path, "r3", OLD[:5]).rows == 5
    assert len(rows_of(sheet, "email")) == 5


def test_a_run_that_wrote_before_it_was_given_up_is_told(sheet: Location) -> None:
    with pytest.raises(Conflict, match="meanwhile"):
        give_up(sheet, "r1", undo_run="r1/back")


def test_two_writers_at_once_never_resolve_rows_against_the_same_version(
    sheet: Location, tmp_path: Path
) -> None:
    command = [sys.executable, str(CHILD), str(tmp_path), str(tmp_path / "r2.parquet")]
    path = os.pathsep.join(each for each in sys.path if each)
    children = [
        subprocess.Popen([*command, run, "never"], env={"PYTHONPATH": path}, stderr=subprocess.PIPE)
        for run in ("a", "b", "c")
    ]
    for child in children:
        _, errors = child.communicate()
        assert child.returncode == 0 or b"Conflict" in errors, errors.decode()
    assert len(rows_of(sheet, "email")) == 50_000
