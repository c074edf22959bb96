from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pyarrow
import pytest
from buckets import Bucket
from sheets import bring, rows_of

from engine.dataset import (
    Commit,
    Counts,
    Kind,
    Location,
    erase,
    exists,
    give_up,
    stored_values,
    tidy,
    undo,
)
from engine.dataset.table import NEXT_ID, commit_rows, open_table
from engine.errors import Conflict


def test_a_sheet_lives_in_s3_like_on_disk(bucket: Bucket, tmp_path: Path) -> None:
    sheet = Location(url=f"{bucket.url}/co_1/contacts", options=bucket.options)
    old = [{"email": f"{n}@x.io", "name": "old"} for n in range(100)]
    assert bring(sheet, tmp_path, "r1", old) == Counts(created=100)
    new = [{"email": f"{n}@x.io", "name": "new", "shoe_size": "38"} for n in range(50, 150)]
    assert bring(sheet, tmp_path, "r2", new) == Counts(created=50, updated=50)
    assert bring(sheet, tmp_path, "r2", new) == Counts(created=50, updated=50)
    assert {name for _, name in rows_of(sheet, "_id", "name")} == {"old", "new"}
    assert stored_values(sheet, ["email"], to=tmp_path / "emails.parquet") == 150

    done = undo(sheet, "r2", undo_run="u1", scratch=tmp_path)
    assert (done.removed, done.restored, done.kept) == (50, 50, 0)
    assert rows_of(sheet, "name") == [("old",)] * 100
    assert tidy(sheet, keep=timedelta(0)).deleted >= 2


def test_erase_leaves_no_byte_of_a_canary_in_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    sheet = Location(url=f"{bucket.url}/co_1/contacts", options=bucket.options)
    other = Location(url=f"{bucket.url}/co_10/contacts", options=bucket.options)
    canary = "canary-7d1f0c"
    for number in range(3):
        bring(sheet, tmp_path, f"r{number}", [{"email": canary, "name": str(number)}])
    bring(other, tmp_path, "r9", [{"email": "stays"}])
    assert any(canary.encode() in body for body in bucket.objects().values())
    erase(sheet)
    assert not exists(sheet)
    left = bucket.objects()
    assert {key.split("/")[0] for key in left} == {"co_10"}
    assert not any(canary.encode() in body for body in left.values())


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "never filled"])
def test_of_two_commits_at_once_one_counts_in_s3_too(
    bucket: Bucket, tmp_path: Path, filled: bool
) -> None:
    sheet = Location(url=f"{bucket.url}/co_1/contacts", options=bucket.options)
    if filled:
        bring(sheet, tmp_path, "r1", [{"email": "ann@x.io"}])
    before = open_table(sheet)
    schema = pyarrow.schema({"_id": pyarrow.int64()})

    def batches() -> Iterator[pyarrow.RecordBatch]:
        other = Thread(target=give_up, args=(sheet, "r2"), kwargs={"undo_run": "r2/back"})
        other.start()
        other.join()
        yield pyarrow.record_batch({"_id": [7]}, schema=schema)

    rows = pyarrow.RecordBatchReader.from_batches(schema, batches())
    record = Commit(version=0, at=datetime.now(UTC), kind=Kind.IMPORT, run="r2")
    with pytest.raises(Conflict):
        commit_rows(sheet, before, rows, record=record, moves={NEXT_ID: 8})
    assert len(rows_of(sheet, "_id")) == filled
