"""JSON arrays and NDJSON as tables: nested objects become `a.b` columns, lists stay JSON text.

Numbers keep the text they have in the file.
"""

import io
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from engine.errors import SourceCode
from engine.intake import encoding
from engine.intake.document import Number, loads, loads_all, records_of
from engine.intake.parse import Record
from engine.intake.reading import Reading
from engine.intake.rows import stage_rows, stage_tables
from engine.intake.source import Format, Staged
from engine.intake.table import Region
from engine.intake.written import BAD_JSON

_DEPTH = 20


def stage_json(reading: Reading) -> Iterator[Staged]:
    """Two passes: the first finds the columns, the second writes the rows."""
    if reading.format is Format.JSON and (lists := _lists(reading)):
        return stage_tables(iter(lists), reading)
    columns: dict[str, None] = {}
    seen = 0
    for _, value, _ in _values(reading):
        seen += 1
        if value is not None:
            columns |= dict.fromkeys(value)
        if len(columns) > reading.limits.columns:
            message = f"more than {reading.limits.columns:,} different keys"
            raise reading.file.error(SourceCode.TOO_MANY_COLUMNS, message)
    if not columns:
        code = SourceCode.NOT_A_TABLE if seen else SourceCode.EMPTY
        raise reading.file.error(code, "no object with members was found")
    region = Region(header=(), first=0, width=len(columns), columns=tuple(columns))
    return iter([stage_rows(_records(reading, tuple(columns)), reading, region=region)[0]])


def _lists(reading: Reading) -> list[Record]:
    """An array of arrays is a table without names: its header is found as in any other."""
    rows = _array(reading)
    if not any(rows) or not all(isinstance(each, list) for each in rows):
        return []
    cells = (list(flat(values).values()) or [""] for values in rows)
    return [Record(row, row, each, "") for row, each in enumerate(cells, 1)]


def _records(reading: Reading, columns: tuple[str, ...]) -> Iterator[Record]:
    for row, (line, value, text) in enumerate(_values(reading), 1):
        if value is None:
            yield Record(row, line, [text], text, BAD_JSON)
        else:
            yield Record(row, line, [value.get(name, "") for name in columns], text)


def _values(reading: Reading) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    """Line, flat object (None when it cannot be read) and text of each record."""
    if reading.format is Format.NDJSON:
        yield from _lines(reading)
        return
    for row, value in enumerate(_array(reading), 1):
        yield row, flat(value), ""


def _lines(reading: Reading) -> Iterator[tuple[int, dict[str, str] | None, str]]:
    for number, (line, _) in enumerate(_text_lines(reading), 1):
        text = line.strip()
        if not text:
            yield number, {}, ""
            continue
        try:
            value = loads(text)
        except (ValueError, RecursionError):
            yield number, None, text
            continue
        yield number, flat(value), text


def _text_lines(reading: Reading) -> Iterator[tuple[str, bool]]:
    with reading.file.path.open("rb") as file:
        head = file.read(1 << 20)
    found = encoding.detect(head, whole=False, given=reading.read.encoding)
    return encoding.lines(reading.file.path, found)


def _array(reading: Reading) -> list[Any]:
    file = reading.file
    if file.size > reading.limits.document:
        message = f"a JSON document of {file.size >> 20:,} MiB; send it as NDJSON"
        raise file.error(SourceCode.TOO_LARGE, message)
    text = io.StringIO()
    for line, _ in _text_lines(reading):
        text.write(line)
    try:
        document = loads_all(text.getvalue())
    except json.JSONDecodeError as error:
        message = f"the JSON is broken: {error.msg}"
        raise file.error(SourceCode.INVALID_FORMAT, message, f"line {error.lineno}") from None
    except RecursionError:
        raise file.error(SourceCode.INVALID_FORMAT, "the JSON is nested too deep") from None
    return _find_records(document, reading)


def _find_records(document: Any, reading: Reading) -> list[Any]:
    path = reading.read.records_path
    if path:
        for part in path.strip("$.").split("."):
            document = document.get(part) if isinstance(document, dict) else None
        if not isinstance(document, list):
            message = f"there is no list at `{path}`"
            raise reading.file.error(SourceCode.OPTION, message, "records_path")
        return document
    found = records_of(document)
    if found is None:
        raise reading.file.error(SourceCode.NOT_A_TABLE, "the JSON holds no list of objects")
    return found


def _dumps(value: Any) -> str:
    if isinstance(value, Number):
        return value
    if isinstance(value, list):
        return "[" + ", ".join(map(_dumps, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {_dumps(v)}" for k, v in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def flat(value: Any) -> dict[str, str]:
    """One record as column and text; a list of plain values is a record with numbered columns."""
    if isinstance(value, list):
        value = {str(at): each for at, each in enumerate(value, 1)}
    if not isinstance(value, dict):
        value = {"value": value}
    return dict(chain.from_iterable(_members(str(k), v, 1) for k, v in value.items()))


def _members(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value and depth < _DEPTH:
        for key, inner in value.items():
            yield from _members(f"{name}.{key}", inner, depth + 1)
    elif value is None:
        yield name, ""
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    elif isinstance(value, str):
        yield name, value
    else:
        yield name, _dumps(value)
