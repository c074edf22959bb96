"""Files a company is sending or has sent."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import Conflict, NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import Upload, UploadStatus
from engine.store.database import Instant, newest
from engine.store.tables import uploads


def add(
    c: sa.Connection,
    partner: str,
    *,
    company: str,
    name: str,
    content_type: str,
    size: int,
    valid_until: datetime,
    digest: str | None = None,
) -> Upload:
    """An announced upload whose bytes are still to come."""
    values = {
        "id": new_id(Kind.UPLOAD),
        "partner": partner,
        "company": company,
        "name": name,
        "content_type": content_type,
        "size": size,
        "status": UploadStatus.WAITING,
        "digest": digest,
        "received": 0,
        "created_at": utcnow(),
        "valid_until": valid_until,
    }
    return _record(c.execute(sa.insert(uploads).values(values).returning(uploads)).one())


def get(c: sa.Connection, partner: str, upload: str) -> Upload:
    """That upload of the partner."""
    query = sa.select(uploads).where(uploads.c.partner == partner, uploads.c.id == upload)
    row = c.execute(query).first()
    if row is None:
        raise NotFound(f"there is no upload {upload}")
    return _record(row)


def page(
    c: sa.Connection,
    partner: str,
    *,
    company: str,
    limit: int = 50,
    before: str | None = None,
) -> list[Upload]:
    """A company's uploads, newest first."""
    query = sa.select(uploads).where(uploads.c.partner == partner, uploads.c.company == company)
    return [_record(row) for row in c.execute(newest(query, uploads, limit=limit, before=before))]


def received(c: sa.Connection, partner: str, upload: str, *, offset: int, count: int) -> Upload:
    """`count` more bytes came after `offset`; Conflict unless that is where the upload stands."""
    statement = (
        sa.update(uploads)
        .where(
            uploads.c.partner == partner,
            uploads.c.id == upload,
            uploads.c.status == UploadStatus.WAITING,
            uploads.c.received == offset,
            uploads.c.size >= offset + count,
        )
        .values(received=offset + count)
    )
    row = c.execute(statement.returning(uploads)).first()
    if row is None:
        there = get(c, partner, upload)
        raise Conflict(f"upload {upload} ({there.status}) stands at byte {there.received}")
    return _record(row)


def stored(c: sa.Connection, partner: str, upload: str, *, digest: str, size: int) -> Upload:
    """All bytes are in the file store; the same bytes again are no error, others are a Conflict."""
    statement = (
        sa.update(uploads)
        .where(
            uploads.c.partner == partner,
            uploads.c.id == upload,
            uploads.c.status == UploadStatus.WAITING,
        )
        .values(
            status=UploadStatus.STORED,
            digest=digest,
            size=size,
            received=size,
            stored_at=utcnow(),
        )
    )
    row = c.execute(statement.returning(uploads)).first()
    if row is not None:
        return _record(row)
    there = get(c, partner, upload)
    if there.status is UploadStatus.STORED and there.digest == digest:
        return there
    raise Conflict(f"upload {upload} is {there.status} with other bytes; make a new upload")


def expire(c: sa.Connection, partner: str, upload: str) -> Upload:
    """The bytes are gone."""
    mine = (uploads.c.partner == partner, uploads.c.id == upload)
    statement = sa.update(uploads).where(*mine).values(status=UploadStatus.EXPIRED)
    row = c.execute(statement.returning(uploads)).first()
    if row is None:
        raise NotFound(f"there is no upload {upload}")
    return _record(row)


def restart(c: sa.Connection, partner: str, upload: str) -> Upload:
    """The sender begins again with the first byte; Conflict once the upload is complete."""
    statement = (
        sa.update(uploads)
        .where(
            uploads.c.partner == partner,
            uploads.c.id == upload,
            uploads.c.status == UploadStatus.WAITING,
        )
        .values(received=0)
    )
    row = c.execute(statement.returning(uploads)).first()
    if row is None:
        raise Conflict(f"upload {upload} is {get(c, partner, upload).status} already")
    return _record(row)


def held(c: sa.Connection, partner: str) -> tuple[int, int]:
    """How many files and bytes the partner has here, announced ones included."""
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(uploads.c.size), 0)).where(
        uploads.c.partner == partner, uploads.c.status != UploadStatus.EXPIRED
    )
    count, size = c.execute(query).one()
    return int(count), int(size)


def older(c: sa.Connection, *, before: datetime, limit: int, after: str = "") -> list[Upload]:
    """Uploads of every partner, stored or announced before that time and not expired, by id."""
    since = sa.func.coalesce(uploads.c.stored_at, uploads.c.valid_until)
    query = sa.select(uploads).where(
        uploads.c.status != UploadStatus.EXPIRED,
        since < sa.literal(before, Instant()),
        uploads.c.id > after,
    )
    query = query.order_by(uploads.c.id).limit(limit).execution_options(across_partners=True)
    return [_record(row) for row in c.execute(query)]


def has_content(c: sa.Connection, partner: str, *, company: str, digest: str) -> bool:
    """Whether a complete upload of the company has these bytes."""
    query = sa.select(uploads.c.id).where(
        uploads.c.partner == partner,
        uploads.c.company == company,
        uploads.c.digest == digest,
        uploads.c.status == UploadStatus.STORED,
    )
    return c.execute(query.limit(1)).first() is not None


def _record(row: sa.Row[Any]) -> Upload:
    values = {name: getattr(row, name) for name in Upload.__dataclass_fields__}
    return Upload(**values | {"status": UploadStatus(row.status)})
