"""Files on disk or in an object store: whole and on disk before anybody can see them.

Keys are hex digits only: partner/company/digest for uploads, partner/company/run/… for results.
"""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import file_digest, sha256
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from engine import failpoints
from engine.errors import Conflict, NotFound, StorageError, UploadMismatch, gist
from engine.ids import folder_name, utcnow
from engine.posting import Bucket, Posting, posting, shown_bucket
from engine.settings import Settings

if TYPE_CHECKING:
    from obstore import ObjectMeta

CHUNK = 8 << 20
_KEY = re.compile(r"(?:[0-9a-f]+/)*[0-9a-f]+")
#: Where bytes lie that came straight into the bucket and were not looked at; no partner's folder.
_ARRIVED = "0/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A file that is there: its key, bytes and SHA-256 (hex)."""

    key: str
    size: int
    digest: str


def company_prefix(partner: str, company: str) -> str:
    """Everything of the company lies below this."""
    return f"{folder_name(partner)}/{folder_name(company)}/"


def content_key(partner: str, company: str, digest: str) -> str:
    """Where an upload of these bytes lies; companies share nothing, so that erasing is safe."""
    return f"{company_prefix(partner, company)}{digest[:2]}/{digest}"


def run_prefix(partner: str, company: str, run: str) -> str:
    """The result files of a run lie below this; an export's file likewise."""
    return f"{company_prefix(partner, company)}{folder_name(run)}/"


def result_key(partner: str, company: str, run: str) -> str:
    """A place for one more result file of a run."""
    return f"{run_prefix(partner, company, run)}{uuid4().hex}"


class Files:
    """The file store of the deployment."""

    def __init__(
        self,
        store: LocalStore | S3Store,
        *,
        incoming: Path,
        root: Path | None,
        bucket: Bucket | None = None,
    ) -> None:
        self._store, self.incoming, self.root, self._bucket = store, incoming, root, bucket
        incoming.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, chunks: Iterable[bytes]) -> Stored:
        """Store bytes as they come; visible as a whole or not at all."""
        spool = self.incoming / uuid4().hex
        try:
            size, digest = _spool(spool, chunks)
            self._place(spool, key)
        finally:
            spool.unlink(missing_ok=True)
        return Stored(key=key, size=size, digest=digest)

    def put_file(self, key: str, path: Path) -> Stored:
        """Store a file of this machine, which nobody changes any more; without a copy if possible."""
        spool = self.incoming / uuid4().hex
        try:
            os.link(path, spool)
        except OSError:
            return self.put(key, read_chunks(path))
        try:
            with spool.open("rb") as file:
                digest = file_digest(file, sha256).hexdigest()
                size = os.fstat(file.fileno()).st_size
                failpoints.hit("file:before-sync")
                os.fsync(file.fileno())
                failpoints.hit("file:after-sync")
            self._place(spool, key)
        finally:
            spool.unlink(missing_ok=True)
        return Stored(key=key, size=size, digest=digest)

    def put_content(
        self,
        partner: str,
        company: str,
        chunks: Iterable[bytes],
        *,
        size: int | None = None,
        digest: str | None = None,
    ) -> Stored:
        """Store an upload under its digest; UploadMismatch when it is not what was declared."""
        spool = self.incoming / uuid4().hex
        try:
            got_size, got_digest = _spool(spool, chunks, most=size)
            return self._adopt(spool, partner, company, (got_size, got_digest), (size, digest))
        finally:
            spool.unlink(missing_ok=True)

    def append(self, upload: str, offset: int, chunks: Iterable[bytes], *, most: int) -> int:
        """Add bytes to a resumable upload after `offset`; where it stands now.

        What an interrupted call left behind `offset` is dropped. Bytes up to the error are kept.
        """
        with _locked(self._part(upload)) as file:
            there = os.fstat(file.fileno()).st_size
            if there < offset:
                raise Conflict(f"upload {upload} has {there} bytes here, not {offset}")
            file.truncate(offset)
            file.seek(offset)
            try:
                for chunk in chunks:
                    if file.tell() + len(chunk) > most:
                        raise UploadMismatch(f"more than the declared {most} bytes came")
                    file.write(chunk)
            finally:
                file.flush()
                os.fsync(file.fileno())
            return int(file.tell())

    def assemble(
        self, upload: str, partner: str, company: str, *, size: int, digest: str | None = None
    ) -> Stored:
        """A resumable upload whose bytes have all come becomes content."""
        part = self._part(upload)
        with _locked(part) as file:
            got = os.fstat(file.fileno()).st_size, file_digest(file, sha256).hexdigest()
        return self._adopt(part, partner, company, got, (size, digest))

    def direct(
        self, upload: str, *, size: int, content_type: str, until: datetime
    ) -> Posting | None:
        """How to send an upload straight into the bucket; None: it comes through the server."""
        if self._bucket is None:
            return None
        key, now = _ARRIVED + folder_name(upload), utcnow()
        return posting(
            self._bucket, key, size=size, content_type=content_type, now=now, until=until
        )

    def take(
        self, upload: str, partner: str, company: str, *, size: int, digest: str | None = None
    ) -> Stored:
        """What was sent straight into the bucket becomes content; NotFound: nothing came.

        The sender may still overwrite it there, so what is checked is a copy.
        """
        chunks = self.get(_ARRIVED + folder_name(upload))
        return self.put_content(partner, company, chunks, size=size, digest=digest)

    def abandon(self, upload: str) -> None:
        """Drop what came of an upload but did not become content."""
        self._part(upload).unlink(missing_ok=True)
        self.delete([_ARRIVED + folder_name(upload)])

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end` in chunks; NotFound at the call, not later."""
        size = self.size(key)
        stop = size if end is None else min(end, size)
        return self._chunks(key, start, stop)

    def size(self, key: str) -> int:
        """Bytes of the file."""
        with _translated(key):
            return int(obstore.head(self._store, _sane(key))["size"])

    def exists(self, key: str) -> bool:
        """Whether the file is there."""
        try:
            self.size(key)
        except NotFound:
            return False
        return True

    def fetch(self, key: str, folder: Path, *, digest: str) -> Path:
        """The file on this machine, its bytes checked; not copied when it lies here already."""
        path = self.local(key)
        if path is None:
            path = folder / uuid4().hex
            with path.open("wb") as out:
                for chunk in self.get(key):
                    out.write(chunk)
        with path.open("rb") as file:
            got = file_digest(file, sha256).hexdigest()
        if got != digest:
            raise UploadMismatch(f"stored bytes have the digest {got}, not {digest}")
        return path

    def local(self, key: str) -> Path | None:
        """The file's path when the store is a folder of this machine."""
        if self.root is None:
            return None
        path = self.root / _sane(key)
        if not path.is_file():
            raise NotFound(f"there is no file {key}")
        return path

    def keys(self, prefix: str) -> list[str]:
        """Every key below the prefix."""
        return sorted(each["path"] for each in self._listed(prefix))

    def delete(self, keys: Sequence[str]) -> None:
        """Remove files; missing ones are no error."""
        for key in keys:
            with _translated(key), suppress(FileNotFoundError):
                obstore.delete(self._store, _sane(key))

    def delete_prefix(self, prefix: str) -> int:
        """Remove everything below the prefix; how many files."""
        found = self.keys(prefix)
        for key in found:
            # Listed, not asked for: a sheet's table gives its files names of its own.
            with _translated(key), suppress(FileNotFoundError):
                obstore.delete(self._store, key)
        if self.root is not None:
            _prune(self.root / prefix)
        return len(found)

    def sweep(self, *, older_seconds: float) -> int:
        """Remove what interrupted uploads left here and in the bucket; how many files."""
        stale = [
            path
            for path in self.incoming.iterdir()
            if path.is_file() and path.stat().st_mtime < time() - older_seconds
        ]
        for path in stale:
            path.unlink(missing_ok=True)
        # A form is good for its whole hour, also after its upload was complete or erased.
        before = utcnow() - timedelta(seconds=older_seconds)
        old = [each["path"] for each in self._listed(_ARRIVED) if each["last_modified"] < before]
        self.delete(old)
        return len(stale) + len(old)

    def _listed(self, prefix: str) -> "list[ObjectMeta]":
        with _translated(prefix):
            return [each for page in obstore.list(self._store, prefix) for each in page]

    def _part(self, upload: str) -> Path:
        return self.incoming / f"{folder_name(upload)}.part"

    def _adopt(
        self,
        path: Path,
        partner: str,
        company: str,
        got: tuple[int, str],
        declared: tuple[int | None, str | None],
    ) -> Stored:
        """Move checked bytes to the place of their content."""
        if declared[0] not in (None, got[0]):
            raise UploadMismatch(f"{got[0]} bytes came, {declared[0]} were declared")
        if declared[1] not in (None, got[1]):
            raise UploadMismatch(f"the bytes have the SHA-256 {got[1]}, not {declared[1]}")
        stored = Stored(key=content_key(partner, company, got[1]), size=got[0], digest=got[1])
        if not self.exists(stored.key):
            self._place(path, stored.key)
        path.unlink(missing_ok=True)
        return stored

    def _place(self, path: Path, key: str) -> None:
        if self.root is None:
            with _translated(key):
                obstore.put(self._store, _sane(key), path)
            return
        target = self.root / _sane(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        failpoints.hit("file:before-rename")
        os.replace(path, target)
        failpoints.hit("file:after-rename")
        for folder in target.relative_to(self.root).parents:
            _sync(self.root / folder)

    def _chunks(self, key: str, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            length = min(CHUNK, stop - start)
            with _translated(key):
                chunk = bytes(obstore.get_range(self._store, key, start=start, length=length))
            yield chunk
            start += len(chunk)


def open_files(settings: Settings) -> Files:
    """The store that the settings name: `file://…` or `s3://bucket/prefix`."""
    url = urlsplit(settings.files)
    incoming = settings.data_dir / "incoming"
    if url.scheme == "file":
        root = Path(unquote(url.path))
        root.mkdir(parents=True, exist_ok=True)
        # On the same file system, so that placing a file is one rename.
        return Files(LocalStore(root), incoming=root / ".incoming", root=root)
    store = _s3(settings, url.netloc, url.path)
    return Files(store, incoming=incoming, root=None, bucket=shown_bucket(settings))


def _s3(settings: Settings, bucket: str, path: str) -> S3Store:
    options: dict[str, Any] = {"region": settings.s3_region}
    if settings.s3_endpoint:
        options["endpoint"] = settings.s3_endpoint
    if settings.s3_access_key.get_secret_value():
        options["access_key_id"] = settings.s3_access_key.get_secret_value()
        options["secret_access_key"] = settings.s3_secret_key.get_secret_value()
    client: Any = {"allow_http": settings.s3_endpoint.startswith("http://")}
    return S3Store(bucket, prefix=path.strip("/") or None, client_options=client, **options)


def read_chunks(path: Path) -> Iterator[bytes]:
    """A file's bytes in chunks."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _spool(path: Path, chunks: Iterable[bytes], *, most: int | None = None) -> tuple[int, str]:
    hasher, size = sha256(), 0
    with path.open("wb") as out:
        for chunk in chunks:
            size += len(chunk)
            if most is not None and size > most:
                raise UploadMismatch(f"more than the declared {most} bytes came")
            hasher.update(chunk)
            out.write(chunk)
        out.flush()
        failpoints.hit("file:before-sync")
        os.fsync(out.fileno())
        failpoints.hit("file:after-sync")
    return size, hasher.hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[Any]:
    """The file, open for this process alone."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("another request is sending to this upload") from None
        yield file


def _sane(key: str) -> str:
    """Only keys of ours: nothing that a path could be made of gets through."""
    if not _KEY.fullmatch(key):
        raise StorageError(f"{key!r} is no key of the file store")
    return key


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"there is no file {key}") from None
    except (BaseError, OSError) as error:
        raise StorageError(f"the file store refused {key}: {gist(error)}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(folder: Path) -> None:
    """Remove folders that hold nothing any more."""
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(path)
