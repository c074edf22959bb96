"""What each page of the console shows: frozen values, built apart from any template or database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from api.console.readings import ReadingRow
from engine.accounting import Accounting
from engine.model import Artifact, Progress, RunKind, RunStatus
from engine.proposal import Effect, Preview
from engine.replays import Standing
from plans.versions import Difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Shell:
    """What surrounds every page of a signed-in person."""

    partner: str
    section: str
    csrf: str
    waiting: int = 0  #: runs at needs_attention
    scopes: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """A run in a list and at the top of its page."""

    id: str
    company: str
    company_name: str
    status: RunStatus
    accounting: Accounting
    progress: Progress
    plan: str
    plan_name: str
    plan_version: int
    files: tuple[str, ...]
    dry_run: bool
    waits: bool  #: for the company's import before it
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RunsPage:
    """A page of runs, filtered."""

    runs: tuple[RunRow, ...]
    status: str
    counts: Mapping[str, int]  #: status → how many (at most 100)
    older: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CompanyRow:
    """A company in a list."""

    id: str
    name: str
    external_id: str | None
    source: str
    archived: bool
    created_at: datetime
    last: RunRow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CompaniesPage:
    """A page of companies."""

    companies: tuple[CompanyRow, ...]
    archived: bool
    older: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetRow:
    """A sheet of a company; `run` wrote to it last."""

    id: str
    name: str
    template: str
    rows: int = 0
    run: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RowsDeliveryRow:
    """A delivery of stored rows."""

    id: str
    destination: str
    status: str
    done: int
    total: int | None
    refused: int
    error: str | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRow:
    """An uploaded file."""

    id: str
    name: str
    size: int
    status: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CompanyPage:
    """One customer's migration."""

    company: CompanyRow
    workbook: str
    sheets: tuple[SheetRow, ...]
    runs: tuple[RunRow, ...]
    uploads: tuple[FileRow, ...]
    link: str  #: the magic link
    link_until: datetime
    active: RunRow | None
    deliveries: tuple[RowsDeliveryRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileCounts:
    """One file's part in a sheet."""

    file: str
    accounting: Accounting


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetCounts:
    """One sheet of a run."""

    sheet: str
    accounting: Accounting
    files: tuple[FileCounts, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftRow:
    """One difference between the expected and the received file."""

    code: str
    sheet: str
    message: str
    expected: str | None
    found: str | None
    count: int
    used: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class RepairRow:
    """A repair: applied by itself (a heal), or waiting as a part of a proposal."""

    id: str
    kind: str
    sheet: str
    field: str | None
    summary: str
    evidence: str
    confidence: float
    by: str
    effect: Effect | None
    changes: tuple[Difference, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupRow:
    """Invalid cells of one field and code."""

    sheet: str
    field: str | None
    column: str | None
    code: str
    message: str
    warning: bool
    cells: int
    rows: int
    values: tuple[tuple[str, int], ...]
    distinct: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ExchangeRow:
    """One question to a language model: exactly what was sent, and what it cost."""

    model: str
    status: str
    prompt: str
    digest: str
    prompt_tokens: int
    output_tokens: int
    cost: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One line of a run's timeline."""

    at: datetime
    icon: str
    tone: str
    title: str
    detail: str
    actor: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPage:
    """Everything about one run."""

    run: RunRow
    sheets: tuple[SheetCounts, ...]
    drifts: tuple[DriftRow, ...]
    heals: tuple[RepairRow, ...]
    groups: tuple[GroupRow, ...]
    moments: tuple[Moment, ...]
    downloads: tuple[Artifact, ...]
    questions: int
    summary: str
    error: str | None
    sequence: int  #: of the last event shown; the live stream goes on after it
    can_cancel: bool
    exchanges: tuple[ExchangeRow, ...] = ()
    kind: RunKind = RunKind.IMPORT
    origin: str | None = None  #: the run that is undone or whose rows are replayed
    undone_by: str | None = None
    can_undo: bool = False
    stored: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: rows, by sheet
    standing: Standing | None = None  #: of the rejected rows, once some were replayed
    readings: tuple[ReadingRow, ...] = ()
    noticed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionRow:
    """One answer, what it changes in the plan and what it did when tried."""

    id: str
    label: str
    effect: Effect | None
    changes: tuple[Difference, ...]
    recommended: bool
    preview: Preview | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class QuestionRow:
    """One question about real values."""

    id: str
    prompt: str
    context: str
    sheet: str
    field: str | None
    column: str | None
    affected: int
    samples: tuple[str, ...]
    error: str
    options: tuple[OptionRow, ...]
    allow_custom: bool
    custom_hint: str
    headers: tuple[str, ...] = ()  #: to choose a column from
    decisive: bool = False  #: nothing goes on without an answer


@dataclass(frozen=True, kw_only=True, slots=True)
class ReviewPage:
    """A proposal that waits for a decision, exactly as it was stored."""

    run: RunRow
    proposal: str
    etag: str
    summary: str
    repairs: tuple[RepairRow, ...]
    questions: tuple[QuestionRow, ...]
    changes: tuple[Difference, ...]  #: the whole plan diff when accepted as it is
    valid_after: int  #: rows, when accepted as it is
    parts: int  #: trials that this sums up; only a single one is exact
    source: str
    can_decide: bool
    can_widen: bool  #: may revise the source's plan, not only the company's
    exchanges: tuple[ExchangeRow, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class CellRow:
    """One invalid cell."""

    file: str
    sheet: str
    row: int
    column: str | None
    field: str | None
    code: str
    message: str
    value: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CellsPage:
    """A page of invalid cells, filtered by sheet, field and code."""

    run: RunRow
    cells: tuple[CellRow, ...]
    groups: tuple[GroupRow, ...]
    chosen: Mapping[str, str]
    total: int
    next: str | None
    back: str | None  #: to the first page, when this is another one


@dataclass(frozen=True, kw_only=True, slots=True)
class ContextPage:
    """One rejected row whole, in the customer's own columns, between the rejected ones around it."""

    run: RunRow
    file: str
    sheet: str
    row: int
    columns: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    cells: tuple[CellRow, ...]
    bad: frozenset[int]  #: column indexes with an invalid cell in that row


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldRow:
    """A field of the template and the columns that feed it in this run."""

    field: str
    title: str
    type: str
    required: bool
    columns: tuple[int, ...]
    by: str
    score: float
    evidence: str
    runner_up: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnRow:
    """An incoming column with its first values."""

    index: int
    header: str
    used_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingSheet:
    """One sheet's binding to one table."""

    sheet: str
    file: str
    fields: tuple[FieldRow, ...]
    columns: tuple[ColumnRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingPage:
    """How the columns of a run were understood."""

    run: RunRow
    sheets: tuple[MappingSheet, ...]
    can_edit: bool
