"""The valid rows of a file as Parquet and CSV, both out of one reading of the judged stage.

Arrow's writers take half the CPU of DuckDB's, and one file takes the rows of any number of shards.
"""

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.compiler import types
from engine.compiler.feeds import NOTHING
from engine.compiler.program import Output
from engine.execute.job import Part
from engine.intake.source import Shard, Staged
from engine.shards import Database
from plans.template import FieldType

#: Rows taken from DuckDB at once (more are slower: their memory is not used again), and about how
#: many bytes of the customer's text they may hold.
ROWS, BYTES = 10_240, 16 << 20
#: Bytes of a row group.
GROUP = 32 << 20

#: What a cell cannot hold without quotes around it.
SPECIAL = (b'"', b",", b"\n", b"\r")

#: Types whose text Arrow writes as DuckDB does.
_ALIKE = (FieldType.INTEGER, FieldType.BOOLEAN)

#: A dictionary of many values costs more than it saves.
_PARQUET = {
    "compression": "snappy",
    "dictionary_pagesize_limit": 1 << 14,
    "data_page_size": 1 << 16,
    "store_decimal_as_integer": True,
    "store_schema": False,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidRows:
    """The two files, open. `columns` are the sheet's; those the part does not bring are empty."""

    part: Part
    columns: tuple[str, ...]
    parquet: Path
    csv: Path
    table: pq.ParquetWriter
    text: BinaryIO
    waiting: list[pa.RecordBatch]  #: for their row group

    def write(self, db: Database, shard: Shard) -> dict[str, int]:
        """Append the stage's valid rows: typed, with their place in the customer's file, and as text.

        Gives by column how many of them have a value.
        """
        filled = np.zeros(len(self.columns), np.int64)
        select = _select(self.part, self.columns)
        wide = max(1, (shard.end - shard.start) // max(1, shard.records))
        for batch in db.connection.sql(select).to_arrow_reader(max(1, min(ROWS, BYTES // wide))):
            if len(batch):
                self.text.write(lines(self._shown(batch)))
                self.waiting.append(self._typed(batch, shard))
                filled += [len(batch) - each.null_count for each in batch.columns[: filled.size]]
            if sum(each.nbytes for each in self.waiting) > GROUP:
                self.flush()
        return dict(zip(self.columns, filled.tolist(), strict=True))

    def flush(self) -> None:
        """Write the rows that wait for their row group."""
        if self.waiting:
            self.table.write_table(pa.Table.from_batches(self.waiting))
            self.waiting.clear()

    def _typed(self, batch: pa.RecordBatch, shard: Shard) -> pa.RecordBatch:
        ordinals = batch.column("rowid").to_numpy() + shard.first
        place = [
            pa.repeat(pa.scalar(self.part.file), len(batch)),
            pa.array(_source_rows(self.part.staged, ordinals)),
        ]
        arrays = [*batch.columns[: len(self.columns)], *place]
        return pa.RecordBatch.from_arrays(arrays, schema=self.table.schema)

    def _shown(self, batch: pa.RecordBatch) -> list[pa.Array]:
        names = batch.schema.names
        shown = [f"s{n}" if f"s{n}" in names else f"v{n}" for n in range(len(self.columns))]
        return [batch.column(name) for name in shown]


@contextmanager
def opened(
    db: Database, part: Part, stem: Path, *, columns: tuple[str, ...], header: bool
) -> Iterator[ValidRows]:
    """Both files beside `stem`; under their names they are whole or not there."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in ("parquet", "csv")]
    drafts = [path.with_name(f".{path.name}") for path in paths]
    schema = _schema(db, part, columns)
    # Smallest and largest texts help no reader here, and cost a fifth of the writing.
    typed = [each.name for each in schema if not pa.types.is_string(each.type)]
    with (
        pq.ParquetWriter(drafts[0], schema, write_statistics=typed, **_PARQUET) as table,
        drafts[1].open("wb") as text,
    ):
        if header:
            text.write(headed(columns))
        rows = ValidRows(
            part=part,
            columns=columns,
            parquet=paths[0],
            csv=paths[1],
            table=table,
            text=text,
            waiting=[],
        )
        yield rows
        rows.flush()
    for draft, path in zip(drafts, paths, strict=True):
        os.replace(draft, path)


def headed(columns: Sequence[str]) -> bytes:
    """The header's record."""
    line = io.StringIO(newline="")
    csv.writer(line).writerow(columns)
    return line.getvalue().encode()


def lines(cells: Sequence[pa.Array]) -> memoryview:
    """RFC 4180 records with CRLF; quotes only where a cell needs them."""
    room = bytearray(max(_size(each) for each in cells))
    texts = [_quoted(each, room) for each in cells]
    if len(texts) == 1:
        # A record of nothing at all would be a blank line, which readers skip.
        texts = [pc.if_else(pc.equal(pc.fill_null(texts[0], ""), ""), '""', texts[0])]
    ended = _joined(texts[-1], "\r\n", by="")
    rows = _joined(*texts[:-1], ended, by=",")
    _, offsets, data = rows.buffers()
    return memoryview(data)[: int(np.frombuffer(offsets, np.int32)[len(rows)])]


def _size(cells: pa.Array) -> int:
    data = cells.buffers()[-1]
    return data.size if data else 0


def _quoted(cells: pa.Array, room: bytearray) -> pa.Array:
    """The cells' text, with quotes where needed; `room` is as large as the largest column."""
    if not pa.types.is_string(cells.type):
        return pc.cast(cells, pa.string())
    # One look at the column's bytes spares most columns the look at each cell.
    room[: _size(cells)] = cells.buffers()[2] or b""
    if all(room.find(mark, 0, _size(cells)) < 0 for mark in SPECIAL):
        return cells
    special = pc.fill_null(pc.match_substring_regex(cells, '[",\r\n]'), False)
    doubled = pc.replace_substring(cells.filter(special), '"', '""')
    return pc.replace_with_mask(cells, special, _joined('"', doubled, '"', by=""))


def _joined(*texts: pa.Array | str, by: str) -> pa.Array:
    return pc.binary_join_element_wise(*texts, by, null_handling="replace", null_replacement="")


def _select(part: Part, columns: tuple[str, ...]) -> str:
    """Valid rows in order: v0…vN with their types, sN the text of those Arrow would write otherwise."""
    typed, shown = [], []
    for at, (n, output) in enumerate(_outputs(part, columns)):
        typed.append(f"{_stored(output, f'f{n}') if output else NOTHING} AS v{at}")
        if output and output.sql_type != "VARCHAR" and output.type not in _ALIKE:
            text = types.canonical(output.type, output.sql_type, f"f{n}")
            shown.append(f"CAST({text} AS VARCHAR) AS s{at}")
    return f"SELECT {', '.join((*typed, *shown))}, rowid FROM stage WHERE bad = FALSE"


def _outputs(part: Part, columns: tuple[str, ...]) -> list[tuple[int, Output | None]]:
    """For every column of the sheet what feeds it in this file: the program's output and its number."""
    at = {output.name: (n, output) for n, output in enumerate(part.program.outputs)}
    return [at.get(name, (0, None)) for name in columns]


def _schema(db: Database, part: Part, columns: tuple[str, ...]) -> pa.Schema:
    kinds = [output.sql_type if output else "VARCHAR" for _, output in _outputs(part, columns)]
    # Moments are kept in UTC, and say so.
    kinds = ["TIMESTAMPTZ" if kind == "TIMESTAMP" else kind for kind in kinds]
    empty = ", ".join(f"CAST(NULL AS {kind}) AS v{at}" for at, kind in enumerate(kinds))
    found = db.connection.sql(f"SELECT {empty}").to_arrow_table().schema
    fields = [field.with_name(name) for field, name in zip(found, columns, strict=True)]
    return pa.schema([*fields, pa.field("_file", pa.string()), pa.field("_row", pa.int64())])


def _stored(output: Output, value: str) -> str:
    return f"{value} AT TIME ZONE 'UTC'" if output.type is FieldType.DATETIME else value


def _source_rows(staged: Staged, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
    starts, rows = np.array(staged.breaks or ((0, 1),), np.int64).T
    at = np.searchsorted(starts, ordinals, "right") - 1
    return np.asarray(rows[at] + ordinals - starts[at])
