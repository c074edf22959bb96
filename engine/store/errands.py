"""Errands: a company's rows fetched into a file (an export) or brought to a destination (a delivery)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from engine.errors import Conflict, NotFound, Superseded
from engine.ids import Kind as Id
from engine.ids import new_id, utcnow
from engine.model import Artifact
from engine.store import events
from engine.store.database import newest
from engine.store.tables import errands


class Kind(StrEnum):
    """What an errand is; a download is the file of an export that was answered at once."""

    EXPORT = "export"
    DELIVERY = "delivery"
    DOWNLOAD = "download"


class Status(StrEnum):
    """Where an errand is, in the words a partner sees."""

    QUEUED = "queued"  #: waits for a worker; also between two tries
    RUNNING = "running"  #: a worker is at it
    COMPLETED = "completed"  #: the file is there, or every row was sent
    FAILED = "failed"  #: `error_code` says why; a delivery can be tried again from where it stood
    CANCELED = "canceled"  #: somebody stopped it


OPEN = (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Errand:
    """One export or delivery; `request` is what was asked, as its document."""

    id: str
    partner: str
    company: str
    kind: Kind
    status: Status
    title: str  #: what its file is called
    request: Mapping[str, Any]
    etag: str | None  #: names the bytes of its file before they are there
    destination: str | None
    turn: int  #: how often it was enqueued
    claim: int  #: how often a worker took this turn; the fencing token beside `turn`
    tries: int  #: that ended in a fault
    cancel_requested: bool
    progress: Mapping[str, Any]  #: done, total
    file: Artifact | None
    error_code: str | None
    error_message: str | None
    actor: str
    executor: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    sequence: int = field(default=0, repr=False)

    @property
    def open(self) -> bool:
        """Whether something more will happen to it by itself."""
        return self.status in OPEN


def add(
    c: sa.Connection,
    partner: str,
    *,
    company: str,
    kind: Kind,
    title: str,
    request: Mapping[str, Any],
    actor: str,
    destination: str | None = None,
    total: int | None = None,
) -> Errand:
    """A queued errand at its first turn."""
    values = _new(partner, company, kind=kind, title=title, request=request, actor=actor)
    values |= {"destination": destination, "progress": {"done": 0, "total": total}}
    made = _errand(c.execute(sa.insert(errands).values(values).returning(errands)).one())
    _tell(c, made)
    return made


def add_download(
    c: sa.Connection,
    partner: str,
    *,
    company: str,
    title: str,
    request: Mapping[str, Any],
    etag: str,
    file: Artifact,
    expires_at: datetime,
    actor: str,
    errand: str,
) -> Errand:
    """A file that was made at once, kept under an id drawn before, so that it can be resumed."""
    values = _new(partner, company, kind=Kind.DOWNLOAD, title=title, request=request, actor=actor)
    values |= {
        "id": errand, "status": Status.COMPLETED, "etag": etag, "file": asdict(file),
        "finished_at": utcnow(), "expires_at": expires_at,
    }  # fmt: skip
    return _errand(c.execute(sa.insert(errands).values(values).returning(errands)).one())


def _new(
    partner: str, company: str, *, kind: Kind, title: str, request: Mapping[str, Any], actor: str
) -> dict[str, Any]:
    now = utcnow()
    return {
        "id": new_id(Id.ERRAND if kind is Kind.DELIVERY else Id.EXPORT), "partner": partner,
        "company": company, "kind": kind, "status": Status.QUEUED, "title": title,
        "request": dict(request), "turn": 1, "claim": 0, "tries": 0, "cancel_requested": False,
        "progress": {}, "sequence": 0, "actor": actor, "created_at": now, "updated_at": now,
    }  # fmt: skip


def get(c: sa.Connection, partner: str, errand: str, *, kind: Kind | None = None) -> Errand:
    """That errand of the partner."""
    query = sa.select(errands).where(*_mine(partner, errand))
    row = c.execute(query).first()
    if row is None or kind not in (None, row.kind):
        raise NotFound(f"there is no {kind or 'errand'} {errand}")
    return _errand(row)


def page(
    c: sa.Connection,
    partner: str,
    *,
    company: str,
    kind: Kind,
    limit: int = 50,
    before: str | None = None,
) -> list[Errand]:
    """A company's errands of one kind, newest first."""
    query = sa.select(errands).where(
        errands.c.partner == partner, errands.c.company == company, errands.c.kind == kind
    )
    return [_errand(row) for row in c.execute(newest(query, errands, limit=limit, before=before))]


def made_before(c: sa.Connection, partner: str, *, company: str, etag: str) -> Errand | None:
    """An errand whose file has exactly these bytes and is still there."""
    query = sa.select(errands).where(
        errands.c.partner == partner, errands.c.company == company, errands.c.etag == etag,
        errands.c.status == Status.COMPLETED, errands.c.expires_at > utcnow(),
    )  # fmt: skip
    row = c.execute(query.order_by(errands.c.id.desc()).limit(1)).first()
    return _errand(row) if row is not None else None


def claim(c: sa.Connection, partner: str, errand: str, *, turn: int, executor: str) -> Errand:
    """Take a turn; Superseded unless it is the errand's present one."""
    return _step(
        c, partner, errand, (errands.c.turn == turn,), status=Status.RUNNING,
        claim=errands.c.claim + 1, executor=executor,
    )  # fmt: skip


def step(c: sa.Connection, errand: Errand, **changes: Any) -> Errand:
    """Set columns of an errand this worker still holds; Superseded otherwise."""
    held = (errands.c.turn == errand.turn, errands.c.claim == errand.claim)
    return _step(c, errand.partner, errand.id, held, **changes)


def end(c: sa.Connection, errand: Errand, status: Status, **changes: Any) -> Errand:
    """It is over, and everybody who listens is told."""
    values = {"status": status, "finished_at": utcnow(), **changes}
    made = step(c, errand, **values)
    _tell(c, made)
    return made


def again(c: sa.Connection, errand: Errand, **changes: Any) -> Errand:
    """The errand's next turn, which the caller enqueues."""
    return step(
        c, errand, status=Status.QUEUED, turn=errand.turn + 1, claim=0, executor=None, **changes
    )


def retry(c: sa.Connection, partner: str, errand: str) -> Errand:
    """A failed or canceled delivery goes on from where it stood; Conflict unless it is over."""
    there = get(c, partner, errand)
    statement = (
        sa.update(errands)
        .where(
            *_mine(partner, errand), errands.c.turn == there.turn,
            errands.c.status.in_((Status.FAILED, Status.CANCELED)),
        )
        .values(
            status=Status.QUEUED, turn=there.turn + 1, claim=0, tries=0, executor=None,
            cancel_requested=False, error_code=None, error_message=None, finished_at=None,
            updated_at=utcnow(),
        )
    )  # fmt: skip
    row = c.execute(statement.returning(errands)).first()
    if row is None:
        raise Conflict(f"{errand} is {there.status}: only what failed or was canceled is retried")
    made = _errand(row)
    _tell(c, made)
    return made


def cancel(c: sa.Connection, partner: str, errand: str) -> Errand:
    """One that waits ends at once, a running one at its next step."""
    there = get(c, partner, errand)
    if not there.open:
        raise Conflict(f"{errand} is {there.status} already")
    if there.status is Status.QUEUED:
        return end(c, there, Status.CANCELED)
    return step(c, there, cancel_requested=True)


def remove(c: sa.Connection, partner: str, errand: str) -> None:
    """The errand goes; its file is the caller's to delete."""
    c.execute(sa.delete(errands).where(*_mine(partner, errand)))


def in_use(c: sa.Connection, partner: str, destination: str) -> bool:
    """Whether a delivery to it has not ended."""
    query = sa.select(errands.c.id).where(
        errands.c.partner == partner, errands.c.destination == destination,
        errands.c.status.in_(OPEN),
    )  # fmt: skip
    return c.execute(query.limit(1)).first() is not None


def untouched(c: sa.Connection, *, seconds: float) -> list[Errand]:
    """Open errands of every partner that nobody has touched for so long."""
    before = utcnow() - timedelta(seconds=seconds)
    query = sa.select(errands).where(errands.c.status.in_(OPEN), errands.c.updated_at < before)
    rows = c.execute(query.limit(500).execution_options(across_partners=True))
    return [_errand(row) for row in rows]


def finished(c: sa.Connection, *, before: datetime, limit: int) -> list[Errand]:
    """Errands of every partner that ended before that time."""
    query = sa.select(errands).where(errands.c.finished_at < before)
    rows = c.execute(query.limit(limit).execution_options(across_partners=True))
    return [_errand(row) for row in rows]


def outdated(c: sa.Connection, *, limit: int) -> list[Errand]:
    """Errands of every partner whose file has had its time and is still there."""
    query = sa.select(errands).where(errands.c.file.is_not(None), errands.c.expires_at < utcnow())
    rows = c.execute(query.limit(limit).execution_options(across_partners=True))
    return [_errand(row) for row in rows]


def forget_file(c: sa.Connection, partner: str, errand: str) -> None:
    """The file is gone; a mere download leaves nothing behind."""
    c.execute(sa.update(errands).where(*_mine(partner, errand)).values(file=None))
    gone = (*_mine(partner, errand), errands.c.kind == Kind.DOWNLOAD)
    c.execute(sa.delete(errands).where(*gone))


def _step(
    c: sa.Connection,
    partner: str,
    errand: str,
    held: tuple[sa.ColumnElement[bool], ...],
    **changes: Any,
) -> Errand:
    open_ = errands.c.status.in_(OPEN)
    statement = sa.update(errands).where(*_mine(partner, errand), *held, open_)
    row = c.execute(statement.values(updated_at=utcnow(), **changes).returning(errands)).first()
    if row is None:
        there = get(c, partner, errand)
        raise Superseded(f"{errand} is {there.status} in turn {there.turn}.{there.claim}")
    return _errand(row)


def _tell(c: sa.Connection, errand: Errand) -> None:
    """An event of the errand's new status."""
    drawn = (
        sa.update(errands)
        .where(*_mine(errand.partner, errand.id))
        .values(sequence=errands.c.sequence + 1)
        .returning(errands.c.sequence)
    )
    data = {"status": errand.status, **errand.progress, "error_code": errand.error_code}
    events.record(
        c, errand.partner, None, f"{errand.kind}.{errand.status}", errand=errand.id,
        sequence=c.execute(drawn).scalar_one(), company=errand.company, actor=errand.actor,
        data=data,
    )  # fmt: skip


def _mine(partner: str, errand: str) -> tuple[sa.ColumnElement[bool], ...]:
    return errands.c.partner == partner, errands.c.id == errand


def _errand(row: sa.Row[Any]) -> Errand:
    values = {name: getattr(row, name) for name in Errand.__dataclass_fields__}
    file = Artifact(**row.file) if row.file else None
    return Errand(**values | {"kind": Kind(row.kind), "status": Status(row.status), "file": file})
