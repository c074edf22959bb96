"""CSV changed on its way out: harmless in a spreadsheet, or compressed."""

import csv
import io
import re
import zlib
from collections.abc import Iterator

from api.cells import records
from engine.files import Files
from engine.model import Artifact
from engine.report.rows import FORMULA, PHONE

_FORMULA, _PHONE = re.compile(FORMULA), re.compile(PHONE)


def harmless(files: Files, artifact: Artifact) -> Iterator[bytes]:
    """The file with an apostrophe before every text that starts like a formula."""
    for record, _ in records(files, artifact, 0):
        yield _line([_safe(each) for each in record])


def gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes as a gzip file."""
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _safe(text: str) -> str:
    runs = _FORMULA.match(text) and not _PHONE.fullmatch(text)
    return f"'{text}" if runs else text


def _line(record: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(record)
    return out.getvalue().encode()
