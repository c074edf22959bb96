"""Tables side by side in one sheet or file, and what only looks so."""

import io
from pathlib import Path

import pytest
import xlsxwriter
from small_files import codes, rows, tables

from engine.intake import IntakeLimits, beside, stage
from engine.intake.source import ReadCode
from plans.plan import Read

STAFF = [["name", "age"], ["Jo", "5"], ["Mi", "6"], ["Zo", "7"], ["Al", "8"], ["Bo", "9"]]
TOWNS = [["town", "zip", "km"], ["Bonn", "53111", "3"], ["Kiel", "24103", "4"]]
Lines = list[list[str]]


def side_by_side(*blocks: Lines, gap: int = 1) -> Lines:
    """Rows of the blocks, a gap of empty columns between them."""
    height = max(map(len, blocks))
    wide = [[*block, *[[""] * len(block[0])] * (height - len(block))] for block in blocks]
    return [
        [cell for n, block in enumerate(wide) for cell in ([""] * gap if n else []) + block[at]]
        for at in range(height)
    ]


def workbook(lines: Lines) -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as book:
        sheet = book.add_worksheet("Data")
        for at, line in enumerate(lines):
            for column, cell in enumerate(line):
                if cell:
                    sheet.write(at, column, cell)
    return sink.getvalue()


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
def test_each_block_is_a_table_of_its_own_with_the_sheets_row_numbers(
    tmp_path: Path, name: str
) -> None:
    lines = [["Staff", "", "", "", "Towns", ""], [], *side_by_side(STAFF, TOWNS, gap=2)]
    text = "\n".join(",".join(line) for line in lines)
    data = workbook(lines) if name == "a.xlsx" else text.encode()
    one, two = tables(tmp_path, data, name=name)
    assert (one.source.columns, two.source.columns) == (("name", "age"), ("town", "zip", "km"))
    assert rows(one)[-1] == (8, ["Bo", "9"])
    assert rows(two) == [(4, ["Bonn", "53111", "3"]), (5, ["Kiel", "24103", "4"])]
    (note,) = [each for each in two.source.notes if each.code is ReadCode.OTHER_TABLE]
    assert note.message == "a table of columns E to G; beside it others: A to B"
    assert ReadCode.OTHER_TABLE in codes(one)


def test_blocks_of_the_same_names_or_of_another_first_row_are_tables() -> None:
    assert len(beside.spans(side_by_side(STAFF, STAFF, STAFF), Read())) == 3
    lower = [["Towns", "", ""], ["", "", ""], *TOWNS, ["Ulm", "89073", "5"]]
    assert len(beside.spans(side_by_side(STAFF, lower), Read())) == 2
    assert len(beside.spans([[], *side_by_side(STAFF, STAFF)], Read())) == 2


YEARS = [["Region", "men", "women"], ["N", "1", "2"], ["S", "3", "4"], ["E", "5", "6"]]
FORECAST = [["men", "women"], ["1", "2"], ["3", "4"], ["5", "6"]]
NOTES = [["note", "by"], ["checked", "Al"], ["", ""], ["", ""], ["late", "Bo"]]


@pytest.mark.parametrize(
    "lines",
    [
        side_by_side(YEARS, FORECAST),
        side_by_side(STAFF, NOTES),
        side_by_side(STAFF, [["x"], ["1"]]),
        side_by_side(STAFF[:4], [["town", "zip"], ["Rom", "1"], ["Ulm", "2"], ["Kiel", "3"]]),
        side_by_side(STAFF, [["A", "B"]]),
    ],
    ids=["years apart", "scattered remarks", "one column", "as long as each other", "a title"],
)
def test_what_may_be_one_table_stays_one(lines: Lines) -> None:
    assert beside.spans(lines, Read()) == ()


def test_a_plan_that_says_where_the_table_is_gets_just_that() -> None:
    assert beside.spans(side_by_side(STAFF, TOWNS), Read(header_row=1)) == ()


def test_more_rows_than_are_held_stay_one_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(",".join(line) for line in side_by_side(STAFF, TOWNS)))
    limits = IntakeLimits(beside=4)
    (only,) = stage(path, name="a.csv", folder=tmp_path, read=Read(), limits=limits)
    assert (only.width, only.records) == (6, 5)
