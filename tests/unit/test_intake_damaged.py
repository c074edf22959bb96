"""Workbooks somebody damaged: refused with a code, or read as if nothing were; never half of them."""

import io
import re
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import xlsxwriter
from small_files import rows, tables

from engine.errors import SourceCode, SourceError

Parts = dict[str, bytes]
SHEET, BOOK, LINKS = "xl/worksheets/sheet1.xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels"


def workbook() -> Parts:
    sink = io.BytesIO()
    with xlsxwriter.Workbook(sink) as made:
        sheet, day = made.add_worksheet("Data"), made.add_format({"num_format": "yyyy-mm-dd"})
        sheet.write_row(0, 0, ["name", "joined", "n"])
        for at in range(1, 4):
            sheet.write(at, 0, f"person {at}")
            sheet.write_datetime(at, 1, datetime(2020, 1, at), day)
            sheet.write(at, 2, at * 1_000)
        made.add_worksheet("Other").write_column(0, 0, ["n", 1, 2])
    with zipfile.ZipFile(sink) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Parts) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return sink.getvalue()


def put(part: str, old: str, new: str) -> Callable[[Parts], object]:
    def change(parts: Parts) -> None:
        changed = re.sub(old.encode(), new.encode(), parts[part], count=1)
        assert changed != parts[part]
        parts[part] = changed

    return change


def gone(part: str) -> Callable[[Parts], object]:
    return lambda parts: parts.pop(part)


REFUSED = {
    "a sheet without its part": gone("xl/worksheets/sheet2.xml"),
    "no styles, which tell dates from numbers": gone("xl/styles.xml"),
    "no texts": gone("xl/sharedStrings.xml"),
    "too few texts": put("xl/sharedStrings.xml", "<si>(?!.*<si>).*</si>", ""),
    "a link to nowhere": put(LINKS, "worksheets/sheet1.xml", "worksheets/sheet9.xml"),
    "a link to no sheet": put(LINKS, "worksheets/sheet1.xml", "styles.xml"),
    "two sheets of one part": put(LINKS, "worksheets/sheet1.xml", "worksheets/sheet2.xml"),
    "a sheet without a link": put(BOOK, 'r:id="rId1"', 'r:id="rId99"'),
    "an unknown text": put(SHEET, 't="s"><v>1<', 't="s"><v>999<'),
    "a text without a number": put(SHEET, 't="s"><v>1<', 't="s"><v>x<'),
    "a row that is nowhere": put(SHEET, '<row r="3"', '<row r="0"'),
    "a row without a number": put(SHEET, '<row r="3"', '<row r="x"'),
    "a cell without a column": put(SHEET, 'r="A3"', 'r="3A"'),
    "half of a part": put(SHEET, "</row>.*", ""),
}  # fmt: skip


@pytest.mark.parametrize("damage", REFUSED.values(), ids=REFUSED)
def test_a_damaged_workbook_is_refused(tmp_path: Path, damage: Callable[[Parts], object]) -> None:
    parts = workbook()
    damage(parts)
    with pytest.raises(SourceError) as refused:
        tables(tmp_path, packed(parts), name="a.xlsx")
    assert refused.value.code is SourceCode.INVALID_FORMAT


def test_a_part_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    parts = workbook()
    sink = io.BytesIO(packed(parts))
    with (
        zipfile.ZipFile(sink, "a") as archive,
        pytest.warns(UserWarning, match="Duplicate name"),
    ):
        archive.writestr(SHEET, parts[SHEET].replace(b"1000", b"6666"))
    with pytest.raises(SourceError, match="one name"):
        tables(tmp_path, sink.getvalue(), name="a.xlsx")


def test_a_cell_far_away_is_refused_wherever_its_row_says_it_is(tmp_path: Path) -> None:
    parts = workbook()
    put(SHEET, 'r="C3"', 'r="XFD900000"')(parts)
    with pytest.raises(SourceError) as refused:
        tables(tmp_path, packed(parts), name="a.xlsx")
    assert refused.value.code is SourceCode.BOMB


HARMLESS = {
    "a wrong extent": put(SHEET, '<dimension ref="[^"]*"/>', '<dimension ref="C3:D4"/>'),
    "a huge extent": put(SHEET, '<dimension ref="[^"]*"/>', '<dimension ref="A1:XFD1048576"/>'),
    "an absolute link": put(LINKS, '"worksheets/sheet1.xml"', '"/xl/worksheets/sheet1.xml"'),
    "no theme": gone("xl/theme/theme1.xml"),
    "rows without numbers": put(SHEET, '<row r="3"', "<row"),
}


@pytest.mark.parametrize("damage", HARMLESS.values(), ids=HARMLESS)
def test_what_does_not_touch_the_cells_does_no_harm(
    tmp_path: Path, damage: Callable[[Parts], object]
) -> None:
    parts = workbook()
    damage(parts)
    data, other = tables(tmp_path, packed(parts), name="a.xlsx")
    assert rows(data)[1] == (3, ["person 2", "2020-01-02", "2000"])
    assert (data.records, other.records) == (3, 2)
