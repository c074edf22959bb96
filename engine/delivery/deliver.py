"""The order of a delivery: the first row of every sheet as a canary, then the rest in batches."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from pyarrow import parquet

from engine.delivery.destination import (
    Delivered,
    HttpDestination,
    Load,
    PostgresDestination,
    Row,
    S3Destination,
    Send,
)
from engine.delivery.http import open_http
from engine.delivery.postgres import open_postgres
from engine.delivery.s3 import upload
from engine.errors import CanaryRefused
from engine.outbound import Outbound

_POSTGRES_BATCH = 5_000


def deliver(
    loads: Sequence[Load],
    destination: PostgresDestination | HttpDestination | S3Destination,
    *,
    delivery: str,
    policy: Outbound,
    cursors: Mapping[str, int] | None = None,
    canary: bool = True,
) -> Iterator[Delivered]:
    """Send every row once, going on from `cursors` (rows done by sheet).

    A row that was sent but whose cursor was not kept is sent again: PostgreSQL updates it in
    place, an HTTP receiver sees the same webhook-id. CanaryRefused when a first row is refused,
    DeliveryFailed when the destination cannot be reached.
    """
    done = dict(cursors or {})
    if isinstance(destination, S3Destination):
        for load in loads:
            if done.get(load.sheet, 0) < load.rows or load.sheet not in done:
                upload(destination, load, delivery=delivery, policy=policy)
                yield Delivered(sheet=load.sheet, cursor=load.rows)
        return
    if canary:
        for load in loads:
            if not done.get(load.sheet) and load.rows:
                yield _canary(load, destination, delivery=delivery, policy=policy)
                done[load.sheet] = 1
    size = destination.batch if isinstance(destination, HttpDestination) else _POSTGRES_BATCH
    for load in loads:
        with _open(destination, load, delivery=delivery, policy=policy) as send:
            for offset, rows in _batches(load, start=done.get(load.sheet, 0), size=size):
                results = send(offset, rows)
                yield Delivered(sheet=load.sheet, cursor=offset + len(rows), results=results)


def _open(
    destination: PostgresDestination | HttpDestination, load: Load, **options: Any
) -> AbstractContextManager[Send]:
    if isinstance(destination, PostgresDestination):
        return open_postgres(destination, load, policy=options["policy"])
    return open_http(destination, load, **options)


def _canary(
    load: Load, destination: PostgresDestination | HttpDestination, **options: Any
) -> Delivered:
    with _open(destination, load, **options) as send:
        _, rows = next(_batches(load, start=0, size=1))
        results = send(0, rows)
    for result in results:
        if not result.ok:
            raise CanaryRefused(
                f"the first row of sheet {load.sheet} (row {result.id}) was refused: "
                f"{result.message}; nothing else was sent"
            )
    return Delivered(sheet=load.sheet, cursor=1, results=results)


def _batches(load: Load, *, start: int, size: int) -> Iterator[tuple[int, list[Row]]]:
    """Rows from `start` on with their offset, `size` at a time."""
    offset = start
    with parquet.ParquetFile(load.file) as file:
        group, skipped = 0, 0
        while (
            group < file.num_row_groups
            and skipped + file.metadata.row_group(group).num_rows <= start
        ):
            skipped += file.metadata.row_group(group).num_rows
            group += 1
        waiting: list[Row] = []
        for batch in file.iter_batches(size, row_groups=range(group, file.num_row_groups)):
            rows = batch.slice(min(start - skipped, len(batch))) if skipped < start else batch
            skipped += len(batch)
            waiting += rows.to_pylist()
            while len(waiting) >= size:
                yield offset, waiting[:size]
                offset, waiting = offset + size, waiting[size:]
        if waiting:
            yield offset, waiting
