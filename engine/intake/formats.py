"""What a file really is: by its first bytes, not by its name."""

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.errors import SourceCode, SourceError
from engine.intake.source import Format, ReadCode, ReadNote

#: Where the encrypted form of an Office file keeps its content; stream names are UTF-16.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_REFUSED = (
    (b"%PDF", "a PDF document; export the table as CSV or XLSX"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"{\\rtf", "a text document (RTF); export the table as CSV or XLSX"),
    (b"SQLite format 3", "a database; export the table as CSV"),
    (b"Rar!", "a RAR archive; pack it as ZIP"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; pack it as ZIP"),
    (b"\xfd7zXZ", "an xz archive; pack it with gzip, zstd or ZIP"),
    (b"BZh", "a bzip2 archive; pack it with gzip, zstd or ZIP"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
)
_HTML = re.compile(rb"\s*(?:<!doctype html|<html|<head|<table|<meta|<style)", re.IGNORECASE)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml")
_EXTENSIONS = {
    "xlsx": Format.XLSX, "xlsm": Format.XLSX, "xls": Format.XLS, "xlsb": Format.XLSB,
    "ods": Format.ODS, "json": Format.JSON, "ndjson": Format.NDJSON, "jsonl": Format.NDJSON,
    "parquet": Format.PARQUET, "csv": Format.CSV, "tsv": Format.CSV, "tab": Format.CSV,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """One file to read: a whole upload, or what was unpacked of it."""

    path: Path
    name: str  #: the name the user gave
    digest: str  #: of the upload
    size: int
    member: str | None = None

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"{self.name} > {self.member}" if self.member else self.name

    def error(self, code: SourceCode, message: str, place: str = "") -> SourceError:
        """A refusal of this file."""
        return SourceError(code, message, file=self.shown, place=place)


def archive_of(head: bytes) -> str:
    """`gzip`, `zstd` or `zip` when the bytes begin so; a workbook also is a `zip`."""
    kinds = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"PK\x03\x04", "zip"))
    empty = "zip" if head.startswith(b"PK\x05\x06") else ""
    return next((kind for mark, kind in kinds if head.startswith(mark)), empty)


def workbook_of(names: list[str]) -> Format | None:
    """The workbook format of a ZIP with these entries, None when it is an archive of files."""
    if "xl/workbook.bin" in names:
        return Format.XLSB
    if any(name.lower().endswith("workbook.xml") or "/worksheets/" in name for name in names):
        return Format.XLSX
    if "content.xml" in names and ("mimetype" in names or "META-INF/manifest.xml" in names):
        return Format.ODS
    return None


def detect(file: File) -> Format:
    """The format of a file that is no plain archive; raises SourceError for what is no table."""
    with file.path.open("rb") as opened:
        head = opened.read(1 << 16)
        if not head.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
            raise file.error(SourceCode.EMPTY, "the file is empty")
        if head.startswith(_OLE):
            return _ole(file, opened, head)
    if archive_of(head) == "zip":
        return _zip(file)
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head[:2] == b"\x09\x08" or head[:4] in (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00"):
        return Format.XLS
    for mark, what in _REFUSED:
        if head.startswith(mark):
            raise file.error(SourceCode.INVALID_FORMAT, f"the file is {what}")
    if _HTML.match(head):
        message = "the file is a web page; open it in a spreadsheet and save it as XLSX or CSV"
        raise file.error(SourceCode.INVALID_FORMAT, message)
    if _XML.match(head):
        message = "the file is XML; save it as XLSX or CSV"
        raise file.error(SourceCode.INVALID_FORMAT, message)
    return _json(head) or Format.CSV


def extension_note(file: File, found: Format) -> tuple[ReadNote, ...]:
    """A note when the name promises another format than the bytes hold."""
    name = file.member or file.name
    suffixes = [each.lstrip(".").lower() for each in Path(name).suffixes]
    known = [each for each in suffixes if each in _EXTENSIONS]
    if not known or _EXTENSIONS[known[-1]] is found:
        return ()
    message = f"the name ends with .{known[-1]}, the content is {found.value.upper()}"
    return (ReadNote(code=ReadCode.WRONG_EXTENSION, message=message),)


def _ole(file: File, opened: BinaryIO, head: bytes) -> Format:
    rest = head + opened.read(4 << 20)
    if _ENCRYPTED in rest:
        message = "the workbook is password protected; save it without a password"
        raise file.error(SourceCode.ENCRYPTED, message)
    if any(name.encode("utf-16-le") in rest for name in ("Workbook", "Book", "WORKBOOK", "BOOK")):
        return Format.XLS
    raise file.error(SourceCode.INVALID_FORMAT, "the file is an Office document, not a workbook")


def _zip(file: File) -> Format:
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise file.error(SourceCode.INVALID_FORMAT, "the workbook or archive is damaged") from None
    found = workbook_of(names)
    if found is None:
        raise file.error(SourceCode.INVALID_FORMAT, "the file is an Office document, no workbook")
    return found


def _json(head: bytes) -> Format | None:
    """JSON only where a value really parses: `[id],name` is a CSV header."""
    text = head.decode(json.detect_encoding(head), "replace").lstrip("\ufeff \t\r\n")
    if text[:1] not in ("{", "["):
        return None
    first, _, rest = text.partition("\n")
    if first.startswith("{"):
        if not _parses(first):
            return Format.JSON if re.match(r'\{\s*("|\})', text) else None
        return Format.NDJSON if rest.lstrip().startswith("{") else Format.JSON
    nested = re.match(r"\[\s*[\[{\]]", text) or (rest.startswith("[") and _parses(first))
    return Format.JSON if nested else None


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
