"""Looks through a workbook's parts before any reader opens it: bombs, entities, extents.

Readers trust what a part says of itself and abort the whole process on some of it; this counts
the inflated bytes and reads where cells really stand.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

from engine.errors import SourceCode, SourceError
from engine.intake.formats import File
from engine.intake.limits import IntakeLimits

CHUNK, OVERLAP = 1 << 20, 512
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
_UNSAFE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]{0,200}?\br="(\d+)"')
_CELL = re.compile(rb'<(?:\w+:)?c\b[^>]{0,200}?\br="([A-Z]{1,9})(\d+)')
#: A row that is nowhere: readers leave it out.
_NO_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]{0,200}?\br="(?:0+"|-)')
#: A cell that names its text otherwise than by number: readers take the first text for it.
_NO_TEXT = re.compile(rb'\bt="s"[^>]{0,100}><v>(?!\d+</v>|</v>)')
_HIDDEN = re.compile(rb'<(?:\w+:)?row\b[^>]{0,200}?\bhidden="(?:1|true)"')
_UNCACHED = re.compile(rb"(?:</f>|<f\b[^>]{0,200}/>)(?:<v></v>|<v/>)?</(?:\w+:)?c>")
_ERROR = re.compile(
    rb'<(?:\w+:)?c r="([A-Z]{1,3})(\d{1,7})"(?: s="\d+")? t="e"[^>]{0,100}>(?:<f\b.{0,200}?(?:</f>|/>))?'
    rb"<v>([^<]{1,20})</v>"
)
MAX_ERRORS = 100_000
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
#: Parts no reader opens.
_UNREAD = ("customXml/", "docProps/")
_SHEET = re.compile(r"(?:^|/)worksheets/[^/]+\.xml$", re.IGNORECASE)


@dataclass(slots=True)
class Sheet:
    """What a reader does not tell of an XLSX sheet: its furthest cell, errors, hidden rows."""

    rows: int = 0
    columns: int = 0
    uncached: int = 0
    hidden: int = 0
    errors: dict[tuple[int, int], str] = field(default_factory=dict)  #: 0-based row and column


def prescan(file: File, limits: IntakeLimits) -> dict[str, Sheet]:
    """Check a zipped workbook; its XLSX sheets by name. Raises SourceError."""
    inflated = 0
    sheets: dict[str, Sheet] = {}
    try:
        with zipfile.ZipFile(file.path) as archive:
            entries = archive.infolist()
            if len(entries) > limits.entries:
                raise file.error(SourceCode.BOMB, f"{len(entries):,} parts in the workbook")
            if len({entry.filename for entry in entries}) < len(entries):
                raise _damaged(file, "two of its parts have one name")
            for entry in entries:
                inflated += _check_part(file, archive, entry, sheets, inflated, limits)
            return _by_name(file, archive, sheets)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise _damaged(file, str(error)[:200]) from None


def _damaged(file: File, why: str) -> SourceError:
    message = f"the workbook is damaged: {why}; open and save it in a spreadsheet"
    return file.error(SourceCode.INVALID_FORMAT, message)


def _check_part(
    file: File,
    archive: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    sheets: dict[str, Sheet],
    before: int,
    limits: IntakeLimits,
) -> int:
    """Look through one part; how many bytes it holds."""
    if entry.flag_bits & 1:
        message = "the workbook is password protected; save it without a password"
        raise file.error(SourceCode.ENCRYPTED, message)
    name, size = entry.filename, 0
    read = name.lower().endswith((".xml", ".rels")) and not name.startswith(_UNREAD)
    sheet = sheets.setdefault(name, Sheet()) if _SHEET.search(name) else None
    for part, fresh in _part(archive, entry):
        size += fresh
        _check_size(file, before + size, limits)
        if read:
            _check_xml(file, part, name)
        if sheet is not None:
            _look(sheet, part, len(part) - fresh)
            _check_extent(file, sheet, limits)
            if _NO_TEXT.search(part) or _NO_ROW.search(part):
                raise _damaged(file, f"a cell in `{name}` names no text, or a row no place")
    return size


def _part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[tuple[bytes, int]]:
    """Blocks of one part, each with a little of the block before so that no match is cut, and how
    many of its bytes are new.
    """
    rest = b""
    with archive.open(entry) as opened:
        while part := opened.read(CHUNK):
            yield rest + part, len(part)
            rest = part[-OVERLAP:]


def _check_size(file: File, inflated: int, limits: IntakeLimits) -> None:
    ratio = inflated / max(1, file.size)
    if inflated > limits.sheet_bytes or (inflated > 1 << 20 and ratio > limits.ratio):
        message = f"the workbook inflates to {ratio:,.0f} times its size; save it again as XLSX"
        raise file.error(SourceCode.BOMB, message)


def _check_xml(file: File, part: bytes, name: str) -> None:
    if _UNSAFE.search(part) or part[:2] in (b"\xff\xfe", b"\xfe\xff"):
        message = f"the part `{name[:100]}` declares entities; save the workbook again"
        raise file.error(SourceCode.UNSAFE_XML, message)


def _look(sheet: Sheet, part: bytes, seen: int) -> None:
    """Add what a block shows; its first `seen` bytes were in the block before."""
    cells = _CELL.findall(part)
    rows = {row for _, row in cells}.union(_ROW.findall(part))
    sheet.rows = max([sheet.rows, *map(int, rows)])
    sheet.columns = max([sheet.columns, *map(_column, {letters for letters, _ in cells})])
    sheet.hidden += sum(found.end() > seen for found in _HIDDEN.finditer(part))
    sheet.uncached += sum(found.end() > seen for found in _UNCACHED.finditer(part))
    if len(sheet.errors) < MAX_ERRORS:
        for found in _ERROR.finditer(part):
            place = (int(found[2]) - 1, _column(found[1]) - 1)
            sheet.errors[place] = found[3].decode("utf-8", "replace")


def _check_extent(file: File, sheet: Sheet, limits: IntakeLimits) -> None:
    if sheet.rows > MAX_ROWS or sheet.columns > MAX_COLUMNS:
        message = f"a cell in row {sheet.rows:,}, column {sheet.columns:,}: there is no such place"
        raise file.error(SourceCode.BOMB, message)
    if sheet.rows * sheet.columns > limits.cells:
        message = (
            f"the used area spans {sheet.rows:,} x {sheet.columns:,} cells; "
            "delete the stray cell far outside of the table, or save the sheet as CSV"
        )
        raise file.error(SourceCode.BOMB, message)


def _by_name(file: File, archive: zipfile.ZipFile, parts: dict[str, Sheet]) -> dict[str, Sheet]:
    """Sheets by the name a person sees; none where the package is laid out unusually.

    Refuses a workbook that lacks a sheet or its styles: readers leave the one out and take dates
    for numbers without the other.
    """
    try:
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    except (KeyError, ElementTree.ParseError):
        return {}
    there = {name.lower() for name in archive.namelist()}
    targets = {
        each.get("Id"): posixpath.normpath(posixpath.join("/xl", each.get("Target", "")))[1:]
        for each in links
    }
    styles = [targets[each.get("Id")] for each in links if each.get("Type", "").endswith("/styles")]
    if any(name.lower() not in there for name in styles):
        raise _damaged(file, "its styles are missing, which tell dates from numbers")
    found, seen = {}, set[str]()
    for each in book.iter(f"{_MAIN}sheet"):
        name, target = each.get("name", ""), targets.get(each.get(f"{_RELATION}id"), "")
        if target.lower() not in there or "sheets/" not in target:
            raise _damaged(file, f"the sheet `{name[:100]}` is missing")
        if target.lower() in seen:
            raise _damaged(file, f"the sheet `{name[:100]}` has the cells of another one")
        seen.add(target.lower())
        if target in parts:
            found[name] = parts[target]
    return found


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
