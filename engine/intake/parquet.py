"""Parquet files, read in batches as text; the schema is the header."""

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.errors import SourceCode
from engine.intake.parse import Record
from engine.intake.reading import Reading
from engine.intake.rows import stage_rows
from engine.intake.source import Staged
from engine.intake.table import Region

BATCH = 16_384


def stage_parquet(reading: Reading) -> Staged:
    """Stage every column of the schema."""
    try:
        file = pq.ParquetFile(reading.file.path)
        names = tuple(file.schema_arrow.names)
        region = Region(header=(), first=0, width=len(names), columns=names)
        return stage_rows(_records(file), reading, region=region)[0]
    except (pa.ArrowException, OSError) as error:
        message = f"the Parquet file is damaged: {str(error)[:200]}"
        raise reading.file.error(SourceCode.INVALID_FORMAT, message) from None


def _records(file: pq.ParquetFile) -> Iterator[Record]:
    row = 0
    for batch in file.iter_batches(batch_size=BATCH):
        for cells in zip(*map(_texts, batch.columns), strict=True):
            row += 1
            yield Record(row, row, list(cells), "")


def _texts(column: pa.Array) -> list[str]:
    """One column as text: ISO dates, plain numbers, JSON for what is nested, "" for null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _texts(column.dictionary_decode())
    if pa.types.is_nested(kind):
        return [
            "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        ]
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return [(value or b"").decode("utf-8", "replace") for value in column.to_pylist()]
    text = column.cast(pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        text = pc.replace_substring_regex(text, r"\.0+(Z?)$", r"\1")
    return ["" if value is None else value for value in text.to_pylist()]
