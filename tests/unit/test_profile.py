"""Profiles: what a column's values look like, over real staged text."""

from dataclasses import replace
from pathlib import Path

import pytest
from tables import staged

from engine.intake.source import Shard
from engine.profile import of_values, profile, readings


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("integer", ["1", "-20", "+3"]),
        ("number:.,", ["1,234.50", "12", "(1,200.00)", "$ 3.5", "USD 1,000"]),
        ("number:,.", ["1.234,50", "12", "7,5 €", "-1.000"]),
        ("number:, ", ["1 234,50", "1\u00a0234 567,00"]),
        ("percent", ["12 %", "7.5%"]),
        ("date:%d.%m.%Y", ["31.12.2024", "1.2.2024"]),
        ("date:%Y-%m-%d", ["2024-12-31", "2024-12-31 10:00", "2024-12-31T10:00:00Z"]),
        ("date:%b %d, %Y", ["Jan 5, 2024", "Dec 31, 1999"]),
        ("time:%I:%M %p", ["12/31/24 5:30 PM", "1/1/24 5:30 AM"]),
        ("boolean", ["Yes", "no", "TRUE", "0"]),
        ("email", ["a@b.co", "ann.lee+x@mail.example.org"]),
        ("url", ["https://a.b/c?d=1", "http://x.y"]),
        ("domain", ["example.com", "www.example.co.uk"]),
        ("phone", ["+49 30 123456", "(030) 123-4567", "020 7946 0958 ext 12"]),
        ("uuid", ["9f1b0c9e-4a3c-4e0a-8f51-0c9e4a3c4e0a"]),
        ("json", ['{"a": 1}', "[1, 2]"]),
        ("null_word", ["N/A", "-", "null"]),
    ],
)
def test_every_cell_of_a_kind_is_told_as_that_kind(kind: str, cells: list[str]) -> None:
    assert of_values([("x", cells)])[0].rate(kind) == 1.0


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("date:%d/%m/%Y", "12/31/2024"),
        ("date:%Y-%m-%d", "24-12-31"),
        ("number:.,", "1,23"),
        ("number:,.", "1.23"),
        ("phone", "12/31/2024"),
        ("phone", "1234.56"),
        ("email", "not an address"),
    ],
)
def test_a_cell_of_another_kind_is_not(kind: str, cell: str) -> None:
    assert of_values([("x", [cell])])[0].rate(kind) == 0.0


def test_blank_cells_are_not_filled_and_outer_spaces_do_not_count(tmp_path: Path) -> None:
    table = staged(tmp_path, ["a", "b"], [["  x ", ""], ["x\u00a0", "  "], ["", "1"]])
    first, second = profile(table).columns
    assert (first.filled, first.distinct, first.top) == (2, 1, (("x", 2),))
    assert (second.filled, second.header, second.rows) == (1, "b", 3)


def test_an_empty_column_has_a_profile_too(tmp_path: Path) -> None:
    empty = profile(staged(tmp_path, ["a"], [[""], [""]])).columns[0]
    assert (empty.filled, empty.rates, empty.top) == (0, {}, ())


def test_shapes_tell_letters_and_digits(tmp_path: Path) -> None:
    table = staged(tmp_path, ["code"], [["AB-12"], ["XY-99"], ["é1"]])
    assert profile(table).columns[0].shapes == (("AA-99", 2), ("a9", 1))


def test_a_sample_is_taken_from_every_shard_at_record_boundaries(tmp_path: Path) -> None:
    rows = [[f'{at} "q"', "a\nb"] for at in range(100)]
    table = staged(tmp_path, ["n", "t"], rows)
    text = table.path.read_bytes()
    cut = text.index(b'"50 ')
    shards = (
        Shard(index=0, start=0, end=cut, records=50, first=0),
        Shard(index=1, start=cut, end=len(text), records=50, first=50),
    )
    sample = profile(replace(table, shards=shards), rows=10)
    assert (sample.rows, sample.whole) == (10, False)
    assert {value for value, _ in sample.columns[0].top} == {
        f'{at} "q"' for at in (*range(5), *range(50, 55))
    }


def test_a_wide_table_has_the_profiles_its_columns_have_alone(tmp_path: Path) -> None:
    cells = [
        "Ann",
        " 2024-01-31T10:00Z",
        "03/04/2024 5:30 PM",
        "1.234,50 €",
        "a@b.co",
        "",
        "Ünal ٣",
    ]
    rows = [[cells[(at * by) % 7] + str(at % by or "") for by in range(1, 9)] for at in range(50)]
    headers = [f"h{at}" for at in range(8)]
    wide = profile(staged(tmp_path, headers, rows))
    for at, header in enumerate(headers):
        (alone,) = profile(staged(tmp_path, [header], [[row[at]] for row in rows])).columns
        assert replace(alone, index=at) == wide.columns[at]


def test_a_sample_ends_at_a_record_of_a_later_piece_of_the_file(tmp_path: Path) -> None:
    rows = [[str(at), f'{at}"\n' + "é" * 90_000] for at in range(30)]
    sample = profile(staged(tmp_path, ["n", "t"], rows), rows=20).columns
    assert (sample[0].rows, sample[0].filled, sample[1].max_length) == (20, 20, 90_004)


def test_the_whole_column_is_read_for_proofs(tmp_path: Path) -> None:
    table = staged(
        tmp_path, ["a", "b"], [["x", ("17", "23", "01/02/24")[at % 3]] for at in range(9_000)]
    )
    told = [(each.cells, "integer" in each.kinds, each.samples) for each in readings(table, 1)]
    assert told == [(6_000, True, ("17", "23")), (3_000, False, ("01/02/24",))]


def test_one_column_of_blank_lines_keeps_its_rows(tmp_path: Path) -> None:
    table = staged(tmp_path, ["a"], [["1"], [""], ["2"]])
    assert profile(table).columns[0].rows == 3


def test_a_table_is_read_in_blocks_and_a_record_longer_than_one_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [[str(at), "a\nb" * 9] for at in range(40)]
    short = staged(tmp_path, ["n", "t"], rows)
    whole = profile(short)
    long = staged(tmp_path, ["n", "t"], [*rows, ["40", "x" * 900]])
    monkeypatch.setattr("engine.profile.PARSED", 1)
    monkeypatch.setattr("engine.profile.MIN_BLOCK", 128)
    assert profile(short) == whole
    assert profile(long).columns[1].max_length == 900
