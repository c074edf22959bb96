"""What the store remembers: frozen records, the states of a run, and ids. No database here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from engine.accounting import Accounting
from engine.policy import Policy
from engine.proposal import Decision, Proposal
from plans.template import Template
from plans.versions import PlanVersion


class RunStatus(StrEnum):
    """Where a run is, in the words a partner sees."""

    QUEUED = "queued"  #: waits for a worker; also between two tries and after a decision
    RUNNING = "running"  #: a worker is at it
    NEEDS_ATTENTION = "needs_attention"  #: a proposal waits for a person; nothing is written
    COMPLETED = "completed"  #: the valid rows are there
    FAILED = "failed"  #: ended without valid rows; `error_code` says why
    CANCELED = "canceled"  #: somebody stopped it; nothing was written


TRANSITIONS: Mapping[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.CANCELED}),
    RunStatus.RUNNING: frozenset(
        {
            RunStatus.QUEUED,
            RunStatus.NEEDS_ATTENTION,
            RunStatus.COMPLETED,
            RunStatus.FAILED,
            RunStatus.CANCELED,
        }
    ),
    RunStatus.NEEDS_ATTENTION: frozenset({RunStatus.QUEUED, RunStatus.FAILED, RunStatus.CANCELED}),
    RunStatus.COMPLETED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELED: frozenset(),
}

#: A company has at most one run in these.
ACTIVE = frozenset(status for status, after in TRANSITIONS.items() if after)
ENDED = frozenset(RunStatus) - ACTIVE


class RunKind(StrEnum):
    """What a run does."""

    IMPORT = "import"  #: files or rows go into the company's sheets
    REPLAY = "replay"  #: rejected rows of an earlier run (`origin`) are tried again
    UNDO = "undo"  #: what an earlier run (`origin`) wrote is taken back


class FailureCode(StrEnum):
    """Why a run failed, beside the codes of an unreadable file (`SourceCode`)."""

    INVALID_ROWS = "invalid_rows"  #: the policy allows fewer invalid rows than there are
    REJECTED = "rejected"  #: a person rejected the proposal
    STOPPED = "stopped"  #: a bad cell in a field with on_invalid: stop
    PLAN_MISFIT = "plan_does_not_fit"  #: the plan and the file do not fit together
    INTERNAL = "internal_error"  #: every try ended in a fault of ours
    QUARANTINED = "quarantined"  #: its file killed the worker again and again
    STORAGE = "storage_full"  #: no room to write
    UPLOAD_CHANGED = "upload_changed"  #: the stored bytes are gone or not the uploaded ones
    NOT_UNDOABLE = "not_undoable"  #: meanwhile undone, or the versions an undo needs are gone
    TIMEOUT = "timed_out"  #: a child ran past its time
    PROPOSAL_DRIFT = "proposal_drift"  #: decided, it came out otherwise than was shown
    ROWS_CHANGED = "rows_changed"  #: tried again, its rows were read differently than at first


class Width(StrEnum):
    """For whom an accepted revision holds."""

    COMPANY = "company"  #: the run's company gets a plan of its own (default)
    SOURCE = "source"  #: every company of the source


class Scope(StrEnum):
    """What a person may do with a key."""

    COMPANIES_READ = "companies:read"
    COMPANIES_WRITE = "companies:write"
    IMPORTS_WRITE = "imports:write"
    IMPORTS_APPROVE = "imports:approve"
    PLANS_WRITE = "plans:write"
    PLANS_APPROVE = "plans:approve"
    EXPORTS_READ = "exports:read"
    DELIVERIES_WRITE = "deliveries:write"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_ADMIN = "keys:admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Partner:
    """An account of the deployment."""

    id: str
    name: str
    limits: Mapping[str, int]  #: quota name → most allowed; what is missing has the default
    created_at: datetime
    brand: Mapping[str, Any] = field(default_factory=dict)  #: what its customers' pages look like


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """An API key; its secret is nowhere, only the HMAC in the store."""

    id: str
    partner: str
    name: str
    prefix: str  #: first 12 characters, for people
    scopes: frozenset[Scope]
    companies: tuple[str, ...]  #: allow-list; empty: all
    addresses: tuple[str, ...]  #: allow-list of networks; empty: all
    api_version: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def live(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not expired


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A system data comes out of; owns one plan lineage."""

    id: str
    partner: str
    name: str  #: unique per partner
    title: str
    description: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateRecord:
    """One immutable version of a template."""

    id: str
    partner: str
    name: str
    number: int
    template: Template
    digest: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRecord:
    """A plan lineage: of a source, or one company's fork of it."""

    id: str
    partner: str
    source: str
    company: str | None  #: set: a fork that only this company uses
    forked_from: str | None  #: plan id
    name: str
    published: int | None  #: number of the version in use
    latest: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanVersionRecord:
    """A stored version. Never changes; a draft is a version that was not published."""

    plan: str
    partner: str
    version: PlanVersion
    run: str | None  #: the run whose decision made it
    created_at: datetime

    @property
    def number(self) -> int:
        """Its number in the lineage, from 1."""
        return self.version.number


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """A company's rows of one template."""

    id: str
    partner: str
    company: str
    name: str
    template: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Company:
    """One customer's migration: a workbook with one sheet per template."""

    id: str
    partner: str
    name: str
    external_id: str | None
    source: str
    workbook: str
    metadata: Mapping[str, str]
    sheets: tuple[Sheet, ...]
    created_at: datetime
    archived_at: datetime | None = None
    link_epoch: int = 0  #: magic links made before the last revocation have a lower one


class UploadStatus(StrEnum):
    """Where an upload is."""

    WAITING = "waiting"  #: its bytes have not all come
    STORED = "stored"  #: complete, size and digest checked
    EXPIRED = "expired"  #: gone: never completed, or past its retention


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file of a company, addressed by its content once it is stored."""

    id: str
    partner: str
    company: str
    name: str  #: the user's; never part of a path
    content_type: str
    size: int  #: declared, and true once stored
    status: UploadStatus
    digest: str | None  #: SHA-256, hex
    received: int  #: bytes so far
    created_at: datetime
    valid_until: datetime  #: of the upload URL
    stored_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What a running child says, at most once a second."""

    phase: str = ""
    done: int = 0
    total: int | None = None
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One result file of a run, visible only once its row is there."""

    name: str  #: such as "contacts/valid.csv"
    key: str  #: in the file store
    media_type: str
    size: int
    digest: str
    records: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One execution of a plan version over files or rows."""

    id: str
    partner: str
    company: str
    plan: str
    plan_version: int
    plan_digest: str
    status: RunStatus
    uploads: tuple[str, ...]
    options: Mapping[str, Any]  #: mapping, has_header, read options, tags, …: the call's own words
    policy: Policy
    dry_run: bool
    priority: int  #: 1 first; 0 is the default and goes before all
    turn: int  #: how often it was enqueued; a decision and a retry are new turns
    claim: int  #: how often a worker took this turn; the fencing token beside `turn`
    tries: int  #: of this phase that ended in a fault of ours
    progress: Progress
    counts: Accounting
    cancel_requested: bool
    proposal: str | None  #: the open one, or the last one
    error_code: str | None
    error_message: str | None
    report: str | None  #: key of the report JSON
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expired_at: datetime | None = None  #: its files and findings are gone
    executor: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    kind: RunKind = RunKind.IMPORT
    origin: str | None = None  #: the run an undo takes back; the first run of a replay's rows
    landing: bool = False  #: its rows are on their way into the sheets: no cancel any more
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: stored, by sheet
    waits: bool = False  #: queued behind the company's active run, or canceled there

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One thing that happened to a run or errand; `sequence` counts from 1 without a gap in each.

    What happened to an endpoint is of no company, and number 1.
    """

    id: str
    partner: str
    company: str | None
    run: str | None
    sequence: int
    type: str  #: "run.completed", "run.phase", "run.healed", …
    data: Mapping[str, Any]  #: ids, counts, words; never cell values
    actor: str
    at: datetime
    errand: str | None = None  #: an export or a delivery, instead of a run


@dataclass(frozen=True, kw_only=True, slots=True)
class ProposalRecord:
    """A proposal and what became of it."""

    id: str
    partner: str
    company: str
    run: str
    plan: str
    plan_version: int
    turn: int
    blocking: bool  #: false: a suggested revision from heals, the run did not wait
    proposal: Proposal
    version: PlanVersion  #: what the proposal revises: the run's version with its heals
    created_at: datetime
    decision: Decision | None = None
    decided_at: datetime | None = None
    made_version: int | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits for a decision."""
        return self.decided_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """A header that fed a field in an earlier run, as engine.binding remembers it."""

    source: str
    company: str
    template: str
    field: str
    headers: tuple[str, ...]
    shape: str
    trust: str  #: value of binding.Trust
    count: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a partner wants its events."""

    id: str
    partner: str
    url: str
    types: tuple[str, ...]  #: empty: all
    secrets: tuple[str, ...]  #: sealed; the first signs, older ones sign too while in grace
    created_at: datetime
    disabled_at: datetime | None = None
    disabled_reason: str = ""
    failing_since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `attempts`: (when, status or error) of each."""

    id: str
    partner: str
    endpoint: str
    event: str
    attempts: tuple[tuple[str, str], ...]
    due_at: datetime | None  #: None: delivered or given up
    delivered_at: datetime | None
    created_at: datetime
