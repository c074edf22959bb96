"""Small staged tables for tests, written the way intake writes them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from engine.intake.source import Format, Shard, Source, Staged


def source(columns: Sequence[str], *, file: str = "file.csv", read: int = 0) -> Source:
    return Source(
        file=file,
        digest="0" * 64,
        size=1,
        format=Format.CSV,
        encoding="utf-8",
        delimiter=",",
        quote='"',
        newline="\n",
        header_rows=(1,),
        first_row=2,
        columns=tuple(columns),
        read=read,
    )


def staged(
    folder: Path, columns: Sequence[str], rows: Sequence[Sequence[str]], *, file: str = "file.csv"
) -> Staged:
    """A table of one shard; its first record stands in source row 2."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    text = out.getvalue().encode()
    path = folder / f"{file}.staged"
    path.write_bytes(text)
    return Staged(
        source=source(columns, file=file, read=len(rows)),
        path=path,
        delimiter=",",
        width=len(columns),
        records=len(rows),
        shards=(Shard(index=0, start=0, end=len(text), records=len(rows), first=0),),
        breaks=((0, 2),),
    )
