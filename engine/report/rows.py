"""Invalid cells and valid rows as one file each, out of the parts that execution left."""

import contextlib
import csv
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.compiler import types
from engine.compiler.expressions import plain
from engine.outcome import CELL_COLUMNS, SheetOutcome
from engine.shards import Database, database
from engine.sql import ident, literal
from plans.template import FieldType

CRLF = "FORMAT csv, HEADER true, new_line '\r\n'"

#: What a spreadsheet may run as a formula (OWASP ASVS 1.2.10), full-width forms included …
FORMULA = "^[=+\\-@\\t\\r\\n\\x00\uff1d\uff0b\uff0d\uff20]"
#: … but a phone number in E.164 is none. Both read the same to DuckDB and to Python.
PHONE = "[+][1-9][0-9]{6,14}"


def spreadsheet_safe(text: str) -> str:
    """SQL: the text with an apostrophe in front where a spreadsheet would see a formula."""
    runs = f"regexp_matches({text}, {literal(FORMULA)})"
    phone = f"regexp_full_match({text}, {literal(PHONE)})"
    return f"CASE WHEN {runs} AND NOT {phone} THEN '''' || {text} ELSE {text} END"


def csv_text(value: str, type_: str, *, safe: bool) -> str:
    """SQL: a value of that DuckDB type in canonical text; `safe`: text that no spreadsheet runs."""
    if type_.startswith("TIMESTAMP"):
        zone = " AT TIME ZONE 'UTC'" if type_.endswith("TIME ZONE") else ""
        return types.canonical(FieldType.DATETIME, type_, f"({value}{zone})")
    if type_.startswith("DECIMAL"):
        return value if type_.endswith(",0)") else plain(value)
    if type_.endswith("[]"):
        value = f"array_to_string({value}, ';')"
    elif type_ != "VARCHAR":
        return value
    return spreadsheet_safe(value) if safe else value


def told(message: str, value: str) -> str:
    """SQL: the check's message as a sentence about the value."""
    shown = f"'''' || left({value}, 80) || '''"
    return (
        f"CASE WHEN coalesce({value}, '') = '' THEN {message}"
        f" WHEN regexp_matches({message}, '^(not|less|more|shorter|longer) ')"
        f" THEN {shown} is ' || {message}"
        f" WHEN starts_with({message}, 'does not ') THEN {shown} ' || {message}"
        f" ELSE {message} END"
    )


def write_invalid_cells(sheet: SheetOutcome, path: Path, *, safe: bool = False) -> None:
    """Every invalid cell of the sheet, warnings included; those of unreadable rows last."""
    if not sheet.invalid_cells:
        _write_header(path, CELL_COLUMNS)
        return
    values = {name: ident(name) for name in CELL_COLUMNS}
    values["message"] = told("message", "value")
    if safe:
        for name in ("file", "column", "message", "value"):
            values[name] = spreadsheet_safe(values[name])
    names = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    with database(path.parent, readable=sheet.invalid_cells) as db:
        db.run(f"COPY (SELECT {names} FROM {_parts(sheet.invalid_cells)}) TO {_to(path)} ({CRLF})")


def write_valid(sheet: SheetOutcome, path: Path, *, safe: bool = False) -> None:
    """The valid rows in template order. Not `safe`, the bytes are execution's own."""
    if not sheet.valid_csv:
        _write_header(path, sheet.columns)
    elif not safe:
        _join(sheet.valid_csv, path)
    else:
        with database(path.parent, readable=sheet.valid_parquet) as db:
            values = _safe_values(db, sheet)
            rows = f"SELECT {values} FROM {_parts(sheet.valid_parquet)}"
            db.run(f"COPY ({rows}) TO {_to(path)} ({CRLF})")


def write_parquet(sheet: SheetOutcome, path: Path) -> None:
    """The valid rows with their types, and `_file` and `_row`: where each came from."""
    if len(sheet.valid_parquet) == 1:
        _join(sheet.valid_parquet, path)
        return
    with database(path.parent, readable=sheet.valid_parquet) as db:
        rows = f"SELECT * FROM {_parts(sheet.valid_parquet)}"
        if not sheet.valid_parquet:
            names = (*sheet.columns, "_file", "_row")
            empty = ", ".join(f"CAST(NULL AS VARCHAR) AS {ident(name)}" for name in names)
            rows = f"SELECT {empty} WHERE FALSE"
        db.run(f"COPY ({rows}) TO {_to(path)} (FORMAT parquet)")


def _join(parts: Sequence[Path], path: Path) -> None:
    """One file of all parts; a single part is not copied where the disk lets it have two names."""
    path.unlink(missing_ok=True)
    if len(parts) == 1:
        with contextlib.suppress(OSError):
            os.link(parts[0], path)
            return
    with path.open("wb") as whole:
        for part in parts:
            with part.open("rb") as opened:
                shutil.copyfileobj(opened, whole, 1 << 20)


def _safe_values(db: Database, sheet: SheetOutcome) -> str:
    described = db.rows(f"DESCRIBE SELECT * FROM {_parts(sheet.valid_parquet)}")
    kinds = {str(row[0]): str(row[1]) for row in described}
    texts = {name: csv_text(ident(name), kinds[name], safe=True) for name in sheet.columns}
    return ", ".join(f"{text} AS {ident(name)}" for name, text in texts.items())


def _parts(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"


def _to(path: Path) -> str:
    return literal(str(path))


def _write_header(path: Path, names: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerow(names)
