"""Data of a request as files of this machine, for a look or a draft."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from api.deps import Services
from api.errors import ApiError, Code
from engine.errors import Conflict
from engine.files import content_key
from engine.model import Upload, UploadStatus
from engine.tables import InputFile


def ready(upload: Upload) -> Upload:
    """The upload, if all its bytes are here."""
    if upload.status is UploadStatus.EXPIRED:
        raise ApiError(code=Code.EXPIRED, detail=f"upload {upload.id} is gone; send the file again")
    if upload.status is not UploadStatus.STORED:
        raise Conflict(
            f"upload {upload.id} is not complete: {upload.received} of {upload.size} bytes"
        )
    return upload


@contextmanager
def on_disk(
    here: Services, given: Sequence[Upload], *, inline: tuple[str, str, bytes] | None = None
) -> Iterator[tuple[tuple[InputFile, ...], Path]]:
    """The files and a folder to work in; both go away."""
    with TemporaryDirectory(prefix="reknit-") as name:
        folder = Path(name).resolve()
        files = [InputFile(name=each.name, path=_local(here, each, folder)) for each in given]
        if inline is not None:
            path = folder / "inline"
            path.write_bytes(inline[2])
            files.append(InputFile(name=inline[0], path=path))
        work = folder / "work"
        work.mkdir()
        yield tuple(files), work


def _local(here: Services, upload: Upload, folder: Path) -> Path:
    digest = upload.digest or ""
    key = content_key(upload.partner, upload.company, digest)
    return here.files.fetch(key, folder, digest=digest)
