"""Files made to hurt: each is refused with its code or read, in a second, and nothing else runs."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from engine.errors import SourceCode, SourceError
from engine.intake import take_in
from engine.sandbox import Progress

SHEET = (
    '<?xml version="1.0"?>{doctype}<worksheet '
    'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}'
    "</sheetData></worksheet>"
)
CELL = '<row r="{row}"><c r="{column}{row}"><v>{value}</v></c></row>'


def workbook(rows: str, *, doctype: str = "") -> bytes:
    """A real workbook whose only sheet's part is replaced."""
    plain, out = io.BytesIO(), io.BytesIO()
    openpyxl.Workbook().save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in source.namelist():
            sheet = name.endswith("sheet1.xml")
            text = SHEET.format(doctype=doctype, rows=rows).encode() if sheet else source.read(name)
            made.writestr(name, text)
    return out.getvalue()


def sparse() -> bytes:
    first = CELL.format(row=1, column="A", value=1)
    return workbook(first + CELL.format(row=1_048_576, column="XFD", value=1))


def bomb() -> bytes:
    return workbook(CELL.format(row=1, column="A", value="1" + " " * 60_000_000))


def entities() -> bytes:
    doctype = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
    return workbook(CELL.format(row=1, column="A", value="&e;"), doctype=doctype)


def many_parts() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("xl/workbook.xml", "<x/>")
        for number in range(3_000):
            made.writestr(f"xl/{number}.xml", "")
    return out.getvalue()


def archive(name: str, data: bytes = b"a,b\n1,2\n", *, mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        made.writestr(entry, data)
    return out.getvalue()


def lying_size() -> bytes:
    """An entry whose header claims one byte."""
    data = bytearray(archive("a.csv", b"a,b\n" + b"1,2\n" * 1_000))
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1)
    return bytes(data)


def repeated_cells() -> bytes:
    out = io.BytesIO()
    cell = '<table:table-cell office:value-type="string" table:number-columns-repeated="16384"><text:p>x</text:p>'
    row = f'<table:table-row table:number-rows-repeated="1048576">{cell}</table:table-cell>'
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        made.writestr("META-INF/manifest.xml", "<manifest/>")
        made.writestr(
            "content.xml",
            '<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
            'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
            'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body>'
            "<office:spreadsheet><table:table table:name='a'>"
            f"{row}</table:table-row></table:table></office:spreadsheet></office:body>"
            "</office:document-content>",
        )
    return out.getvalue()


HOSTILE: list[tuple[str, Callable[[], bytes], set[SourceCode]]] = [
    ("sparse.xlsx", sparse, {SourceCode.BOMB}),
    ("bomb.xlsx", bomb, {SourceCode.BOMB}),
    ("xxe.xlsx", entities, {SourceCode.UNSAFE_XML}),
    ("parts.xlsx", many_parts, {SourceCode.BOMB}),
    ("repeat.ods", repeated_cells, {SourceCode.BOMB, SourceCode.INVALID_FORMAT}),
    ("up.zip", lambda: archive("../../a.csv"), {SourceCode.UNSAFE_ARCHIVE}),
    ("root.zip", lambda: archive("/etc/cron.d/a"), {SourceCode.UNSAFE_ARCHIVE}),
    ("link.zip", lambda: archive("a.csv", b"/etc/passwd", mode=0o120777), {SourceCode.UNSAFE_ARCHIVE}),
    ("nested.zip", lambda: archive("a.zip", archive("b.csv")), {SourceCode.UNSAFE_ARCHIVE}),
    ("lying.zip", lying_size, {SourceCode.INVALID_FORMAT}),
    ("cut.zip", lambda: archive("a.csv")[:60], {SourceCode.INVALID_FORMAT}),
    ("pdf.xlsx", lambda: b"%PDF-1.7\n", {SourceCode.INVALID_FORMAT}),
    ("page.xls", lambda: b"<!DOCTYPE html><table></table>", {SourceCode.INVALID_FORMAT}),
    ("noise.csv", lambda: bytes(range(256)) * 4_000 + b"\0" * 500_000, {SourceCode.NUL_BYTES}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "make", "codes"), HOSTILE, ids=[each[0] for each in HOSTILE])
def test_a_hostile_file_is_refused_with_its_code(
    tmp_path: Path, name: str, make: Callable[[], bytes], codes: set[SourceCode]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    path = tmp_path / "upload"
    path.write_bytes(make())
    with pytest.raises(SourceError) as caught:
        take_in(path, name=name, folder=work)
    assert caught.value.code in codes
    assert caught.value.file.startswith(name)


def test_a_csv_named_xlsx_is_read_and_a_workbook_with_a_wrong_dimension_too(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"a,b\n1,2\n")
    (table,) = take_in(path, name="a.xlsx", folder=tmp_path)
    assert table.records == 1
    path.write_bytes(
        workbook('<dimension ref="A1:XFD1048576"/>' + CELL.format(row=1, column="A", value=1))
    )
    (table,) = take_in(path, name="a.xlsx", folder=tmp_path)
    assert table.width == 1


def test_progress_counts_bytes_towards_the_file_size(tmp_path: Path) -> None:
    path, seen = tmp_path / "upload", list[Progress]()
    path.write_text("a;b\n" + "1;2\n" * 60_000 + "1;2;3\n")
    take_in(path, name="a.csv", folder=tmp_path, progress=seen.append)
    assert {each.total for each in seen} == {path.stat().st_size}
    assert 0 < seen[0].done <= seen[0].total
    assert seen[0].phase == "reading a.csv"
