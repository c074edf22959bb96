from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sheets import bring, rows_of

from engine.dataset import Counts, Kept, Kind, Location, Undone, erase, history, tidy, undo
from engine.errors import Conflict, NotFound

ANN = {"email": "ann@x.io", "name": "Ann", "amount": Decimal("1.5000")}
BEN = {"email": "ben@x.io", "name": "Ben"}
CLEO = {"email": "cleo@x.io", "name": "Cleo"}
WHOLE = ("_id", "email", "name", "amount", "_run", "_file", "_row", "_tags", "_created_run")


@pytest.fixture
def sheet(tmp_path: Path) -> Location:
    return Location(url=str(tmp_path / "sheet"))


def test_undo_removes_what_was_created_and_restores_what_was_updated(
    sheet: Location, tmp_path: Path
) -> None:
    bring(sheet, tmp_path, "r1", [ANN, BEN], tags=("a",))
    before = rows_of(sheet, *WHOLE)
    bring(sheet, tmp_path, "r2", [{**ANN, "name": "X", "amount": None}, CLEO], tags=("b",))
    done = undo(sheet, "r2", undo_run="u1", scratch=tmp_path)
    assert done == Undone(removed=1, restored=1, kept=0, kept_rows=())
    assert rows_of(sheet, *WHOLE) == before


def test_undo_keeps_and_lists_rows_a_later_run_edited(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    bring(sheet, tmp_path, "r2", [{**ANN, "name": "two"}, BEN, CLEO])
    bring(sheet, tmp_path, "r3", [{**ANN, "name": "three"}, {**BEN, "name": "three"}])
    done = undo(sheet, "r2", undo_run="u1", scratch=tmp_path)
    assert (done.removed, done.restored, done.kept) == (1, 0, 2)
    assert done.kept_rows == (Kept(id=1, run="r3"), Kept(id=3, run="r3"))
    assert rows_of(sheet, "email", "name") == [("ann@x.io", "three"), ("ben@x.io", "three")]


def test_rows_kept_for_a_later_run_go_with_it(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r0", [ANN])
    bring(sheet, tmp_path, "r1", [{**ANN, "name": "one"}, BEN])
    bring(sheet, tmp_path, "r2", [{**ANN, "name": "two"}, {**BEN, "name": "two"}, CLEO])
    bring(sheet, tmp_path, "r3", [{**each, "name": "three"} for each in (ANN, BEN, CLEO)])
    for run, (removed, restored, kept) in {
        "r2": (0, 0, 3),
        "r1": (0, 0, 2),
        "r3": (2, 1, 0),
    }.items():
        done = undo(sheet, run, undo_run=f"u-{run}", scratch=tmp_path)
        assert (done.removed, done.restored, done.kept) == (removed, restored, kept)
    assert rows_of(sheet, "email", "name", "_run") == [("ann@x.io", "Ann", "r0")]


def test_runs_are_undone_newest_first_down_to_nothing(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    bring(sheet, tmp_path, "r2", [{**ANN, "name": "two"}])
    bring(sheet, tmp_path, "r3", [{**ANN, "name": "three"}])
    names = []
    for run in ("r3", "r2", "r1"):
        undo(sheet, run, undo_run=f"u-{run}", scratch=tmp_path)
        names.append([name for (name,) in rows_of(sheet, "name")])
    assert names == [["two"], ["Ann"], []]
    assert bring(sheet, tmp_path, "r4", [ANN]) == Counts(created=1)
    assert rows_of(sheet, "_id") == [(4,)], "an id is never given twice"


def test_undo_is_a_run_of_the_history_and_answers_the_same_again(
    sheet: Location, tmp_path: Path
) -> None:
    bring(sheet, tmp_path, "r1", [ANN, BEN])
    first = undo(sheet, "r1", undo_run="u1", scratch=tmp_path)
    assert undo(sheet, "r1", undo_run="u1", scratch=tmp_path) == first
    newest = history(sheet)[0]
    assert (newest.kind, newest.run, newest.undoes, newest.removed) == (Kind.UNDO, "u1", "r1", 2)
    with pytest.raises(Conflict, match="undone already, by u1"):
        undo(sheet, "r1", undo_run="u2", scratch=tmp_path)


def test_undo_of_a_stranger_says_so(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    with pytest.raises(NotFound, match="r9 wrote no rows"):
        undo(sheet, "r9", undo_run="u1", scratch=tmp_path)


def test_after_the_undo_window_undo_is_refused_and_rows_stay(
    sheet: Location, tmp_path: Path
) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    bring(sheet, tmp_path, "r2", [{**ANN, "name": "two"}])
    assert tidy(sheet, keep=timedelta(days=1)).deleted == 0
    assert tidy(sheet, keep=timedelta(0)).deleted == 1
    with pytest.raises(Conflict, match="undo window is over"):
        undo(sheet, "r2", undo_run="u1", scratch=tmp_path)
    assert rows_of(sheet, "name") == [("two",)]


def test_compaction_changes_no_row_and_undo_still_works(sheet: Location, tmp_path: Path) -> None:
    for number in range(9):
        bring(sheet, tmp_path, f"r{number}", [{"email": f"{number}@x.io"}])
    before = rows_of(sheet, *WHOLE)
    assert tidy(sheet, keep=timedelta(days=1)).compacted == 9
    assert rows_of(sheet, *WHOLE) == before
    assert undo(sheet, "r3", undo_run="u1", scratch=tmp_path).removed == 1
    assert len(rows_of(sheet, "_id")) == 8


def test_customers_values_are_not_in_the_log(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    bring(sheet, tmp_path, "r2", [{**ANN, "name": "two"}, BEN])
    logs = b"".join(each.read_bytes() for each in Path(sheet.url).glob("_delta_log/*"))
    assert b"r2" in logs
    assert b"ann@x.io" not in logs


def test_erase_leaves_nothing(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    erase(sheet)
    erase(sheet)
    assert not Path(sheet.url).exists()
