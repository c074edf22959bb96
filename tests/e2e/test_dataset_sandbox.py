from functools import partial
from pathlib import Path

import pytest
from sheets import part, rows_of

from engine.dataset import READABLE, Counts, Location, undo, upsert
from engine.errors import Conflict
from engine.export import Selection, Shape, write
from engine.sandbox import Limits, call


def test_a_sheet_is_written_undone_and_exported_from_the_confined_child(tmp_path: Path) -> None:
    sheet = Location(url=str(tmp_path / "sheets" / "contacts"))
    incoming, scratch = tmp_path / "in", tmp_path / "run"
    for folder in (incoming, scratch, Path(sheet.url)):
        folder.mkdir(parents=True)
    rows = [{"email": f"{n}@x.io"} for n in range(1_000)]
    file = part(incoming / "p.parquet", rows)
    limits = Limits(folder=scratch, readable=(file, *READABLE), writable=(Path(sheet.url),))
    bring = partial(
        upsert, sheet, (file,), identity=(("email",),), plan_version="1", scratch=scratch
    )
    assert call(partial(bring, run="r1"), limits=limits) == Counts(created=1_000)
    assert call(partial(bring, run="r2"), limits=limits) == Counts(unchanged=1_000)
    to = scratch / "out.csv"
    export = partial(write, sheet, Selection(), to=to, shape=Shape(), scratch=scratch)
    assert call(export, limits=limits) == 1_000
    take_back = partial(undo, sheet, "r1", scratch=scratch)
    assert call(partial(take_back, undo_run="u1"), limits=limits).removed == 1_000
    with pytest.raises(Conflict, match="undone already"):
        call(partial(take_back, undo_run="u2"), limits=limits)
    assert rows_of(sheet, "email") == []
