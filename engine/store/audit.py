"""Who did what: append-only, each line's hash covers the line before, the partner keeps the head."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound
from engine.ids import utcnow
from engine.store.tables import audit, partners

#: Written in the transaction that erases a company, before its files go.
ERASED = "company.erased"


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One line of the hash-chained audit log."""

    sequence: int
    partner: str
    actor: str
    action: str
    target: str
    request: str
    data: Mapping[str, Any]
    at: datetime
    previous: str
    digest: str


def append(
    c: sa.Connection,
    partner: str,
    *,
    actor: str,
    action: str,
    target: str = "",
    request: str = "",
    data: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """The partner's next line. `data`: ids, counts and hashes; never a customer's value."""
    step = (
        sa.update(partners)
        .where(partners.c.id == partner)
        .values(audited=partners.c.audited + 1)
        .returning(partners.c.audited, partners.c.audit_head)
    )
    head = c.execute(step).first()
    if head is None:
        raise NotFound(f"there is no partner {partner}")
    values: dict[str, Any] = {
        "partner": partner,
        "sequence": head.audited,
        "actor": actor,
        "action": action,
        "target": target,
        "request": request,
        "data": json.dumps(data or {}, sort_keys=True),
        "at": utcnow(),
        "previous": head.audit_head,
    }
    values["digest"] = _digest(values)
    row = c.execute(sa.insert(audit).values(values).returning(audit)).mappings().one()
    mine = partners.c.id == partner
    c.execute(sa.update(partners).where(mine).values(audit_head=values["digest"]))
    return _record(dict(row))


def page(
    c: sa.Connection, partner: str, *, limit: int = 50, before: int | None = None
) -> list[AuditEntry]:
    """Lines, newest first."""
    query = sa.select(audit).where(audit.c.partner == partner)
    if before is not None:
        query = query.where(audit.c.sequence < before)
    rows = c.execute(query.order_by(audit.c.sequence.desc()).limit(limit)).mappings()
    return [_record(dict(row)) for row in rows]


def erased(c: sa.Connection, *, since: datetime) -> list[tuple[str, str]]:
    """Partner and company of every company that was erased since then."""
    query = sa.select(audit.c.partner, audit.c.target)
    query = query.where(audit.c.action == ERASED, audit.c.at >= since)
    rows = c.execute(query.execution_options(across_partners=True))
    return [(row.partner, row.target) for row in rows]


def verify(c: sa.Connection, partner: str) -> int | None:
    """Sequence of the first line that was changed or is gone; None when the log is whole."""
    query = sa.select(audit).where(audit.c.partner == partner).order_by(audit.c.sequence)
    previous, expected = "", 1
    for row in c.execute(query).mappings():
        whole = row["sequence"] == expected and row["previous"] == previous
        if not whole or _digest(dict(row)) != row["digest"]:
            return expected
        previous, expected = row["digest"], expected + 1
    ends = sa.select(partners.c.audited, partners.c.audit_head).where(partners.c.id == partner)
    head = c.execute(ends).first()
    return None if head is None or tuple(head) == (expected - 1, previous) else expected


def _digest(line: Mapping[str, Any]) -> str:
    moment: datetime = line["at"]
    texts = [
        str(line[name])
        for name in ("partner", "sequence", "actor", "action", "target", "request", "data")
    ]
    covered = [line["previous"], moment.isoformat(), *texts]
    return sha256(json.dumps(covered).encode()).hexdigest()


def _record(row: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(**{**row, "data": json.loads(row["data"])})
