"""Programs over staged shards: row numbers, accounting, the files they leave."""

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from jobs import HEADERS, PEOPLE, cells, in_shards, job, many, run, valid
from programs import compiled, sheet, template
from tables import staged

from engine.compiler.program import CellCode
from engine.errors import ExecutionError
from engine.execute import Comparison, Part, compare
from engine.execute.job import in_pieces
from engine.intake import shard_file
from engine.intake.source import BrokenRow, Shard, Staged
from engine.outcome import CELL_COLUMNS
from engine.shards import assert_ordered, database


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("size", [5_000, 777])
def test_every_bad_cell_has_its_own_row_number(tmp_path: Path, threads: int, size: int) -> None:
    table = in_shards(many(tmp_path), size)
    (people,) = run(tmp_path / "out", job(PEOPLE, table), threads=threads).sheets
    found = cells(people)
    assert len(found) == 715
    assert all(value == f"x{row}" for row, _, _, value in found)
    assert people.accounting.valid == len(valid(people)) - 1 == 4_285


def test_a_statement_that_would_lose_the_order_is_refused(tmp_path: Path) -> None:
    select = "SELECT s.* FROM source s LEFT JOIN source b USING (c0)"
    with database(tmp_path) as db:
        db.run("CREATE TABLE source (c0 VARCHAR)")
        with pytest.raises(ExecutionError, match=r"would not keep the rows' order: .*JOIN"):
            assert_ordered(db, f"CREATE TABLE stage AS {select}", program=select)


@pytest.mark.parametrize(
    ("place", "copies"),
    [("plain.csv", 0), ("year=2024/a.csv", 0), ("was.csv.gz", 0), ("odd[1]*.csv", 1)],
)
def test_a_table_is_read_where_it_lies(
    tmp_path: Path, place: str, copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = many(tmp_path, 3_000)
    path, above = tmp_path / place, b"Our people\nid,email,age\n"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(above + table.path.read_bytes())
    moved = (
        replace(each, start=each.start + len(above), end=each.end + len(above))
        for each in table.shards
    )
    there, copied = replace(table, path=path, shards=tuple(moved)), list[Shard]()

    def counted(staged: Staged, shard: Shard, target: int) -> None:
        copied.append(shard)
        shard_file(staged, shard, target)

    monkeypatch.setattr("engine.shards.shard_file", counted)
    (found,) = run(tmp_path / "found", job(PEOPLE, there)).sheets
    assert len(copied) == copies
    (wanted,) = run(tmp_path / "wanted", job(PEOPLE, table)).sheets
    assert cells(found) == cells(wanted) != []
    assert valid(found) == valid(wanted)


def test_row_numbers_follow_the_gaps_of_the_file(tmp_path: Path) -> None:
    rows = [["a", "", "bad"], ["b", "", "1"], ["c", "", "bad"], ["d", "", "bad"]]
    table = staged(tmp_path, HEADERS, rows)
    broken = BrokenRow(row=6, line=7, code="quote", message="a quote is not closed", text='x,"y')
    source = replace(table.source, read=7, broken=1, skipped=2)
    gaps = replace(table, source=source, breaks=((0, 3), (2, 7), (3, 9)), broken=(broken,))
    (people,) = run(tmp_path / "out", job(PEOPLE, in_shards(gaps, 2))).sheets
    assert [(row, code) for row, _, code, _ in cells(people)] == [
        (3, CellCode.FORMAT), (6, CellCode.BROKEN_ROW), (7, CellCode.FORMAT), (9, CellCode.FORMAT),
    ]  # fmt: skip
    numbers = (people.accounting.read, people.accounting.valid, people.accounting.invalid)
    assert (*numbers, people.accounting.skipped) == (7, 1, 4, 2)
    assert people.files[0].accounting == people.accounting
    place = "SELECT _file, _row FROM read_parquet(?)"
    assert duckdb.execute(place, [[str(p) for p in people.valid_parquet]]).fetchall() == [
        ("file.csv", 4)
    ]


def test_a_record_duckdb_refuses_is_read_with_care(tmp_path: Path) -> None:
    table = staged(tmp_path, HEADERS, [["a", "", "1"], ["b", "", "2"], ["c", "", "3"]])
    text = 'a,,1\nb,,2,more\n"c",,x\n'
    table.path.write_text(text)
    whole = replace(table, shards=(replace(table.shards[0], end=len(text)),))
    (people,) = run(tmp_path / "out", job(PEOPLE, whole)).sheets
    assert cells(people) == [
        (3, None, CellCode.BROKEN_ROW, "b,,2,more"), (4, "age", CellCode.FORMAT, "x"),
    ]  # fmt: skip
    assert people.accounting.adds_up
    short = replace(table, shards=(replace(table.shards[0], end=5),))
    with pytest.raises(ExecutionError, match="should hold 3 records, but 1 were read"):
        run(tmp_path / "out", job(PEOPLE, short))


def test_files_of_one_sheet_come_together(tmp_path: Path) -> None:
    one = staged(tmp_path, HEADERS, [["1", "a@x.de", "1"], ["2", "b@x.de", "2"]], file="one.csv")
    two = staged(tmp_path, [*HEADERS, "note"], [["2", "a@x.de", "3", "n"], ["4", "d@x.de", "4", "m"]], file="two.csv")  # fmt: skip
    (people,) = run(tmp_path / "out", job(PEOPLE, one, two, extra_columns="keep")).sheets
    assert valid(people) == [
        ["id", "email", "age", "note"], ["1", "a@x.de", "1", ""], ["4", "d@x.de", "4", "m"],
    ]  # fmt: skip
    assert [(each.file, each.accounting.valid) for each in people.files] == [
        ("one.csv", 1), ("two.csv", 1),
    ]  # fmt: skip


def test_a_stopping_cell_leaves_no_valid_rows(tmp_path: Path) -> None:
    of = template({"name": "age", "type": "integer", "on_invalid": "stop"})
    table = in_shards(staged(tmp_path, ["age"], [["1"], ["2"], ["x"], ["y"]]), 1)
    outcome = run(tmp_path / "out", job(of, table))
    assert outcome.stopped is not None
    assert outcome.stopped.startswith("file.csv, row 4, age: 'x' is not a whole number")
    assert outcome.sheets[0].valid_csv == ()
    assert not list((tmp_path / "out").glob("*.csv"))


def test_only_judging_writes_no_rows_and_counts_the_same(tmp_path: Path) -> None:
    table = many(tmp_path, 100)
    written = run(tmp_path / "out", job(PEOPLE, table)).sheets[0]
    judged = run(tmp_path / "judged", job(PEOPLE, table), write=False).sheets[0]
    assert judged.accounting == written.accounting
    assert judged.groups == written.groups
    assert judged.valid_csv == judged.valid_parquet == ()


def test_groups_hold_the_frequent_values_and_the_first_rows(tmp_path: Path) -> None:
    rows = [["", "", age] for age in ["a", "b", "a", "1", "-1"]]
    (people,) = run(tmp_path / "out", job(PEOPLE, staged(tmp_path, HEADERS, rows))).sheets
    group = people.groups[0]
    assert (group.field, group.column, group.code, group.cells) == (
        "age",
        "age",
        CellCode.FORMAT,
        3,
    )
    assert (group.values, group.distinct, group.first_rows) == ((("a", 2), ("b", 1)), 2, (2, 3, 4))
    assert people.groups[1].code is CellCode.MIN
    names = [row[0] for row in duckdb.execute("DESCRIBE FROM read_parquet(?)", [[str(p) for p in people.invalid_cells]]).fetchall()]  # fmt: skip
    assert tuple(names[: len(CELL_COLUMNS)]) == CELL_COLUMNS


def test_the_rows_done_are_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    table = in_shards(many(tmp_path, 30), 10)
    run(tmp_path / "out", job(PEOPLE, table), progress=lambda *each: told.append(each))
    assert told == [(10, 30), (20, 30), (30, 30)]


def test_small_tables_are_looked_at_in_one_piece(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    jobs = job(PEOPLE, in_shards(many(tmp_path, 30), 10))
    run(tmp_path / "out", jobs, piece=1 << 20, progress=lambda *each: told.append(each))
    assert told == [(30, 30)]


def test_an_empty_table_gives_an_empty_sheet(tmp_path: Path) -> None:
    table = replace(staged(tmp_path, HEADERS, []), shards=())
    (people,) = run(tmp_path / "out", job(PEOPLE, table)).sheets
    assert (people.accounting.read, people.groups, people.columns) == (0, (), tuple(HEADERS))


def test_a_change_is_compared_cell_by_cell(tmp_path: Path) -> None:
    of = template({"name": "day", "type": "date"})
    rows = [["04/05/2024"], ["13/05/2024"], ["05/13/2024"], ["never"], [""]]
    table = in_shards(staged(tmp_path, ["day"], rows), 2)

    def part(*formats: str) -> Part:
        column = {"field": "day", "from": "day", "transforms": [{"op": "date", "formats": formats}]}
        return Part(program=compiled(sheet(column), of, ["day"]), staged=table, table=0)

    before, after = part("%m/%d/%Y"), part("%d/%m/%Y")
    found = compare(before, after, field="day", folder=tmp_path, limit=2)
    assert found == Comparison(
        fixed=1,
        broken=1,
        changed=1,
        samples=(
            (2, "04/05/2024", "2024-04-05", "2024-05-04"),
            (3, "13/05/2024", None, "2024-05-13"),
        ),
    )
    assert compare(before, before, field="day", folder=tmp_path) == Comparison()


def test_valid_rows_keep_their_types_in_parquet_and_their_text_in_csv(tmp_path: Path) -> None:
    kinds = ["integer", "decimal", "boolean", "date", "datetime", "time", "string"]
    of = template(*({"name": kind, "type": kind, "scale": 3} if kind == "decimal" else {"name": kind, "type": kind} for kind in kinds))  # fmt: skip
    row = ["-7", "1.500", "yes", "2024-02-29", "2024-02-29T10:00:00+02:00", "9:30:00.250", "a,b"]
    (sheet,) = run(tmp_path / "out", job(of, staged(tmp_path, kinds, [row, [""] * 7]))).sheets
    table = duckdb.read_parquet(str(sheet.valid_parquet[0]))
    assert [str(kind) for kind in table.types] == [
        "BIGINT", "DECIMAL(18,3)", "BOOLEAN", "DATE", "TIMESTAMP WITH TIME ZONE", "TIME", "VARCHAR",
        "VARCHAR", "BIGINT",
    ]  # fmt: skip
    shown = ["-7", "1.5", "true", "2024-02-29", "2024-02-29T08:00:00Z", "09:30:00.25", "a,b"]
    assert valid(sheet) == [kinds, shown, [""] * 7]


def test_valid_rows_of_all_shards_are_one_file_in_the_customers_order(tmp_path: Path) -> None:
    table = in_shards(many(tmp_path), 777)
    (people,) = run(tmp_path / "out", job(PEOPLE, table), threads=4).sheets
    (path,) = people.valid_parquet
    rows = [row for (row,) in duckdb.execute("SELECT _row FROM read_parquet(?)", [str(path)]).fetchall()]  # fmt: skip
    assert rows == sorted(rows)
    assert len(rows) == people.accounting.valid
    assert [line[0] for line in valid(people)[1:]] == [f"n\n{row - 2}" if row % 5 == 2 else f"n{row - 2}" for row in rows]  # fmt: skip


def test_neighbouring_shards_are_judged_together(tmp_path: Path) -> None:
    table = in_shards(many(tmp_path), 777)
    size = 4 * max(shard.end - shard.start for shard in table.shards)
    (part,) = in_pieces(job(PEOPLE, table), size).parts
    joined = part.staged.shards
    assert 1 < len(joined) < len(table.shards)
    assert [shard.index for shard in joined] == list(range(len(joined)))
    assert sum(shard.records for shard in joined) == table.records
    (people,) = run(tmp_path / "out", job(PEOPLE, table), piece=size).sheets
    assert all(value == f"x{row}" for row, _, _, value in cells(people))
    assert people.accounting.valid == len(valid(people)) - 1 == 4_285
