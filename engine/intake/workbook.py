"""XLSX, XLS, XLSB and ODS: every sheet's cells as the text a person would see in an export."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import python_calamine as calamine

from engine.errors import SourceCode, SourceError
from engine.intake.formats import File
from engine.intake.parse import Record
from engine.intake.prescan import prescan
from engine.intake.rows import Reading, stage_rows
from engine.intake.source import Choice, Format, ReadCode, ReadNote, Staged

#: Excel keeps 15 digits; longer integers were rounded before they came here.
_EXACT = 10**15


def stage_workbook(reading: Reading) -> Iterator[Staged]:
    """Stage each sheet that holds anything; the plan may name one."""
    if reading.format is not Format.XLS:
        prescan(reading.file, reading.limits)
    with _refusals(reading.file):
        book = calamine.CalamineWorkbook.from_path(str(reading.file.path))
    found = 0
    for name in _sheets(book, reading):
        with _refusals(reading.file):
            sheet = book.get_sheet_by_name(name)
        if sheet.height == 0:
            continue
        try:
            staged = stage_rows(_records(sheet), _of_sheet(reading, book, sheet))
        except SourceError as error:
            if error.code is SourceCode.EMPTY:
                continue
            raise reading.file.error(error.code, error.message, f"sheet {name}") from None
        found += 1
        yield staged
    if not found:
        raise reading.file.error(SourceCode.EMPTY, "no sheet holds any cell")


def _sheets(book: calamine.CalamineWorkbook, reading: Reading) -> list[str]:
    wanted = reading.read.sheet
    names = [
        each.name for each in book.sheets_metadata if each.typ == calamine.SheetTypeEnum.WorkSheet
    ]
    if wanted is None:
        return names
    if wanted in names:
        return [wanted]
    if wanted.isdigit() and 1 <= int(wanted) <= len(names):
        return [names[int(wanted) - 1]]
    message = f"no sheet `{wanted}`; there are " + ", ".join(f"`{name}`" for name in names[:20])
    raise reading.file.error(SourceCode.OPTION, message, "sheet")


def _of_sheet(
    reading: Reading, book: calamine.CalamineWorkbook, sheet: calamine.CalamineSheet
) -> Reading:
    notes = []
    meta = next(each for each in book.sheets_metadata if each.name == sheet.name)
    if meta.visible != calamine.SheetVisibleEnum.Visible:
        notes.append(ReadNote(code=ReadCode.HIDDEN, message=f"the sheet `{sheet.name}` is hidden"))
    merged = sheet.merged_cell_ranges or []
    if merged:
        message = "merged areas; the value stands in their first cell"
        row = min(area[0][0] for area in merged) + 1
        notes.append(ReadNote(code=ReadCode.MERGED, message=message, count=len(merged), row=row))
    choice = Choice(
        what="sheet", value=sheet.name, confidence=1.0, given=reading.read.sheet is not None
    )
    facts: dict[str, object] = {"sheet": sheet.name, "choices": (choice,)}
    return replace(reading, facts=facts, notes=(*reading.notes, *notes))


def _records(sheet: calamine.CalamineSheet) -> Iterator[Record]:
    """Rows as Excel numbers them; columns left of the used area are left out."""
    for row, values in enumerate(sheet.iter_rows(), 1):
        yield Record(row, row, [_text(value) for value in values], "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, datetime.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return format(Decimal(repr(value)), "f")


@contextmanager
def _refusals(file: File) -> Iterator[None]:
    try:
        yield
    except calamine.PasswordError:
        message = "the workbook is password protected; save it without a password"
        raise file.error(SourceCode.ENCRYPTED, message) from None
    except (calamine.CalamineError, OSError, ValueError) as error:
        message = f"the workbook cannot be read: {str(error)[:200]}; save it again as XLSX"
        raise file.error(SourceCode.INVALID_FORMAT, message) from None
