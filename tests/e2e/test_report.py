"""Files a person downloads: valid rows, invalid cells, rejected rows as CSV and workbook."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import duckdb
import openpyxl
import pytest
from programs import compiled, sheet, template
from tables import staged

from engine import report
from engine.execute import Job, Part, execute
from engine.intake.source import BrokenRow, Staged
from engine.outcome import CELL_COLUMNS, Outcome

DEALS = template(
    {"name": "name", "required": True},
    {"name": "amount", "type": "decimal", "scale": 4},
    {"name": "phone", "type": "phone"},
    {"name": "closed", "type": "datetime"},
    {"name": "note"},
    name="deals",
)
HEADERS = ["Deal", "Amount", "Phone", "Closed", "Note"]
ROWS = [
    ["A, B", "-12.50", "+4930123456", "2024-01-01T10:00:00+01:00", "=1+1"],
    ["", "1,5", "", "", 'say "hi"\r\nthere'],
    ["C", "100", "030", "", "@SUM(A1)"],
    ["D", "0.1", "", "", "-x"],
]


def outcome_of(folder: Path, *tables: Staged) -> Outcome:
    columns = [{"field": f.name, "from": h} for f, h in zip(DEALS.fields, HEADERS, strict=True)]
    plan = sheet(*columns, of="deals")
    parts = tuple(
        Part(program=compiled(plan, DEALS, list(each.source.columns)), staged=each, table=n)
        for n, each in enumerate(tables)
    )
    (folder / "out").mkdir()
    return execute([Job(sheet="deals", template="deals", parts=parts)], folder=folder / "out")


def rows_of(path: Path) -> list[list[str]]:
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\r\n")
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.fixture
def deals(tmp_path: Path) -> tuple[Outcome, Staged]:
    table = staged(tmp_path, HEADERS, ROWS, file="deals.csv")
    return outcome_of(tmp_path, table), table


def test_valid_rows_stand_in_template_order(tmp_path: Path, deals: tuple[Outcome, Staged]) -> None:
    report.write_valid(deals[0].sheets[0], tmp_path / "valid.csv")
    assert rows_of(tmp_path / "valid.csv") == [
        ["name", "amount", "phone", "closed", "note"],
        ["A, B", "-12.5", "+4930123456", "2024-01-01T09:00:00Z", "=1+1"],
        ["D", "0.1", "", "", "-x"],
    ]


def test_safe_rows_guard_texts_and_spare_typed_values(
    tmp_path: Path, deals: tuple[Outcome, Staged]
) -> None:
    report.write_valid(deals[0].sheets[0], tmp_path / "valid.csv", safe=True)
    assert rows_of(tmp_path / "valid.csv")[1:] == [
        ["A, B", "-12.5", "+4930123456", "2024-01-01T09:00:00Z", "'=1+1"],
        ["D", "0.1", "", "", "'-x"],
    ]


FORMULAS = ["=1", "+1+cmd", "-2+3", "@x", "\tx", "\rx", "\nx", "＝1", "＋1", "－1", "＠x", "=\n1"]  # noqa: RUF001


@pytest.mark.parametrize("text", FORMULAS)
def test_no_formula_gets_through_a_safe_file(tmp_path: Path, text: str) -> None:
    table = staged(tmp_path, HEADERS, [])
    lines = io.StringIO()
    csv.writer(lines, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(
        [[text, "1", "", "", ""], ["ok", "x", "", "", text]]
    )
    table.path.write_bytes(lines.getvalue().encode())
    shard = replace(table.shards[0], records=2, end=len(lines.getvalue().encode()))
    table = replace(table, records=2, shards=(shard,), source=replace(table.source, read=2))
    (deals,) = outcome_of(tmp_path, table).sheets
    report.write_valid(deals, tmp_path / "valid.csv", safe=True)
    report.write_rejected(deals, [table], tmp_path / "rejected.csv", safe=True)
    assert rows_of(tmp_path / "valid.csv")[1][0] == f"'{text}"
    assert rows_of(tmp_path / "rejected.csv")[1][4] == f"'{text}"


def test_invalid_cells_say_where_and_what(tmp_path: Path, deals: tuple[Outcome, Staged]) -> None:
    report.write_invalid_cells(deals[0].sheets[0], tmp_path / "cells.csv")
    found = rows_of(tmp_path / "cells.csv")
    assert tuple(found[0]) == CELL_COLUMNS
    assert [row[:6] for row in found[1:]] == [
        ["deals.csv", "deals", "3", "Deal", "name", "required"],
        ["deals.csv", "deals", "3", "Amount", "amount", "invalid_format"],
        ["deals.csv", "deals", "4", "Phone", "phone", "invalid_type"],
    ]
    assert found[3][6] == "'030' is not a phone number with its country code (+49…)"


def test_rejected_rows_come_back_in_the_customers_columns(
    tmp_path: Path, deals: tuple[Outcome, Staged]
) -> None:
    outcome, table = deals
    broken = BrokenRow(row=6, line=9, code="quote", message="a quote is not closed", text='E,"')
    whole = replace(table, source=replace(table.source, read=5, broken=1), broken=(broken,))
    outcome = outcome_of(tmp_path / "two", whole) if (tmp_path / "two").mkdir() is None else outcome
    report.write_rejected(outcome.sheets[0], [whole], tmp_path / "rejected.csv")
    found = rows_of(tmp_path / "rejected.csv")
    assert found[0] == [*HEADERS, "reknit_row", "reknit_errors"]
    assert [row[:6] for row in found[1:]] == [
        [*ROWS[1], "3"], [*ROWS[2], "4"], ['E,"', "", "", "", "", "6"],
    ]  # fmt: skip
    assert found[1][6] == (
        "name: empty, but a value is needed; amount: '1,5' is not a number with at most 4 decimal"
        " places as the plan reads numbers"
    )


def test_rejected_rows_of_two_files_share_their_columns(tmp_path: Path) -> None:
    one = staged(tmp_path, HEADERS, ROWS[1:2], file="one.csv")
    two = staged(tmp_path, ["Phone", "Phone", *HEADERS], [["a", "b", *ROWS[2]]], file="two.csv")
    (deals,) = outcome_of(tmp_path, one, two).sheets
    report.write_rejected(deals, [one, two], tmp_path / "rejected.csv")
    header, first, second = rows_of(tmp_path / "rejected.csv")
    assert header == [*HEADERS, "Phone", "Phone", "reknit_file", "reknit_row", "reknit_errors"]
    assert first[:9] == [*ROWS[1], "", "", "one.csv", "2"]
    assert second[:9] == ["C", "100", "a", "", "@SUM(A1)", "b", "030", "two.csv", "2"]


def test_the_workbook_highlights_bad_cells(tmp_path: Path, deals: tuple[Outcome, Staged]) -> None:
    outcome, table = deals
    report.write_rejected_xlsx(outcome.sheets[0], [table], tmp_path / "rejected.xlsx")
    page = openpyxl.load_workbook(tmp_path / "rejected.xlsx").worksheets[0]
    assert [cell.value for cell in page[1]] == [*HEADERS, "reknit_row", "reknit_errors"]
    marked = {cell.coordinate for row in page.iter_rows(min_row=2) for cell in row if cell.comment}
    assert marked == {"A2", "B2", "C3"}
    assert page["B2"].fill.start_color.rgb == "FFFFC7CE"
    assert (page["E3"].value, page["E3"].data_type) == ("@SUM(A1)", "s")
    assert page["F2"].value == 3


def test_parquet_keeps_types_and_places(tmp_path: Path, deals: tuple[Outcome, Staged]) -> None:
    report.write_parquet(deals[0].sheets[0], tmp_path / "valid.parquet")
    kinds = duckdb.execute("DESCRIBE FROM read_parquet(?)", [str(tmp_path / "valid.parquet")])
    assert {row[0]: row[1] for row in kinds.fetchall()} == {
        "name": "VARCHAR", "amount": "DECIMAL(18,4)", "phone": "VARCHAR",
        "closed": "TIMESTAMP WITH TIME ZONE", "note": "VARCHAR", "_file": "VARCHAR", "_row": "BIGINT",
    }  # fmt: skip


def test_a_sheet_without_rows_still_has_its_headers(tmp_path: Path) -> None:
    table = replace(staged(tmp_path, HEADERS, []), shards=())
    (deals,) = outcome_of(tmp_path, table).sheets
    report.write_valid(deals, tmp_path / "valid.csv")
    report.write_invalid_cells(deals, tmp_path / "cells.csv")
    report.write_rejected(deals, [table], tmp_path / "rejected.csv")
    report.write_parquet(deals, tmp_path / "valid.parquet")
    assert rows_of(tmp_path / "valid.csv") == [[field.name for field in DEALS.fields]]
    assert rows_of(tmp_path / "cells.csv") == [list(CELL_COLUMNS)]
    assert rows_of(tmp_path / "rejected.csv")[0][:5] == HEADERS


def test_the_report_is_json_and_adds_up(tmp_path: Path, deals: tuple[Outcome, Staged]) -> None:
    outcome, table = deals
    told = json.loads(json.dumps(report.report(outcome, sources=(table.source,))))
    counts = told["accounting"]
    assert counts == {"read": 4, "valid": 2, "invalid": 2, "duplicate": 0, "skipped": 0}
    (deal,) = told["sheets"]
    assert deal["files"][0]["accounting"] == counts
    assert (deal["invalid_cells"], deal["warnings"]) == (3, 0)
    assert deal["coverage"][1] == {"field": "amount", "filled": 2, "distinct": 2, "percent": 100.0}
    assert {group["code"] for group in deal["groups"]} == {
        "required", "invalid_format", "invalid_type",
    }  # fmt: skip
