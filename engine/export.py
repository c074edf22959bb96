"""Stored rows as a file: what is wanted, as of when, in which format. Memory does not grow with rows."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any, Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from duckdb import DuckDBPyConnection
from pydantic import Field, field_validator

from engine.dataset import table as tables
from engine.dataset.records import LINEAGE, Column, Location
from engine.dataset.table import Table
from engine.errors import Expired, SelectionInvalid
from engine.report.rows import CRLF, csv_text
from engine.sandbox import Progress
from engine.sql import ident, literal
from plans.document import Document

Moment = int | str | datetime | None

_TELL_SECONDS = 0.5
_DEEPEST = 20


class Format(StrEnum):
    """What the file is."""

    CSV = "csv"  #: RFC 4180, every value in its canonical text
    PARQUET = "parquet"  #: with its types
    JSON = "json"  #: one array of objects
    NDJSON = "ndjson"  #: one object a line


class Condition(Document):
    """One column against a value; an empty cell meets only `!=` and `is_empty`."""

    field: str
    op: Literal[
        "=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts_with", "is_empty", "is_filled"
    ]
    value: str | int | float | bool | tuple[str | int | float | bool, ...] | None = None


class AllOf(Document):
    """Every one of them holds."""

    all: Annotated[tuple["Filter", ...], Field(min_length=1, max_length=100)]


class AnyOf(Document):
    """At least one of them holds."""

    any: Annotated[tuple["Filter", ...], Field(min_length=1, max_length=100)]


Filter = Condition | AllOf | AnyOf


class Selection(Document):
    """Which rows and columns; what is left out does not restrict."""

    filter: Filter | None = None
    tags: tuple[str, ...] = ()  #: rows with any of these
    run: str | None = None  #: rows whose present values this run wrote
    ids: Annotated[tuple[int, ...], Field(max_length=10_000)] = ()
    columns: tuple[str, ...] = ()

    @field_validator("filter")
    @classmethod
    def _shallow(cls, value: Filter | None) -> Filter | None:
        level: list[Filter] = [value] if value is not None else []
        for _ in range(_DEEPEST):
            level = [part for each in level for part in _parts(each)]
        if level:
            raise ValueError(f"a filter nests at most {_DEEPEST} deep")
        return value


def _parts(node: Filter) -> tuple[Filter, ...]:
    match node:
        case AllOf():
            return node.all
        case AnyOf():
            return node.any
    return ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """How rows become a file. `safe` guards spreadsheets, `lineage` adds the `_` columns."""

    format: Format = Format.CSV
    gzip: bool = False
    safe: bool = False
    lineage: bool = False


def count(sheet: Location, selection: Selection, *, as_of: Moment = None, scratch: Path) -> int:
    """How many rows the selection has."""
    table = _as_of(sheet, as_of)
    with tables.connect(scratch, tables=[table], threads=2, memory=512 << 20) as connection:
        where, values = _prepare(connection, table, selection)
        rows = connection.execute(f"SELECT count(*) FROM stored WHERE {where}", values).fetchall()
    return int(rows[0][0])


def version(sheet: Location, *, as_of: Moment = None) -> int:
    """The version of the table that stands for `as_of`; Expired when its rows are gone."""
    table = _as_of(sheet, as_of)
    if as_of is not None and tables.missing_files(sheet, table):
        raise Expired(f"the sheet's rows as of {as_of} are not kept any more")
    return table.version()


def etag(sheet: Location, selection: Selection, *, shape: Shape, as_of: Moment = None) -> str:
    """Names the exact bytes `write` gives: it changes with the rows and with the request."""
    table = _as_of(sheet, as_of)
    told = [
        str(table.metadata().id),
        table.version(),
        selection.model_dump(mode="json"),
        repr(shape),
    ]
    return sha256(json.dumps(told).encode()).hexdigest()


def write(
    sheet: Location,
    selection: Selection,
    *,
    to: Path,
    shape: Shape,
    scratch: Path,
    as_of: Moment = None,
    threads: int = 2,
    memory: int = 700 << 20,
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Write the selected rows in the order of their ids to `to`, below `scratch`; how many.

    `as_of` is a version, a run's id (just after it) or a point in time.
    """
    table = _as_of(sheet, as_of)
    rows = 0 if progress is None else count(sheet, selection, as_of=as_of, scratch=scratch)
    with (
        tables.connect(scratch, tables=[table], threads=threads, memory=memory) as connection,
        _telling(connection, rows, progress),
    ):
        where, values = _prepare(connection, table, selection)
        picked = _columns(table, selection, shape)
        shown = ", ".join(f"{_shown(each, shape)} AS {ident(each.name)}" for each in picked)
        chosen = f"SELECT {shown} FROM (SELECT * FROM stored WHERE {where} ORDER BY _id)"
        options = _options(shape)
        done = connection.execute(f"COPY ({chosen}) TO {literal(str(to))} ({options})", values)
        return int(done.fetchall()[0][0])


@contextmanager
def _telling(
    connection: DuckDBPyConnection, rows: int, progress: Callable[[Progress], None] | None
) -> Iterator[None]:
    """Tell twice a second how many of the rows are likely done."""
    over = Event()

    def tell(report: Callable[[Progress], None]) -> None:
        while not over.wait(_TELL_SECONDS):
            share = min(max(connection.query_progress(), 0), 100) / 100
            report(Progress(phase="export", done=int(share * rows), total=rows))

    thread = Thread(target=tell, args=(progress,), daemon=True)
    if progress is not None:
        progress(Progress(phase="export", done=0, total=rows))
        thread.start()
    try:
        yield
    finally:
        over.set()
        if progress is not None:
            thread.join()


def write_zip(
    sheets: Mapping[str, Location],
    *,
    to: Path,
    shape: Shape,
    scratch: Path,
    versions: Mapping[str, Moment] | None = None,
    **options: Any,
) -> dict[str, int]:
    """Write every sheet of a workbook into one ZIP; rows by sheet."""
    rows = {}
    packing = ZIP_STORED if shape.gzip or shape.format is Format.PARQUET else ZIP_DEFLATED
    with ZipFile(to, "w", packing, allowZip64=True) as archive:
        for name, sheet in sheets.items():
            file = scratch / (f"{name}.{shape.format}" + (".gz" if shape.gzip else ""))
            rows[name] = write(
                sheet, Selection(), to=file, shape=shape, scratch=scratch,
                as_of=(versions or {}).get(name), **options,
            )  # fmt: skip
            archive.write(file, file.name)
            file.unlink()
    return rows


def _as_of(sheet: Location, moment: Moment) -> Table:
    table = tables.existing(sheet)
    if moment is None:
        return table
    return tables.existing(sheet, version=tables.version_as_of(table, moment))


def _prepare(
    connection: DuckDBPyConnection, table: Table, selection: Selection
) -> tuple[str, list[Any]]:
    """Define `stored`; the selection as a condition with its values."""
    known = tables.table_columns(table)
    where, values = condition(selection, known)
    for number, value in enumerate(values, start=1):
        _check(connection, value, number)
    tables.view(connection, table, name="stored", wanted=known)
    return where, [each.value for each in values]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A value of a filter, the type it is compared as, and the column it is held against."""

    value: Any
    type: str
    column: str


def condition(selection: Selection, known: tuple[Column, ...]) -> tuple[str, list[Bound]]:
    """The selection as an SQL condition with placeholders, and their values in order."""
    types = {each.name: each.type for each in known}
    bound: list[Bound] = []
    parts = ["true"]
    if selection.filter is not None:
        parts.append(_filter(selection.filter, types, bound))
    if selection.tags:
        parts.append(
            f"list_has_any(_tags, {_bind(list(selection.tags), 'VARCHAR[]', '_tags', bound)})"
        )
    if selection.run is not None:
        parts.append(f"_run = {_bind(selection.run, 'VARCHAR', '_run', bound)}")
    if selection.ids:
        parts.append(f"list_contains({_bind(list(selection.ids), 'BIGINT[]', '_id', bound)}, _id)")
    return " AND ".join(parts), bound


def _filter(node: Filter, types: Mapping[str, str], bound: list[Bound]) -> str:
    match node:
        case AllOf():
            return "(" + " AND ".join(_filter(each, types, bound) for each in node.all) + ")"
        case AnyOf():
            return "(" + " OR ".join(_filter(each, types, bound) for each in node.any) + ")"
    if node.field not in types:
        raise SelectionInvalid(f"the sheet has no column {node.field!r}")
    name, type_ = ident(node.field), types[node.field]
    text = f"CAST({name} AS VARCHAR)"
    match node.op:
        case "is_empty":
            return f"coalesce({text}, '') = ''"
        case "is_filled":
            return f"coalesce({text}, '') <> ''"
        case "contains" | "starts_with":
            wanted = _bind(_one(node), "VARCHAR", node.field, bound)
            return f"{node.op}(lower({text}), lower({wanted}))"
        case "in":
            if not isinstance(node.value, tuple):
                raise SelectionInvalid(f"{node.field}: `in` needs a list of values")
            wanted = _bind([_text(each) for each in node.value], f"{type_}[]", node.field, bound)
            return f"list_contains({wanted}, {name})"
        case "!=":
            return f"{name} IS DISTINCT FROM {_bind(_one(node), type_, node.field, bound)}"
    return f"{name} {node.op} {_bind(_one(node), type_, node.field, bound)}"


def _one(node: Condition) -> str:
    if node.value is None or isinstance(node.value, tuple):
        raise SelectionInvalid(f"{node.field}: `{node.op}` needs one value")
    return _text(node.value)


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bind(value: Any, type_: str, column: str, bound: list[Bound]) -> str:
    bound.append(Bound(value=value, type=type_, column=column))
    return f"CAST(${len(bound)} AS {type_})"


def _check(connection: DuckDBPyConnection, bound: Bound, number: int) -> None:
    """SelectionInvalid when the value is none of the column's type."""
    wanted = bound.value if isinstance(bound.value, list) else [bound.value]
    one = bound.type.removesuffix("[]") if isinstance(bound.value, list) else bound.type
    lost = connection.execute(
        f"SELECT value FROM (SELECT unnest($1::VARCHAR[]) AS value) WHERE TRY_CAST(value AS {one}) IS NULL",
        [[str(each) for each in wanted]],
    ).fetchall()
    if lost:
        raise SelectionInvalid(
            f"{bound.column}: {lost[0][0]!r} is not a value of type {one} (value {number})"
        )


def _columns(table: Table, selection: Selection, shape: Shape) -> list[Column]:
    known = tables.table_columns(table)
    names = [each.name for each in known]
    if unknown := sorted(set(selection.columns) - set(names)):
        raise SelectionInvalid(f"the sheet has no column {unknown[0]!r}")
    if selection.columns:
        return [known[names.index(name)] for name in selection.columns]
    return [each for each in known if shape.lineage or each not in LINEAGE]


def _shown(column: Column, shape: Shape) -> str:
    """The value as the format has it; CSV the same text as a run's own valid rows."""
    name = ident(column.name)
    if shape.format is Format.CSV:
        return csv_text(name, column.type, safe=shape.safe)
    if shape.format is not Format.PARQUET and column.type == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({name} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')"
    return name


def _options(shape: Shape) -> str:
    compression = ", COMPRESSION gzip" if shape.gzip and shape.format is not Format.PARQUET else ""
    match shape.format:
        case Format.CSV:
            return CRLF + compression
        case Format.PARQUET:
            return "FORMAT parquet"
        case Format.JSON:
            return f"FORMAT json, ARRAY true{compression}"
        case Format.NDJSON:
            return f"FORMAT json{compression}"
