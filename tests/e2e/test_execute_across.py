"""Rules that look beyond a row: uniqueness, identities, references and lookups."""

from pathlib import Path
from typing import Any

import pytest
from jobs import HEADERS, PEOPLE, cells, in_shards, job, run, valid
from programs import compiled, sheet, template
from tables import staged

from engine.compiler.program import CellCode
from engine.errors import CompileError
from engine.execute import Job, Part
from plans.template import Template

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
