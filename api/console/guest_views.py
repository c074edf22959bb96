"""What the pages of a magic link show to a partner's customer."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from api.console.readings import ReadingRow
from api.console.views import FileRow, QuestionRow, RepairRow, RunRow
from engine.model import Artifact


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What surrounds every page: whose it is and how it looks. `root`: the link's own path."""

    root: str
    brand: str
    logo: str
    company: str
    until: datetime
    languages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class HomePage:
    """Files that wait to be imported, and what became of earlier ones."""

    files: tuple[FileRow, ...]
    coming: tuple[FileRow, ...]  #: begun and not complete; dropping the file again goes on
    runs: tuple[RunRow, ...]
    active: RunRow | None
    max_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewColumn:
    """One column of the file."""

    index: int
    header: str
    samples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewField:
    """One field, the column that feeds it, and how sure that is."""

    name: str
    title: str
    required: bool
    column: int | None
    several: tuple[str, ...]  #: headers, when more than one column feeds it
    sure: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewTable:
    """One table of the files; `sheet` is None when nothing wants it."""

    file: str
    sheet: str | None
    total: int
    columns: tuple[PreviewColumn, ...]
    fields: tuple[PreviewField, ...]
    rows: tuple[tuple[str, ...], ...]
    unused: tuple[str, ...]
    reading: ReadingRow
    unlike: str = ""  #: why it is perhaps the wrong file


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnsPage:
    """How the chosen files would be understood."""

    chosen: tuple[str, ...]  #: upload ids
    tables: tuple[PreviewTable, ...]
    problem: str
    mapping: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportPage:
    """A run as the customer sees it."""

    run: RunRow
    proposal: str
    etag: str
    repairs: tuple[RepairRow, ...]
    questions: tuple[QuestionRow, ...]
    downloads: tuple[Artifact, ...]
    error: str | None
    sequence: int
    readings: tuple[ReadingRow, ...] = ()
