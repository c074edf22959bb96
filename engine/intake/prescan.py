"""Looks through a workbook's parts before any reader opens it: bombs, entities, extents.

Readers trust what a part says of itself and abort the whole process on some of it; this counts
the inflated bytes and reads where cells really stand.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from engine.errors import SourceCode
from engine.intake.formats import File
from engine.intake.limits import IntakeLimits

CHUNK, OVERLAP = 1 << 20, 256
MAX_ROWS, MAX_COLUMNS = 1_048_576, 16_384
_UNSAFE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d+)"')
_CELL = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,9})\d')
_REPEAT = re.compile(rb'number-(rows|columns)-repeated="(\d+)"')
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extent:
    """The furthest row and column of a sheet's part, and what stands in its cells."""

    rows: int = 0
    columns: int = 0
    errors: int = 0
    uncached: int = 0
    hidden: int = 0


def prescan(file: File, limits: IntakeLimits) -> dict[str, Extent]:
    """Check a zipped workbook; the extent of each XLSX sheet part. Raises SourceError."""
    packed, inflated = file.size, 0
    extents: dict[str, Extent] = {}
    try:
        with zipfile.ZipFile(file.path) as archive:
            entries = archive.infolist()
            if len(entries) > limits.entries:
                message = f"{len(entries):,} parts in the workbook"
                raise file.error(SourceCode.BOMB, message)
            for entry in entries:
                if entry.flag_bits & 1:
                    message = "the workbook is password protected; save it without a password"
                    raise file.error(SourceCode.ENCRYPTED, message)
                parts = _part(archive, entry)
                is_xml = entry.filename.lower().endswith((".xml", ".rels")) and not (
                    entry.filename.startswith(("customXml/", "docProps/"))
                )
                sheet = bool(_SHEET.fullmatch(entry.filename))
                extent = Extent()
                for size, part in parts:
                    inflated += size
                    _check_size(file, inflated, packed, limits)
                    if is_xml:
                        _check_xml(file, part, entry.filename)
                    if sheet:
                        extent = _grow(extent, part, file, limits)
                if sheet:
                    extents[entry.filename] = extent
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        message = f"the workbook is damaged: {str(error)[:200]}"
        raise file.error(SourceCode.INVALID_FORMAT, message) from None
    return extents


def _part(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[tuple[int, bytes]]:
    """Blocks of one part with a little of the block before, so that no match is cut."""
    rest = b""
    with archive.open(entry) as opened:
        while part := opened.read(CHUNK):
            yield len(part), rest + part
            rest = part[-OVERLAP:]


def _check_size(file: File, inflated: int, packed: int, limits: IntakeLimits) -> None:
    ratio = inflated / max(1, packed)
    if inflated > limits.sheet_bytes or (inflated > 1 << 20 and ratio > limits.ratio):
        message = f"the workbook inflates to {ratio:,.0f} times its size; save it again as XLSX"
        raise file.error(SourceCode.BOMB, message)


def _check_xml(file: File, part: bytes, name: str) -> None:
    if _UNSAFE.search(part) or part[:2] in (b"\xff\xfe", b"\xfe\xff"):
        message = f"the part `{name[:100]}` declares entities; save the workbook again"
        raise file.error(SourceCode.UNSAFE_XML, message)


def _grow(extent: Extent, part: bytes, file: File, limits: IntakeLimits) -> Extent:
    rows = max(map(int, _ROW.findall(part)), default=0)
    columns = max((_column(name) for name in set(_CELL.findall(part))), default=0)
    grown = Extent(
        rows=max(extent.rows, rows),
        columns=max(extent.columns, columns),
        errors=extent.errors + part.count(b' t="e"', OVERLAP if extent.rows else 0),
        hidden=extent.hidden + part.count(b' hidden="1"', OVERLAP if extent.rows else 0),
    )
    if grown.rows > MAX_ROWS or grown.columns > MAX_COLUMNS:
        message = f"a cell in row {grown.rows:,}, column {grown.columns:,}: no such place in Excel"
        raise file.error(SourceCode.BOMB, message)
    if grown.rows * grown.columns > limits.cells:
        message = (
            f"the used area spans {grown.rows:,} x {grown.columns:,} cells; "
            "delete the stray cell far outside of the table, or save the sheet as CSV"
        )
        raise file.error(SourceCode.BOMB, message)
    return grown


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
