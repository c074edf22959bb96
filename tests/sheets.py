"""Builders for stored rows: parts of a run as Parquet, and a sheet to bring them into."""

from pathlib import Path
from typing import Any

import polars
import pyarrow
from pyarrow import parquet

from engine.dataset import Counts, Location, upsert

PEOPLE = pyarrow.schema(
    {
        "email": pyarrow.string(),
        "name": pyarrow.string(),
        "amount": pyarrow.decimal128(18, 4),
        "linkedin": pyarrow.string(),
    }
)


def part(
    path: Path, rows: list[dict[str, Any]], *, first_row: int = 2, also: tuple[str, ...] = ()
) -> Path:
    """Rows of people as a run's valid Parquet part; further members, and `also`, are text columns."""
    extra = {*also, *(key for row in rows for key in row)} - set(PEOPLE.names)
    fields = [*PEOPLE, *(pyarrow.field(name, pyarrow.string()) for name in sorted(extra))]
    lineage = [
        {"_file": path.stem + ".csv", "_row": number}
        for number in range(first_row, first_row + len(rows))
    ]
    schema = pyarrow.schema(
        [*fields, pyarrow.field("_file", pyarrow.string()), pyarrow.field("_row", pyarrow.int64())]
    )
    merged = [{**row, **place} for row, place in zip(rows, lineage, strict=True)]
    parquet.write_table(pyarrow.Table.from_pylist(merged, schema=schema), path)
    return path


def bring(
    sheet: Location, folder: Path, run: str, rows: list[dict[str, Any]], **options: Any
) -> Counts:
    """Upsert rows of people by email."""
    also = options.pop("also", ())
    options = {"identity": (("email",),), "plan_version": "v1", **options}
    return upsert(
        sheet,
        [part(folder / f"{run}.parquet", rows, also=also)],
        run=run,
        scratch=folder / "scratch",
        **options,
    )


def rows_of(sheet: Location, *names: str, version: int | None = None) -> list[tuple[Any, ...]]:
    """The stored rows in the order of their ids, read by another reader than ours."""
    frame = polars.read_delta(
        sheet.url, version=version, storage_options=dict(sheet.options) or None
    ).sort("_id")
    return frame.select(names).rows()
