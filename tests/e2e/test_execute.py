"""Programs over staged shards: row numbers, accounting, rules across rows and files."""

import csv
import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from programs import compiled, sheet, template
from tables import staged

from engine.compiler.program import CellCode
from engine.errors import CompileError, ExecutionError
from engine.execute import Comparison, Job, Part, compare, execute
from engine.execute.job import in_pieces
from engine.intake.source import BrokenRow, Shard, Staged
from engine.outcome import CELL_COLUMNS, Outcome, SheetOutcome
from engine.shards import assert_ordered, database
from plans.plan import SheetPlan
from plans.template import Template

PEOPLE = template(
    {"name": "id", "unique": True},
    {"name": "email", "type": "email"},
    {"name": "age", "type": "integer", "min": 0},
    name="people",
    identity=["email"],
)
HEADERS = ["id", "email", "age"]


def straight(of: Template, **more: Any) -> SheetPlan:
    """Every field from the column of its own name."""
    columns = [{"field": field.name, "from": field.name} for field in of.fields]
    return sheet(*columns, of=of.template, **more)


def in_shards(table: Staged, size: int) -> Staged:
    """The same table cut into shards of so many records."""
    lines = io.StringIO(table.path.read_text("utf-8"), newline="")
    ends, out = [0], io.StringIO()
    for row in csv.reader(lines):
        csv.writer(out, lineterminator="\n").writerow(row)
        ends.append(len(out.getvalue().encode()))
    cuts = [*range(0, table.records, size), table.records]
    shards = tuple(
        Shard(index=n, start=ends[first], end=ends[last], records=last - first, first=first)
        for n, (first, last) in enumerate(pairwise(cuts))
    )
    return replace(table, shards=shards)


def job(of: Template, *tables: Staged, first: int = 0, **more: Any) -> Job:
    plan = straight(of, **more)
    parts = (
        Part(program=compiled(plan, of, list(each.source.columns)), staged=each, table=n)
        for n, each in enumerate(tables, first)
    )
    return Job(sheet=plan.name, template=of.template, parts=tuple(parts))


def run(folder: Path, *jobs: Job, **options: Any) -> Outcome:
    folder.mkdir(exist_ok=True)
    return execute(jobs, folder=folder, **{"piece": 0, **options})


def cells(sheet: SheetOutcome) -> list[tuple[int, str | None, str, str | None]]:
    names = [str(path) for path in sheet.invalid_cells]
    query = "SELECT row_number, field, code, value FROM read_parquet(?) ORDER BY ALL"
    return duckdb.execute(query, [names]).fetchall() if names else []


def valid(sheet: SheetOutcome) -> list[list[str]]:
    text = "".join(path.read_bytes().decode() for path in sheet.valid_csv)
    return list(csv.reader(io.StringIO(text, newline="")))


def many(folder: Path, count: int = 5_000) -> Staged:
    """Ages are bad in every 7th row and say the row they stand in; some notes hold line ends."""
    rows = [
        [f"n\n{n}" if n % 5 == 0 else f"n{n}", f"p{n}@example.com", f"x{n + 2}" if n % 7 == 0 else str(n)]
        for n in range(count)
    ]  # fmt: skip
    return staged(folder, HEADERS, rows)


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


TWICE = [
    ["1", "a@x.de", "1"], ["2", "b@x.de", "2"], ["1", "c@x.de", "3"], ["4", "A@x.de ", "4"],
    ["5", "b@x.de", "bad"], ["6", "", "6"], ["7", "", "7"], ["8", "d@x.de", "bad"], ["9", "d@x.de", "9"],
]  # fmt: skip


@pytest.mark.parametrize("size", [9, 4, 2, 1])
@pytest.mark.parametrize(
    ("duplicates", "left", "gone", "invalid"),
    [
        ("first", ["2", "4", "6", "7", "9"], 0, 4),
        ("last", ["2", "4", "6", "7", "9"], 0, 4),
        ("reject", ["6", "7"], 0, 7),
    ],
)
def test_uniqueness_holds_over_shards(
    tmp_path: Path, size: int, duplicates: str, left: list[str], gone: int, invalid: int
) -> None:
    table = in_shards(staged(tmp_path, HEADERS, TWICE), size)
    (people,) = run(tmp_path / "out", job(PEOPLE, table, duplicates=duplicates)).sheets
    assert [row[0] for row in valid(people)[1:]] == left
    assert (people.accounting.duplicate, people.accounting.invalid) == (gone, invalid)
    unique = [(row, value) for row, _, code, value in cells(people) if code == CellCode.UNIQUE]
    assert unique == [(2, "1"), (4, "1")]


@pytest.mark.parametrize("size", [4, 2, 1])
@pytest.mark.parametrize(("duplicates", "left"), [("first", ["1", "2"]), ("last", ["3", "4"])])
def test_one_row_of_an_identity_stays(
    tmp_path: Path, size: int, duplicates: str, left: list[str]
) -> None:
    rows = [["1", "a@x.de", "1"], ["2", "b@x.de", "2"], ["3", "A@X.de", "3"], ["4", "b@x.de", "4"]]
    table = in_shards(staged(tmp_path, HEADERS, rows), size)
    (people,) = run(tmp_path / "out", job(PEOPLE, table, duplicates=duplicates)).sheets
    assert [row[0] for row in valid(people)[1:]] == left
    assert (people.accounting.duplicate, people.cells, people.warnings) == (2, 0, 2)


def test_an_identity_falls_back_to_its_next_key(tmp_path: Path) -> None:
    of = template({"name": "a"}, {"name": "b"}, {"name": "c"}, identity=[["a"], ["b", "c"]])
    rows = [
        ["1", "x", "y"],
        ["1", "", ""],
        ["", "x", "y"],
        ["", "x", "y"],
        ["", "", "y"],
        ["", "", "y"],
    ]
    (things,) = run(tmp_path / "out", job(of, staged(tmp_path, ["a", "b", "c"], rows))).sheets
    assert valid(things)[1:] == [rows[0], rows[2], rows[4], rows[5]]


def test_values_are_unique_together(tmp_path: Path) -> None:
    rule = {"rule": "unique_together", "fields": ["a", "b"]}
    of = template({"name": "a"}, {"name": "b"}, rules=[rule])
    rows = [["x", "yz"], ["xy", "z"], ["x", ""], ["x", ""], ["x", "yz"]]
    (things,) = run(tmp_path / "out", job(of, staged(tmp_path, ["a", "b"], rows))).sheets
    assert cells(things) == [
        (2, None, CellCode.UNIQUE_TOGETHER, "x | yz"), (6, None, CellCode.UNIQUE_TOGETHER, "x | yz"),
    ]  # fmt: skip


COMPANIES = template({"name": "key", "required": True}, {"name": "title"}, name="companies")


def people_of(**reference: Any) -> Template:
    company = {"name": "company", "type": "reference", **reference}
    company["references"] = {"template": "companies", "field": "key"}
    return template({"name": "name"}, company, name="people")


def test_children_find_their_parents_whatever_the_order(tmp_path: Path) -> None:
    parents = staged(tmp_path, ["key", "title"], [["1", "A"], ["2", "B"]], file="companies.csv")
    rows = [["Ada", "1"], ["Bob", "3"], ["Cy", ""], ["Di", "2"]]
    children = in_shards(staged(tmp_path, ["name", "company"], rows, file="people.csv"), 2)
    jobs = (job(people_of(), children), job(COMPANIES, parents, first=1))
    people, companies = run(tmp_path / "out", *jobs).sheets
    assert cells(people) == [(3, "company", CellCode.REFERENCE, "3")]
    assert (people.accounting.valid, companies.accounting.valid) == (3, 2)
    (alone,) = run(tmp_path / "alone", jobs[0]).sheets
    assert alone.accounting.invalid == 0


def test_a_reference_to_an_invalid_row_is_none(tmp_path: Path) -> None:
    of = template({"name": "key"}, {"name": "size", "type": "integer"}, name="companies")
    parents = staged(tmp_path, ["key", "size"], [["1", "many"]], file="companies.csv")
    children = staged(tmp_path, ["name", "company"], [["Ada", "1"]], file="people.csv")
    emptied = job(people_of(on_invalid="empty"), children)
    people, _ = run(tmp_path / "out", emptied, job(of, parents, first=1)).sheets
    assert cells(people) == [(2, "company", CellCode.REFERENCE, "1")]
    assert valid(people)[1:] == [["Ada", ""]]


def test_rows_of_one_sheet_refer_to_each_other(tmp_path: Path) -> None:
    boss = {"name": "boss", "type": "reference", "references": {"template": "staff", "field": "id"}}
    of = template({"name": "id"}, boss, name="staff")
    rows = [["1", ""], ["2", "3"], ["3", "1"], ["4", "9"]]
    for size in (4, 1):
        table = in_shards(staged(tmp_path, ["id", "boss"], rows), size)
        (staff,) = run(tmp_path / f"out{size}", job(of, table)).sheets
        assert cells(staff) == [(5, "boss", CellCode.REFERENCE, "9")]


@pytest.mark.parametrize("size", [3, 1])
def test_a_lookup_takes_a_value_from_another_sheet(tmp_path: Path, size: int) -> None:
    parents = staged(tmp_path, ["key", "title"], [["1", "acme"], ["2", "Beta"]], file="c.csv")
    rows = [["Ada", " 2"], ["Bob", "3"], ["Cy", ""]]
    children = in_shards(staged(tmp_path, ["name", "company"], rows, file="p.csv"), size)
    of = template({"name": "name"}, {"name": "company", "min_length": 2}, name="people")
    look = {"op": "lookup", "template": "companies", "match": "key", "take": "title"}
    plan = sheet(
        {"field": "name", "from": "name"},
        {"field": "company", "from": "company", "transforms": ["trim", look, {"op": "case", "to": "upper"}]},
        of="people",
    )  # fmt: skip
    part = Part(program=compiled(plan, of, ["name", "company"]), staged=children, table=0)
    looking = Job(sheet="people", template="people", parts=(part,))
    people, _ = run(tmp_path / "out", looking, job(COMPANIES, parents, first=1)).sheets
    assert valid(people)[1:] == [["Ada", "BETA"], ["Cy", ""]]
    assert cells(people) == [(3, "company", CellCode.LOOKUP, "3")]


def test_an_unknown_field_of_another_sheet_is_named(tmp_path: Path) -> None:
    of = template({"name": "id"}, name="companies")
    parents = staged(tmp_path, ["id"], [["1"]], file="c.csv")
    children = staged(tmp_path, ["name", "company"], [["Ada", "1"]], file="p.csv")
    with pytest.raises(CompileError, match="template 'companies' has no field 'key'"):
        run(tmp_path / "out", job(people_of(), children), job(of, parents, first=1))


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
