"""XLSX, XLS, XLSB and ODS: every sheet's cells as the text a person would see in an export."""

import datetime
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import openpyxl
import python_calamine as calamine

from engine.errors import SourceCode, SourceError
from engine.intake.formats import File
from engine.intake.parse import Record
from engine.intake.prescan import Sheet, prescan
from engine.intake.reading import Reading
from engine.intake.rows import stage_tables
from engine.intake.source import Choice, Format, ReadCode, ReadNote, Staged, told

#: Excel keeps 15 digits; longer integers were rounded before they came here.
_EXACT = 10**15
#: Rows in which titles of groups are looked for.
TOP = 50
Area = tuple[tuple[int, int], tuple[int, int]]


def stage_workbook(reading: Reading) -> Iterator[Staged]:
    """Stage each sheet that holds anything; the plan may name one."""
    file = reading.file
    facts = {} if reading.format is Format.XLS else prescan(file, reading.limits)
    try:
        book = calamine.CalamineWorkbook.from_path(str(file.path))
        # All or none: half a workbook followed by the second opinion would be read twice.
        found = list(_stage_all(_with_calamine(book, reading, facts), reading))
    except calamine.PasswordError:
        message = "the workbook is password protected; save it without a password"
        raise file.error(SourceCode.ENCRYPTED, message) from None
    except (calamine.CalamineError, OSError, ValueError) as error:
        if reading.format is not Format.XLSX:
            raise _unreadable(file, error) from None
        found = list(_second_opinion(reading))
    yield from found


def _second_opinion(reading: Reading) -> Iterator[Staged]:
    try:
        yield from _stage_all(_with_openpyxl(reading), reading)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - it raises whatever its parser met
        raise _unreadable(reading.file, error) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sheet:
    """A sheet a reader opened."""

    name: str
    rows: Iterator[Sequence[Any]]
    notes: Sequence[ReadNote] = ()
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    titles: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  #: row: columns


def _stage_all(sheets: Iterator[_Sheet], reading: Reading) -> Iterator[Staged]:
    found = 0
    for sheet in sheets:
        choice = Choice(
            what="sheet", value=sheet.name, confidence=1.0, given=reading.read.sheet is not None
        )
        of_sheet = replace(
            reading,
            facts={"sheet": sheet.name, "choices": (choice,)},
            notes=(*reading.notes, *sheet.notes),
        )
        try:
            for staged in stage_tables(_records(sheet), of_sheet):
                yield staged
                found += 1
        except SourceError as error:
            if error.code is not SourceCode.EMPTY:
                place = f"sheet {sheet.name}"
                raise reading.file.error(error.code, error.message, place) from None
    if not found:
        raise reading.file.error(SourceCode.EMPTY, "no sheet holds any cell")


def _with_calamine(
    book: calamine.CalamineWorkbook, reading: Reading, facts: dict[str, Sheet]
) -> Iterator[_Sheet]:
    kinds = {each.name: each for each in book.sheets_metadata}
    tables = [name for name, each in kinds.items() if each.typ == calamine.SheetTypeEnum.WorkSheet]
    for name in _wanted(tables, reading):
        sheet, fact = book.get_sheet_by_name(name), facts.get(name, Sheet())
        if sheet.height == 0:
            continue
        hidden = kinds[name].visible != calamine.SheetVisibleEnum.Visible
        merged = sheet.merged_cell_ranges or []
        notes = _notes(name, fact, merged, hidden=hidden)
        yield _Sheet(
            name=name,
            rows=sheet.iter_rows(),
            notes=notes,
            errors=fact.errors,
            titles=_titles(merged),
        )


def _titles(merged: Sequence[Area]) -> dict[int, list[tuple[int, int]]]:
    """Where the top rows have several cells merged sideways: titles of groups of columns."""
    rows = defaultdict[int, list[tuple[int, int]]](list)
    for (row, start), (last, end) in merged:
        if row == last < TOP and start < end:
            rows[row].append((start, end))
    return {row: areas for row, areas in rows.items() if len(areas) > 1}


def _with_openpyxl(reading: Reading) -> Iterator[_Sheet]:
    """The second opinion: ten times slower, but it reads what calamine refuses."""
    with reading.file.path.open("rb") as opened:
        book = openpyxl.load_workbook(opened, read_only=True, data_only=True)
        for name in _wanted(book.sheetnames, reading):
            sheet = book[name]
            if hasattr(sheet, "iter_rows"):
                yield _Sheet(name=name, rows=sheet.iter_rows(values_only=True))


def _unreadable(file: File, error: Exception) -> SourceError:
    message = f"the workbook cannot be read: {str(error)[:200]}; save it again as XLSX"
    return file.error(SourceCode.INVALID_FORMAT, message)


def _notes(name: str, fact: Sheet, merged: Sequence[Area], *, hidden: bool) -> list[ReadNote]:
    """What a person should know of the sheet."""
    return told(
        (ReadCode.HIDDEN, int(hidden), f"the sheet `{name}` is hidden", None),
        (ReadCode.HIDDEN, fact.hidden, "hidden rows, read like the others", None),
        (
            ReadCode.MERGED,
            len(merged),
            "merged areas; the value stands in their first cell",
            min((area[0][0] + 1 for area in merged), default=None),
        ),
        (
            ReadCode.ERROR_CELL,
            len(fact.errors),
            "cells with an error such as #DIV/0!",
            min((row + 1 for row, _ in fact.errors), default=None),
        ),
        (
            ReadCode.FORMULA_UNCACHED,
            fact.uncached,
            "formulas that were never calculated; open and save the workbook in a spreadsheet",
            None,
        ),
    )


def _wanted(names: Sequence[str], reading: Reading) -> Sequence[str]:
    wanted = reading.read.sheet
    if wanted is None:
        return names
    if wanted in names:
        return [wanted]
    if wanted.isdigit() and 1 <= int(wanted) <= len(names):
        return [names[int(wanted) - 1]]
    message = f"no sheet `{wanted}`; there are " + ", ".join(f"`{name}`" for name in names[:20])
    raise reading.file.error(SourceCode.OPTION, message, "sheet")


def _records(sheet: _Sheet) -> Iterator[Record]:
    """Rows as Excel numbers them. Error cells get the text that calamine leaves out; titles of
    groups stand in each of their columns.
    """
    errors = defaultdict[int, dict[int, str]](dict)
    for (row, column), text in sheet.errors.items():
        errors[row][column] = text
    for row, values in enumerate(sheet.rows):
        cells = [_text(value) for value in values] or [""]
        for column, text in errors.get(row, {}).items():
            if column < len(cells) and not cells[column]:
                cells[column] = text
        for start, end in sheet.titles.get(row, ()):
            cells[start : end + 1] = cells[start : start + 1] * (end + 1 - start)
        yield Record(row + 1, row + 1, cells, "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
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
