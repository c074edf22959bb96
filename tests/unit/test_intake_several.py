"""Several tables in one file or sheet, and tables that lie on their side."""

import io
from pathlib import Path

import pytest
import xlsxwriter
from small_files import codes, rows, staged, tables

from engine.intake.source import ReadCode
from engine.intake.table import opens
from plans.plan import Read

TYPED = "name,age,day\nJo,5,x\nMi,6,y\nZo,7,z\n"
TOWNS = "town,zip\nBonn,53111\nKiel,24103\nUlm,89073\n"


def test_a_table_of_another_width_is_staged_as_one_of_its_own(tmp_path: Path) -> None:
    one, two = tables(tmp_path, TYPED + TOWNS)
    assert (one.source.columns, one.source.read, one.records) == (("name", "age", "day"), 3, 3)
    assert (two.source.columns, two.source.header_rows) == (("town", "zip"), (5,))
    assert rows(two) == [(6, ["Bonn", "53111"]), (7, ["Kiel", "24103"]), (8, ["Ulm", "89073"])]
    (note,) = [each for each in one.source.notes if each.code is ReadCode.OTHER_TABLE]
    assert note.row == 5
    assert ReadCode.OTHER_TABLE not in codes(two)


def test_a_title_between_two_tables_stands_above_the_second(tmp_path: Path) -> None:
    text = f"{TYPED}\nTowns of 2025\n\ntown,zip,km\nBonn,53111,3\nKiel,24103,4\n"
    one, two = tables(tmp_path, text)
    assert (one.records, one.source.skipped, one.source.read) == (3, 1, 4)
    assert (two.source.header_rows, two.records) == ((8,), 2)
    assert ReadCode.PREAMBLE in codes(two)


def test_a_table_far_below_is_found_too(tmp_path: Path) -> None:
    many = "".join(f"x{n},{n},y\n" for n in range(3_000))
    one, two = tables(tmp_path, f"name,age,day\n{many}\n{TOWNS}")
    assert (one.records, two.records) == (3_000, 3)
    assert two.source_row(0) == 3_004


def test_tables_of_a_sheet_are_as_wide_as_their_own_cells(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        sheet = book.add_worksheet("Data")
        lines = [["n", "age", "eye"], ["Jo", 5, "blue"], ["Mi", 6, "red"], []]
        lines += [["town", "zip", "km", "at"], ["Bonn", 53111, 3, "x"], ["Ulm", 89073, 4, "y"]]
        for at, line in enumerate(lines):
            sheet.write_row(at, 0, line)
    one, two = tables(tmp_path, sink.getvalue(), name="a.xlsx")
    assert (one.source.columns, two.source.columns) == (
        ("n", "age", "eye"),
        ("town", "zip", "km", "at"),
    )
    assert rows(two)[0] == (6, ["Bonn", "53111", "3", "x"])


@pytest.mark.parametrize(
    "ahead",
    [
        [["Zoe", "9", "x"], ["Kim", "8", "y"]],
        [["name", "age", "day"], ["Kim", "8", "y"]],
        [["unknown", "", ""], ["Kim", "8", "y"]],
        [["Region North"], ["Kim", "8", "y"]],
        [["town", "zip", "km"]],
    ],
)
def test_rows_behind_a_gap_are_no_table_of_their_own(ahead: list[list[str]]) -> None:
    before = [["name", "age", "day"], ["Jo", "5", "x"], ["Mi", "6", "y"]]
    assert not opens(before, ahead)


def test_pairs_of_names_and_values_stay_a_preamble(tmp_path: Path) -> None:
    pairs = "Account,12345\nFrom,2025-01-01\nTo,2025-01-31\n\n"
    table = staged(tmp_path, f"{pairs}day,text,amount\n2025-01-02,fee,3.10\n2025-01-03,sale,9.00\n")
    assert (table.source.header_rows, table.records) == ((5,), 2)


LYING = "Name,Ann,Bob,Cid\nAge,31,42,27\nJoined,2020-01-01,2021-02-03,2022-03-04\nCity,Rome,Oslo,\n"


def test_a_table_on_its_side_is_turned(tmp_path: Path) -> None:
    table = staged(tmp_path, LYING)
    assert table.source.columns == ("Name", "Age", "Joined", "City")
    assert table.source.transposed
    assert ReadCode.TRANSPOSED in codes(table)
    assert rows(table)[2] == (4, ["Cid", "27", "2022-03-04", ""])


def test_a_small_table_on_its_side_is_unsure_and_the_call_can_say(tmp_path: Path) -> None:
    small = "Name,Ann,Bob\nAge,31,42\nJoined,2020-01-01,2021-02-03\n"
    table = staged(tmp_path, small)
    assert [view.read for view in table.source.views] == [
        Read(transposed=False),
        Read(transposed=True),
    ]
    assert table.source.columns == ("Name", "Ann", "Bob")
    turned = staged(tmp_path, small, transposed=True)
    assert (turned.source.columns, turned.source.views) == (("Name", "Age", "Joined"), ())


@pytest.mark.parametrize(
    "text",
    [
        "Metric,Jan,Feb,Mar\nRevenue,1,2,3\nCost,4,5,6\nStaff,7,8,9\n",
        "Name,Age,Joined,City\nAnn,31,2020-01-01,Rome\nBob,42,2021-02-03,Oslo\n",
        "key,value\nname,Ann\nage,31\n",
    ],
)
def test_a_table_that_stands_is_left_alone(tmp_path: Path, text: str) -> None:
    assert not staged(tmp_path, text).source.transposed
