"""Canonical text on disk: its writer, its index of shards, and one shard as a file in memory."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from engine.errors import SourceCode, SourceError
from engine.intake.limits import IntakeLimits
from engine.intake.scan import NotPlain, scan
from engine.intake.source import Shard, Staged

DELIMITER = ","


class Writer:
    """Writes records of one width; counts what it wrote. Use it in a `with` block."""

    def __init__(self, path: Path, width: int, *, limit: int) -> None:
        self.path, self.width, self.records, self._limit = path, width, 0, limit
        self._file = path.open("w", encoding="utf-8", errors="replace", newline="")
        self._plain = csv.writer(self._file, lineterminator="\n")
        self._quoted = csv.writer(self._file, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, cells: Sequence[str]) -> None:
        """Append one record."""
        # Python before 3.13 leaves a carriage return unquoted, which would end the record.
        writer = self._quoted if "\r" in "".join(cells) else self._plain
        writer.writerow(cells)
        self.records += 1
        if self.records % 10_000 == 0 and os.fstat(self._file.fileno()).st_size > self._limit:
            message = f"the rows take more than {self._limit >> 20:,} MiB of text"
            raise SourceError(SourceCode.BOMB, message)


def index(writer: Writer, limits: IntakeLimits) -> tuple[Shard, ...]:
    """Shards of what the writer wrote; COUNT_MISMATCH unless numpy counts the same records."""
    if writer.records == 0:
        return ()
    try:
        found = scan(
            writer.path,
            start=0,
            delimiter=DELIMITER,
            width=writer.width,
            crlf=False,
            limits=limits,
        )
    except NotPlain as error:
        raise mismatch(f"the staged text is not canonical: {error}") from None
    if found.records != writer.records or found.odd:
        raise mismatch(f"wrote {writer.records} records, counted {found.records}")
    return found.shards


def mismatch(message: str) -> SourceError:
    """Two counts differ: nothing of the file may be used."""
    return SourceError(SourceCode.COUNT_MISMATCH, f"{message}; please report this file")


def shard_file(staged: Staged, shard: Shard, target: int) -> None:
    """Fill the memory file of this descriptor with exactly the shard's bytes."""
    os.lseek(target, 0, os.SEEK_SET)
    with staged.path.open("rb") as source:
        offset = shard.start
        while offset < shard.end:
            sent = os.sendfile(target, source.fileno(), offset, shard.end - offset)
            if not sent:
                raise mismatch("the staged file is shorter than its index")
            offset += sent
    # Last, so that the memory of the shard before is used again.
    os.ftruncate(target, shard.end - shard.start)
    os.lseek(target, 0, os.SEEK_SET)
