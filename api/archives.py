"""Stored files as one ZIP, made while it is sent."""

import zlib
from collections.abc import Iterator, Sequence
from io import RawIOBase
from typing import IO, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from fastapi.responses import Response
from typing_extensions import Buffer

from api.downloads import streamed
from engine.files import Files
from engine.ids import utcnow
from engine.model import Artifact


def zipped(files: Files, found: Sequence[Artifact], *, title: str) -> Response:
    """The files under their names; in `title`.zip."""
    return streamed(
        _chunks(files, found),
        name=f"{title}.zip",
        media_type="application/zip",
        records=sum(each.records for each in found),
    )


def _chunks(files: Files, found: Sequence[Artifact]) -> Iterator[bytes]:
    """A ZIP as it grows, so that no archive is ever held in memory or on disk."""
    sink = _Sink()
    with ZipFile(
        cast(IO[bytes], sink), "w", ZIP_DEFLATED, compresslevel=zlib.Z_BEST_SPEED
    ) as archive:
        for artifact in found:
            entry = ZipInfo(artifact.name, date_time=utcnow().timetuple()[:6])
            entry.compress_type = ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as out:
                for chunk in files.get(artifact.key):
                    out.write(chunk)
                    yield sink.taken()
    yield sink.taken()


class _Sink(RawIOBase):
    """A place to write to that cannot seek and gives away what it got."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Buffer) -> int:
        """Hold these bytes."""
        self._held += data
        return len(memoryview(data))

    def taken(self) -> bytes:
        """What was held; nothing is held then."""
        taken, self._held = bytes(self._held), bytearray()
        return taken
