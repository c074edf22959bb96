from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from sheets import bring, part, rows_of

from engine.dataset import (
    Commit,
    Counts,
    Exclusion,
    Kind,
    Location,
    Mode,
    columns,
    exists,
    history,
    stored_values,
    table,
    upsert,
)
from engine.errors import CompileError, Conflict, NotFound

ANN = {"email": "ann@x.io", "name": "Ann", "amount": Decimal("1.5000")}
BEN = {"email": "ben@x.io", "name": "Ben"}
CLEO = {"email": "cleo@x.io", "name": "Cleo"}


@pytest.fixture
def sheet(tmp_path: Path) -> Location:
    return Location(url=str(tmp_path / "sheet"))


def test_first_import_creates_every_row_with_its_lineage(sheet: Location, tmp_path: Path) -> None:
    counts = bring(sheet, tmp_path, "r1", [ANN, BEN], tags=("spring",))
    assert counts == Counts(created=2)
    assert rows_of(sheet, "_id", "email", "amount", "_file", "_row", "_run", "_tags") == [
        (1, "ann@x.io", Decimal("1.5000"), "r1.csv", 2, "r1", ["spring"]),
        (2, "ben@x.io", None, "r1.csv", 3, "r1", ["spring"]),
    ]


def test_second_import_creates_updates_and_leaves_alone(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN, BEN])
    counts = bring(sheet, tmp_path, "r2", [CLEO, {**ANN, "name": "Anna"}, BEN])
    assert counts == Counts(created=1, updated=1, unchanged=1)
    assert rows_of(sheet, "_id", "name", "_run", "_created_run", "_row") == [
        (1, "Anna", "r2", "r1", 3),
        (2, "Ben", "r1", "r1", 3),
        (3, "Cleo", "r2", "r2", 2),
    ]


@pytest.mark.parametrize(
    ("mode", "counts", "names"),
    [
        (Mode.CREATE_ONLY, Counts(created=1, by_mode=1), ["Ann", "Ben", "Cleo"]),
        (Mode.UPDATE_ONLY, Counts(updated=1, by_mode=1), ["Anna", "Ben"]),
    ],
)
def test_modes_hold_back_rows_and_count_them(
    sheet: Location, tmp_path: Path, mode: Mode, counts: Counts, names: list[str]
) -> None:
    bring(sheet, tmp_path, "r1", [ANN, BEN])
    assert bring(sheet, tmp_path, "r2", [{**ANN, "name": "Anna"}, CLEO], mode=mode) == counts
    assert [name for (name,) in rows_of(sheet, "name")] == names


def test_composite_key_needs_all_its_fields(sheet: Location, tmp_path: Path) -> None:
    rows = [{"email": "a", "name": "x"}, {"email": "a", "name": "y"}, {"email": "a"}]
    key = {"identity": (("email", "name"),)}
    assert bring(sheet, tmp_path, "r1", rows, **key) == Counts(created=3)
    assert bring(sheet, tmp_path, "r2", rows, **key) == Counts(created=1, unchanged=2)


def test_of_cascading_keys_the_first_that_finds_a_row_wins(sheet: Location, tmp_path: Path) -> None:
    keys = {"identity": (("linkedin",), ("email",), ("name", "amount"))}
    old = [
        {"linkedin": "in/a", "email": "a@x"},
        {"email": "b@x", "name": "B"},
        {"name": "C", "amount": Decimal(3)},
    ]
    bring(sheet, tmp_path, "r1", old, **keys)
    new = [
        {"linkedin": "in/a", "email": "b@x"},  # linkedin says row 1, email row 2
        {"linkedin": "in/b", "email": "b@x"},
        {"email": "new@x", "name": "C", "amount": Decimal(3)},
        {"linkedin": "in/d", "name": "D"},
    ]
    counts = bring(sheet, tmp_path, "r2", new, **keys)
    assert counts == Counts(created=1, updated=3)
    assert rows_of(sheet, "_id", "linkedin", "email", "name") == [
        (1, "in/a", "b@x", None),
        (2, "in/b", "b@x", "B"),
        (3, None, "new@x", "C"),
        (7, "in/d", None, "D"),
    ]


def test_a_row_found_by_one_key_keeps_the_keys_it_leaves_empty(
    sheet: Location, tmp_path: Path
) -> None:
    keys = {"identity": (("linkedin",), ("email",))}
    bring(sheet, tmp_path, "r1", [{"linkedin": "in/a", "email": "a@x", "name": "A"}], **keys)
    bring(sheet, tmp_path, "r2", [{"email": "a@x"}], **keys)
    assert rows_of(sheet, "linkedin", "name") == [("in/a", None)]


def test_two_incoming_rows_for_one_record_count_once(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    rows = [{**ANN, "name": "first"}, {**ANN, "name": "second"}, BEN, {**BEN, "name": "again"}]
    counts = bring(sheet, tmp_path, "r2", rows)
    assert counts == Counts(created=1, updated=1, repeated=2)
    assert [name for (name,) in rows_of(sheet, "name")] == ["first", "Ben"]


def test_existing_values_win_when_asked(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [{"email": "a", "name": "", "amount": Decimal(1)}])
    bring(
        sheet, tmp_path, "r2", [{"email": "a", "name": "N", "amount": Decimal(2)}],
        keep_existing=True,
    )  # fmt: skip
    assert rows_of(sheet, "name", "amount") == [("N", Decimal(1))]


def test_a_field_the_run_did_not_feed_keeps_its_value(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    counts = bring(
        sheet, tmp_path, "r2", [{"email": "ann@x.io", "name": "A"}], fed=[frozenset({"name"})]
    )
    assert counts == Counts(updated=1)
    assert rows_of(sheet, "name", "amount") == [("A", Decimal("1.5000"))]


def test_suppressed_rows_are_left_out_and_counted(sheet: Location, tmp_path: Path) -> None:
    exclude = [Exclusion(field="email", values=("BEN@x.io", "nobody"))]
    rows = [ANN, BEN, {"name": "no email"}]
    assert bring(sheet, tmp_path, "r1", rows, exclude=exclude) == Counts(created=2, excluded=1)


def test_tags_add_up_and_a_new_tag_alone_is_an_update(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN, BEN], tags=("a",))
    assert bring(sheet, tmp_path, "r2", [ANN], tags=("b", "a")) == Counts(updated=1)
    assert bring(sheet, tmp_path, "r3", [ANN], tags=("b",)) == Counts(unchanged=1)
    assert rows_of(sheet, "_tags") == [(["a", "b"],), (["a"],)]


def test_custom_columns_join_and_old_rows_have_them_empty(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN, BEN])
    bring(sheet, tmp_path, "r2", [{**ANN, "shoe_size": "38"}])
    assert rows_of(sheet, "email", "shoe_size") == [("ann@x.io", "38"), ("ben@x.io", None)]
    bring(sheet, tmp_path, "r3", [{**BEN, "name": "Benny"}])
    assert rows_of(sheet, "name", "shoe_size") == [("Ann", "38"), ("Benny", None)]
    assert [each.name for each in columns(sheet)][:5] == [
        "email", "name", "amount", "linkedin", "shoe_size",
    ]  # fmt: skip


def test_another_type_for_a_stored_column_is_refused_by_name(
    sheet: Location, tmp_path: Path
) -> None:
    bring(sheet, tmp_path, "r1", [{**ANN, "level": "high"}])
    odd = part(tmp_path / "odd.parquet", [ANN])
    duckdb.sql(f"SELECT *, 7::BIGINT AS level FROM '{odd}'").write_parquet(
        str(tmp_path / "o.parquet")
    )
    with pytest.raises(CompileError, match=r"level is BIGINT in this plan, but .* VARCHAR"):
        upsert(
            sheet, [tmp_path / "o.parquet"], identity=(), run="r2", plan_version="2",
            scratch=tmp_path / "s",
        )  # fmt: skip


def test_the_same_run_again_writes_nothing_and_answers_the_same(
    sheet: Location, tmp_path: Path
) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    first = bring(sheet, tmp_path, "r2", [ANN, BEN])
    versions = history(sheet)
    assert bring(sheet, tmp_path, "r2", [ANN, BEN, CLEO]) == first
    assert history(sheet) == versions


def test_an_import_that_changes_nothing_is_a_commit_too(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    assert bring(sheet, tmp_path, "r2", [ANN]) == Counts(unchanged=1)
    assert [(each.run, each.counts.rows) for each in history(sheet)] == [("r2", 1), ("r1", 1)]


def test_rows_without_identity_are_always_new(sheet: Location, tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        assert bring(sheet, tmp_path, run, [ANN], identity=()) == Counts(created=1)


def test_parts_are_one_sequence_of_rows(sheet: Location, tmp_path: Path) -> None:
    parts = [
        part(tmp_path / f"{n}.parquet", [{"email": f"{n}-{k}"} for k in range(3)]) for n in "ba"
    ]
    upsert(sheet, parts, identity=(("email",),), run="r", plan_version="1", scratch=tmp_path)
    assert rows_of(sheet, "_id", "email") == list(
        enumerate(["b-0", "b-1", "b-2", "a-0", "a-1", "a-2"], start=1)
    )


def test_types_delta_does_not_know_are_kept_as_text(sheet: Location, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql(
        "SELECT 'a' AS email, TIME '10:30' AS at, '123e4567-e89b-12d3-a456-426614174000'::UUID AS u"
    ).write_parquet(str(path))
    for run in ("r1", "r2"):
        upsert(sheet, [path], identity=(("email",),), run=run, plan_version="1", scratch=tmp_path)
    assert rows_of(sheet, "at", "u", "_row") == [
        ("10:30:00", "123e4567-e89b-12d3-a456-426614174000", None)
    ]


def test_stored_values_serve_reference_checks(sheet: Location, tmp_path: Path) -> None:
    to = tmp_path / "values.parquet"
    bring(sheet, tmp_path, "r1", [ANN, BEN, {"name": "x"}])
    assert stored_values(sheet, ["email"], to=to) == 2
    assert ("ben@x.io",) in duckdb.read_parquet(str(to)).fetchall()
    assert stored_values(sheet, ["unknown"], to=to) == 0
    assert stored_values(sheet, ["name", "email"], to=to) == 3
    assert ("x", None) in duckdb.read_parquet(str(to)).fetchall()


def test_skipped_rows_are_told_one_by_one(sheet: Location, tmp_path: Path) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    to = tmp_path / "scratch" / "skipped.csv"
    rows = [ANN, {**ANN, "name": "again"}, BEN, CLEO, CLEO]
    exclude = [
        Exclusion(field="email", values=("ben@x.io",)),
        Exclusion(field="fax", values=("1",)),
    ]
    counts = bring(sheet, tmp_path, "r2", rows, exclude=exclude, skipped_to=to)
    assert counts == Counts(created=1, unchanged=1, excluded=1, repeated=2)
    found = duckdb.read_csv(str(to)).fetchall()
    assert found == [
        ("r2.csv", 3, "repeated"),
        ("r2.csv", 4, "excluded"),
        ("r2.csv", 6, "repeated"),
    ]
    for mode, held in ((Mode.CREATE_ONLY, [2, 4]), (Mode.UPDATE_ONLY, [3])):
        bring(sheet, tmp_path, mode, [ANN, {"email": mode}, CLEO], mode=mode, skipped_to=to)
        assert duckdb.read_csv(str(to)).fetchall() == [
            (f"{mode}.csv", row, "by_mode") for row in held
        ]


def test_a_run_without_valid_rows_writes_nothing(sheet: Location, tmp_path: Path) -> None:
    counts = upsert(sheet, [], identity=(), run="r1", plan_version="1", scratch=tmp_path)
    assert counts == Counts()
    assert not exists(sheet)


def test_rows_resolved_against_an_older_version_are_refused(
    sheet: Location, tmp_path: Path
) -> None:
    bring(sheet, tmp_path, "r1", [ANN])
    stale = table.open_table(sheet)
    rows = duckdb.sql(f"SELECT * FROM read_parquet('{sheet.url}/*.parquet')").to_arrow_table()
    bring(sheet, tmp_path, "r2", [BEN])
    record = Commit(version=0, at=datetime.now(UTC), kind=Kind.IMPORT, run="r3")
    for before, instead_of in ((stale, None), (stale, ""), (stale, "_id >= 1"), (None, None)):
        with pytest.raises(Conflict, match="meanwhile"):
            table.commit_rows(
                sheet, before, rows.to_reader(), record=record, moves={table.NEXT_ID: 9},
                instead_of=instead_of,
            )  # fmt: skip
    assert [each.run for each in history(sheet)] == ["r2", "r1"]


def test_a_sheet_nobody_wrote_to_says_so(sheet: Location) -> None:
    with pytest.raises(NotFound, match="no import has written"):
        history(sheet)
