"""What the pages about plans, webhooks, keys and the audit log show."""

from dataclasses import dataclass
from datetime import datetime

from plans.versions import Difference


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRow:
    """A plan lineage in a list."""

    id: str
    name: str
    source: str
    company: str | None
    published: int | None
    latest: int
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRow:
    """One immutable version."""

    number: int
    digest: str
    author: str
    reason: str
    run: str | None
    published: bool
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicationRow:
    """One time a version was put in use."""

    number: int
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanPage:
    """A plan's history."""

    plan: PlanRow
    versions: tuple[VersionRow, ...]
    publications: tuple[PublicationRow, ...]
    can_publish: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayRow:
    """What a version would have done to one past run."""

    run: str
    company: str
    before: int | None  #: valid rows
    after: int | None
    fixed: int
    broken: int
    note: str = ""  #: why it was not tried


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionPage:
    """One version: its document, what it changed, and how it does on past runs."""

    plan: PlanRow
    version: VersionRow
    against: int | None
    changes: tuple[Difference, ...]
    document: str
    replays: tuple[ReplayRow, ...]
    replayed: bool
    can_publish: bool
    can_replay: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryRow:
    """One event on its way to an endpoint."""

    id: str
    event: str
    type: str
    state: str
    attempts: tuple[tuple[str, str], ...]
    due_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRow:
    """Where a partner wants its events."""

    id: str
    url: str
    types: tuple[str, ...]
    disabled: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhooksPage:
    """Endpoints, and the log of one of them."""

    endpoints: tuple[EndpointRow, ...]
    chosen: EndpointRow | None
    deliveries: tuple[DeliveryRow, ...]
    older: str | None
    can_write: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRow:
    """An API key, without its secret."""

    id: str
    name: str
    prefix: str
    scopes: tuple[str, ...]
    live: bool
    mine: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeysPage:
    """The partner's keys; `fresh` is shown once, right after it was made."""

    keys: tuple[KeyRow, ...]
    scopes: tuple[str, ...]
    fresh: str | None
    sign_in: str | None
    can_write: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRow:
    """One line of the audit log."""

    sequence: int
    actor: str
    action: str
    target: str
    request: str
    data: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditPage:
    """A page of the audit log, and whether its chain is whole."""

    entries: tuple[AuditRow, ...]
    broken_at: int | None
    older: str | None
