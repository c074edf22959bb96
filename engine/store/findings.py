"""What a run found: tables read, bindings, drift, heals, groups of invalid cells. Never the cells."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from engine.model import RunStatus
from engine.store.tables import companies, findings, runs


class Finding(StrEnum):
    """Kinds of finding a run keeps."""

    READ = "read"  #: one staged table: how it was read
    BINDING = "binding"  #: which column feeds which field, and why
    DRIFT = "drift"  #: what differs from what the plan expects
    HEAL = "heal"  #: what was repaired without asking, with its evidence
    GROUP = "group"  #: invalid cells of one field and code


def replace(
    c: sa.Connection,
    partner: str,
    run: str,
    *,
    found: Mapping[Finding, Sequence[Mapping[str, Any]]],
) -> None:
    """These are the run's findings now."""
    c.execute(sa.delete(findings).where(findings.c.partner == partner, findings.c.run == run))
    rows = [
        {"run": run, "kind": kind, "position": position, "partner": partner, "data": dict(data)}
        for kind, members in found.items()
        for position, data in enumerate(members)
    ]
    if rows:
        c.execute(sa.insert(findings), rows)


def of_run(c: sa.Connection, partner: str, run: str, *, kind: Finding) -> list[dict[str, Any]]:
    """The run's findings of a kind, in their order."""
    query = sa.select(findings.c.data).where(
        findings.c.partner == partner, findings.c.run == run, findings.c.kind == kind
    )
    return list(c.execute(query.order_by(findings.c.position)).scalars())


def last_read(c: sa.Connection, partner: str, *, source: str) -> list[dict[str, Any]]:
    """How the tables of the source's last run that went through were read."""
    last = (
        sa.select(runs.c.id)
        .join(companies, companies.c.id == runs.c.company)
        .where(
            runs.c.partner == partner,
            companies.c.partner == partner,
            companies.c.source == source,
            runs.c.status == RunStatus.COMPLETED,
        )
        .order_by(runs.c.finished_at.desc())
        .limit(1)
    )
    found = c.execute(last).scalar()
    return of_run(c, partner, found, kind=Finding.READ) if found else []
