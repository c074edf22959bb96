"""What a workbook's styles, hidden parts, formulas and odd cells become."""

import datetime
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import xlsxwriter
from small_files import codes, rows, staged, tables
from xlsxwriter.worksheet import Worksheet

from engine.intake.source import ReadCode

Fill = Callable[[Worksheet, xlsxwriter.Workbook], object]


def book(fill: Fill, **options: object) -> bytes:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink, options) as made:
        fill(made.add_worksheet("Data"), made)
    return sink.getvalue()


@pytest.mark.parametrize("epoch", [False, True], ids=["1900", "1904"])
def test_styles_are_undone_to_true_values(tmp_path: Path, epoch: bool) -> None:
    def fill(sheet: Worksheet, made: xlsxwriter.Workbook) -> None:
        sheet.write_row(0, 0, ["day", "moment", "share", "price", "text"])
        day, moment = (made.add_format({"num_format": f}) for f in ("dd.mm.yyyy", "d/m/yy hh:mm"))
        sheet.write_datetime(1, 0, datetime.datetime(2024, 2, 29), day)
        sheet.write_datetime(1, 1, datetime.datetime(2024, 2, 29, 13, 5), moment)
        sheet.write(1, 2, 0.125, made.add_format({"num_format": "0.0%"}))
        sheet.write(1, 3, 1234.5, made.add_format({"num_format": "#,##0.00 [$€-407]"}))
        sheet.write_string(1, 4, "007")

    table = staged(tmp_path, book(fill, date_1904=epoch), name="a.xlsx")
    assert rows(table) == [(2, ["2024-02-29", "2024-02-29 13:05:00", "0.125", "1234.5", "007"])]


def test_hidden_sheets_are_read_and_named(tmp_path: Path) -> None:
    def fill(sheet: Worksheet, made: xlsxwriter.Workbook) -> None:
        sheet.write_column(0, 0, ["n", 1, 2])
        sheet.set_row(2, None, None, {"hidden": True})
        old = made.add_worksheet("Old")
        old.write_column(0, 0, ["n", 3])
        old.hide()

    data, old = tables(tmp_path, book(fill), name="a.xlsx")
    (hidden,) = [note for note in old.source.notes if note.code is ReadCode.HIDDEN]
    assert "`Old` is hidden" in hidden.message
    assert rows(old) == [(2, ["3"])]
    assert [note.count for note in data.source.notes if note.code is ReadCode.HIDDEN] == [1]


def test_a_formula_has_its_stored_value_or_is_told(tmp_path: Path) -> None:
    def fill(sheet: Worksheet, made: xlsxwriter.Workbook) -> None:
        sheet.write_row(0, 0, ["n", "twice"])
        sheet.write_row(1, 0, [1])
        sheet.write_formula(1, 1, "=A2*2", None, 2)
        sheet.write_row(2, 0, [2])
        sheet.write_formula(2, 1, "=A3*2", None, "")

    table = staged(tmp_path, book(fill), name="a.xlsx")
    assert rows(table) == [(2, ["1", "2"]), (3, ["2", ""])]
    notes = [n for n in table.source.notes if n.code is ReadCode.FORMULA_UNCACHED]
    assert [note.count for note in notes] == [1]


def test_what_the_first_reader_refuses_the_second_reads(tmp_path: Path) -> None:
    good = book(lambda sheet, _: sheet.write_column(0, 0, ["n", 1, 2]))
    odd = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as source, zipfile.ZipFile(odd, "w") as out:
        for name in source.namelist():
            # A kind of cell that no standard knows.
            part = source.read(name).replace(b'<c r="A3">', b'<c r="A3" t="zz">')
            out.writestr(name, part)
    table = staged(tmp_path, odd.getvalue(), name="a.xlsx")
    assert rows(table) == [(2, ["1"]), (3, ["2"])]
    assert table.source.columns == ("n",)


def test_text_decoded_wrongly_before_is_told(tmp_path: Path) -> None:
    table = staged(tmp_path, "name,city\nMÃ¼ller,KÃ¶ln\nMay,Bonn\n")
    notes = [note for note in table.source.notes if note.code is ReadCode.MOJIBAKE]
    assert [note.count for note in notes] == [2]
    assert ReadCode.MIXED_ENCODING not in codes(table)
