"""Unpacks gzip, zstd and ZIP of many files into the run's folder, counting what really comes out."""

import gzip
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

import zstandard

from engine.errors import SourceCode
from engine.intake.formats import File, archive_of, workbook_of
from engine.intake.limits import IntakeLimits

CHUNK = 1 << 18
#: What systems put beside the files of a person.
_NOISE = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, zstandard.ZstdError, EOFError, OSError, NotImplementedError,
)  # fmt: skip


@dataclass(slots=True)
class _Budget:
    """Bytes that came out of one upload, over all its entries."""

    packed: int
    limits: IntakeLimits
    file: File
    out: int = 0

    def spend(self, count: int) -> None:
        """Count bytes; refuses a bomb as soon as it shows."""
        self.out += count
        ratio = self.out / max(1, self.packed)
        if self.out > self.limits.inflated or (self.out > 1 << 20 and ratio > self.limits.ratio):
            message = (
                f"the archive inflates to more than {self.out >> 20:,} MiB, "
                f"{ratio:,.0f} times its size; unpack it before the upload"
            )
            raise self.file.error(SourceCode.BOMB, message)


def unpack(file: File, folder: Path, limits: IntakeLimits) -> Iterator[File]:
    """The file itself when it is no archive, else every file in it, one after another."""
    with file.path.open("rb") as opened:
        kind = archive_of(opened.read(8))
    budget = _Budget(packed=file.size, limits=limits, file=file)
    if kind in ("gzip", "zstd"):
        yield _single(file, folder, kind, budget)
    elif kind == "zip":
        yield from _zip(file, folder, budget)
    else:
        yield file


def _single(file: File, folder: Path, kind: str, budget: _Budget) -> File:
    target = _target(folder)
    with _damage(file), file.path.open("rb") as opened:
        size = _copy(_inflate(opened, kind), target, budget)
    inner = replace(file, path=target, size=size)
    _refuse_nested(inner)
    return inner


def _inflate(opened: BinaryIO, kind: str) -> IO[bytes]:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=opened)  # type: ignore[return-value]
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    return reader.stream_reader(opened, read_across_frames=True)


def _zip(file: File, folder: Path, budget: _Budget) -> Iterator[File]:
    with _damage(file), zipfile.ZipFile(file.path) as archive:
        entries = [each for each in archive.infolist() if not each.is_dir()]
        if workbook_of([each.filename for each in entries]) or _office(entries):
            yield file
            return
        if len(entries) > budget.limits.entries:
            message = f"{len(entries):,} files in the archive, at most {budget.limits.entries:,}"
            raise file.error(SourceCode.BOMB, message)
        wanted = [each for each in entries if not _is_noise(each.filename)]
        if not wanted:
            raise file.error(SourceCode.EMPTY, "the archive holds no file")
        for entry in wanted:
            _check_entry(file, entry)
            target = _target(folder)
            with archive.open(entry) as source:
                size = _copy(source, target, budget)
            inner = replace(file, path=target, size=size, member=entry.filename)
            with target.open("rb") as opened:
                kind = archive_of(opened.read(8))
            if kind in ("gzip", "zstd"):
                yield _single(inner, folder, kind, budget)
            else:
                _refuse_nested(inner)
                yield inner


def _copy(source: IO[bytes], target: Path, budget: _Budget) -> int:
    size = 0
    with target.open("wb") as out:
        while part := source.read(CHUNK):
            budget.spend(len(part))
            size += len(part)
            out.write(part)
    return size


def _target(folder: Path) -> Path:
    return folder / f"unpacked-{sum(1 for _ in folder.glob('unpacked-*')):04d}"


def _office(entries: list[zipfile.ZipInfo]) -> bool:
    """A document of an office program: its format check says what it is."""
    return any(each.filename in ("[Content_Types].xml", "mimetype") for each in entries)


def _is_noise(name: str) -> bool:
    return any(part in _NOISE for part in PurePosixPath(name).parts)


def _check_entry(file: File, entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    unsafe = name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/")
    drive = len(name) > 1 and name[1] == ":"
    if unsafe or drive or stat.S_ISLNK(entry.external_attr >> 16):
        message = f"the archive holds a link or a path that leaves it: `{name[:100]}`"
        raise file.error(SourceCode.UNSAFE_ARCHIVE, message)
    if entry.flag_bits & 1:
        message = "the archive is password protected; pack it without a password"
        raise file.error(SourceCode.ENCRYPTED, message)


def _refuse_nested(inner: File) -> None:
    with inner.path.open("rb") as opened:
        head = opened.read(512)
    kind = archive_of(head)
    if kind == "zip":
        with _damage(inner), zipfile.ZipFile(inner.path) as archive:
            if workbook_of(archive.namelist()):
                return
    if kind or head[257:262] == b"ustar":
        message = "an archive inside of an archive; unpack it before the upload"
        raise inner.error(SourceCode.UNSAFE_ARCHIVE, message)


@contextmanager
def _damage(file: File) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "encrypted" in str(error) or "password" in str(error):
            message = "the archive is password protected; pack it without a password"
            raise file.error(SourceCode.ENCRYPTED, message) from None
        raise
    except _DAMAGED as error:
        message = f"the archive is damaged: {str(error)[:200]}"
        raise file.error(SourceCode.INVALID_FORMAT, message) from None
