"""Invalid cells page by page, read from the result file where the last page ended."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from api.schemas.runs import CellBody
from engine.files import Files
from engine.model import Artifact

#: Cells may be larger than the csv module takes by default.
csv.field_size_limit(1 << 26)

#: A filter that fits almost nothing must not read a whole file for one page.
LOOKED_AT = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CellFilter:
    """Which cells are wanted; None: all."""

    sheet: str | None = None
    field: str | None = None
    code: str | None = None
    severity: str | None = None

    def wants(self, cell: CellBody) -> bool:
        """Whether the cell fits."""
        pairs = (
            (self.field, cell.field),
            (self.code, cell.code),
            (self.severity, cell.severity),
        )
        return all(wanted is None or wanted == got for wanted, got in pairs)


def cells_page(
    files: Files, found: Sequence[Artifact], *, wanted: CellFilter, limit: int, place: str | None
) -> tuple[list[CellBody], str | None]:
    """Up to `limit` cells after `place` ("file number:byte"), and the next place if there is more."""
    number, start = (int(each) for each in place.split(":")) if place else (0, 0)
    page: list[CellBody] = []
    looked = 0
    # A record without the word cannot fit, and need not be parsed to know it.
    words = [each.encode() for each in (wanted.field, wanted.code, wanted.severity) if each]
    for at in range(number, len(found)):
        artifact, sheet = found[at], found[at].name.rpartition("/")[0]
        if wanted.sheet is not None and wanted.sheet != sheet:
            continue
        header = header_of(files, artifact)
        for record, end in raw_records(files, artifact, start if at == number else 0):
            looked += 1
            if all(word in record for word in words):
                cell = cell_of(dict(zip(header, cells_of(record), strict=False)), sheet)
                if cell is not None and wanted.wants(cell):
                    page.append(cell)
            if len(page) == limit or looked == LOOKED_AT:
                return page, f"{at}:{end}"
    return page, None


def header_of(files: Files, artifact: Artifact) -> list[str]:
    """The names of the file's columns."""
    return next((record for record, _ in records(files, artifact, 0)), [])


def records(files: Files, artifact: Artifact, start: int) -> Iterator[tuple[list[str], int]]:
    """Records from a record's first byte on, each with the byte behind it."""
    for record, end in raw_records(files, artifact, start):
        yield cells_of(record), end


def raw_records(files: Files, artifact: Artifact, start: int) -> Iterator[tuple[bytes, int]]:
    """The same as bytes: `cells_of` those that are worth it."""
    return split(files.get(artifact.key, start=start), start=start)


def split(chunks: Iterable[bytes], *, start: int = 0) -> Iterator[tuple[bytes, int]]:
    """Records of our own canonical CSV, wherever the chunks end."""
    held, at = b"", start
    lines: list[bytes] = []
    open_quotes = 0
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        for line in whole:
            lines.append(line + b"\n")
            # Inside a quoted cell the number of quotes so far is odd.
            open_quotes ^= line.count(b'"') & 1
            if not open_quotes:
                record = b"".join(lines)
                lines = []
                at += len(record)
                yield record, at
    rest = b"".join(lines) + held
    if rest.strip():
        yield rest, at + len(rest)


def cells_of(record: bytes) -> list[str]:
    """The cells of one record."""
    return next(csv.reader([record.decode().rstrip("\r\n")]))


def cell_of(row: dict[str, str], sheet: str) -> CellBody | None:
    """A record as a cell; None for the header."""
    if not row.get("row_number", "").isdigit():
        return None
    return CellBody(
        file=row.get("file", ""),
        sheet=sheet,
        row_number=int(row["row_number"]),
        column=row.get("column") or None,
        field=row.get("field") or None,
        code=row.get("code", ""),
        message=row.get("message", ""),
        value=row.get("value"),
        severity=row.get("severity", "error"),
    )
