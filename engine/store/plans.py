"""Plans by source, forked by company. A version never changes; publishing only points at one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import Conflict, NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import PlanRecord, PlanVersionRecord
from engine.store.database import insert, newest
from engine.store.tables import plan_versions, plans, publications
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, canonical, first_version, next_version, verify


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """One moment at which a version came into use."""

    number: int
    actor: str
    reason: str
    at: datetime


def add(
    c: sa.Connection,
    partner: str,
    *,
    source: str,
    version: PlanVersion,
    company: str | None = None,
    forked_from: str | None = None,
) -> PlanRecord:
    """A lineage and its first version, unpublished; Conflict when there is one in this scope."""
    values = {
        "id": new_id(Kind.PLAN),
        "partner": partner,
        "source": source,
        "company": company,
        "forked_from": forked_from,
        "name": version.plan.plan,
        "latest": version.number,
        "created_at": utcnow(),
    }
    statement = insert(c, plans).values(values).on_conflict_do_nothing().returning(plans)
    row = c.execute(statement).mappings().first()
    if row is None:
        raise Conflict(f"{company or source} has a plan already; revise that one")
    _keep(c, partner, row["id"], version, run=None)
    return PlanRecord(**row)


def get(c: sa.Connection, partner: str, plan: str) -> PlanRecord:
    """That plan of the partner."""
    query = sa.select(plans).where(plans.c.partner == partner, plans.c.id == plan)
    row = c.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no plan {plan}")
    return PlanRecord(**row)


def page(
    c: sa.Connection,
    partner: str,
    *,
    limit: int = 50,
    before: str | None = None,
    source: str | None = None,
    company: str | None = None,
) -> list[PlanRecord]:
    """Plans, newest first."""
    query = sa.select(plans).where(plans.c.partner == partner)
    if source is not None:
        query = query.where(plans.c.source == source)
    if company is not None:
        query = query.where(plans.c.company == company)
    rows = c.execute(newest(query, plans, limit=limit, before=before)).mappings()
    return [PlanRecord(**row) for row in rows]


def of_source(c: sa.Connection, partner: str, source: str) -> PlanRecord | None:
    """The source's own lineage."""
    return of_sources(c, partner, [source]).get(source)


def of_sources(
    c: sa.Connection, partner: str, sources: Collection[str]
) -> Mapping[str, PlanRecord]:
    """By source, its own lineage; none for a source that has no plan yet."""
    mine = (plans.c.partner == partner, plans.c.source.in_(sources), plans.c.company.is_(None))
    rows = c.execute(sa.select(plans).where(*mine)).mappings()
    return {row["source"]: PlanRecord(**row) for row in rows}


def effective(c: sa.Connection, partner: str, *, source: str, company: str) -> PlanRecord:
    """The published plan a company's imports use: its own fork, else the source's."""
    mine = sa.or_(plans.c.company == company, plans.c.company.is_(None))
    query = sa.select(plans).where(
        plans.c.partner == partner, plans.c.source == source, plans.c.published.is_not(None), mine
    )
    rows = [PlanRecord(**row) for row in c.execute(query).mappings()]
    if not rows:
        raise NotFound(f"source {source} has no published plan; publish one first")
    return min(rows, key=lambda each: each.company is None)


def version(
    c: sa.Connection, partner: str, plan: str, *, number: int | None = None
) -> PlanVersionRecord:
    """The version of that number, or the published one."""
    wanted = get(c, partner, plan).published if number is None else number
    query = sa.select(plan_versions).where(
        plan_versions.c.partner == partner,
        plan_versions.c.plan == plan,
        plan_versions.c.number == wanted,
    )
    row = c.execute(query).first()
    if row is None:
        which = "published version" if number is None else f"version {number}"
        raise NotFound(f"plan {plan} has no {which}")
    return _version(row)


def versions(c: sa.Connection, partner: str, plan: str) -> list[PlanVersionRecord]:
    """Every version of a plan, newest first."""
    query = sa.select(plan_versions).where(
        plan_versions.c.partner == partner, plan_versions.c.plan == plan
    )
    return [_version(row) for row in c.execute(query.order_by(plan_versions.c.number.desc()))]


def revise(
    c: sa.Connection,
    partner: str,
    plan: str,
    document: Plan,
    *,
    parent: int | None = None,
    templates: Sequence[Template] | None = None,
    author: str = "",
    reason: str = "",
    run: str | None = None,
) -> PlanVersionRecord:
    """A draft after `parent` (default: the latest), with its templates unless others are given.

    Conflict when `parent` is given and is not the latest any more.
    """
    record = get(c, partner, plan)
    base = version(c, partner, plan, number=parent or record.latest).version
    if templates is None:
        after = next_version(base, document, author=author, reason=reason)
    else:
        first = first_version(document, tuple(templates), author=author, reason=reason)
        after = first.model_copy(update={"number": base.number + 1, "parent": base.digest})
    return append(c, partner, plan, after, run=run)


def append(
    c: sa.Connection, partner: str, plan: str, after: PlanVersion, *, run: str | None = None
) -> PlanVersionRecord:
    """Keep a version that was made already; Conflict unless it is the next one."""
    step = (
        sa.update(plans)
        .where(plans.c.partner == partner, plans.c.id == plan, plans.c.latest == after.number - 1)
        .values(latest=after.number)
    )
    if not c.execute(step).rowcount:
        get(c, partner, plan)
        raise Conflict(f"plan {plan} has a newer version than {after.number - 1}; start from it")
    return _keep(c, partner, plan, after, run=run)


def in_use(version: PlanVersionRecord) -> dict[str, Any]:
    """The columns of a run that name the version it uses."""
    return {
        "plan": version.plan,
        "plan_version": version.number,
        "plan_digest": version.version.digest,
    }


def fork(c: sa.Connection, partner: str, plan: str, *, company: str, number: int) -> PlanRecord:
    """The company's own lineage, which starts as that version; unpublished."""
    base = version(c, partner, plan, number=number).version
    start = base.model_copy(
        update={"number": 1, "parent": base.digest, "reason": f"fork of {plan} version {number}"}
    )
    source = get(c, partner, plan).source
    return add(c, partner, source=source, version=start, company=company, forked_from=plan)


def publish(
    c: sa.Connection, partner: str, plan: str, number: int, *, actor: str, reason: str = ""
) -> PlanRecord:
    """That version is the one imports use from now on."""
    version(c, partner, plan, number=number)
    mine = (plans.c.partner == partner, plans.c.id == plan)
    update = sa.update(plans).where(*mine).values(published=number).returning(plans)
    row = c.execute(update).mappings().one()
    last = sa.select(sa.func.coalesce(sa.func.max(publications.c.sequence), 0)).where(
        publications.c.partner == partner, publications.c.plan == plan
    )
    values = {
        "plan": plan,
        "sequence": c.execute(last).scalar_one() + 1,
        "partner": partner,
        "number": number,
        "actor": actor,
        "reason": reason,
        "at": utcnow(),
    }
    c.execute(sa.insert(publications).values(values))
    return PlanRecord(**row)


def rollback(
    c: sa.Connection, partner: str, plan: str, *, actor: str, reason: str = ""
) -> PlanRecord:
    """Publish again what was published before the present version."""
    now = get(c, partner, plan).published
    before = [each.number for each in published(c, partner, plan) if each.number != now]
    if now is None or not before:
        raise Conflict(f"plan {plan} was published only once; there is nothing to go back to")
    return publish(c, partner, plan, before[0], actor=actor, reason=reason or "rolled back")


def published(c: sa.Connection, partner: str, plan: str) -> list[Publication]:
    """Every publication, newest first."""
    mine = (publications.c.partner == partner, publications.c.plan == plan)
    query = sa.select(publications).where(*mine).order_by(publications.c.sequence.desc())
    return [
        Publication(number=row.number, actor=row.actor, reason=row.reason, at=row.at)
        for row in c.execute(query)
    ]


def _keep(
    c: sa.Connection, partner: str, plan: str, kept: PlanVersion, *, run: str | None
) -> PlanVersionRecord:
    values = {
        "plan": plan,
        "number": kept.number,
        "partner": partner,
        "digest": kept.digest,
        "document": canonical(kept),
        "run": run,
        "created_at": utcnow(),
    }
    statement = sa.insert(plan_versions).values(values).returning(plan_versions)
    return _version(c.execute(statement).one())


def _version(row: sa.Row[Any]) -> PlanVersionRecord:
    kept = PlanVersion.model_validate_json(row.document)
    if kept.digest != row.digest or not verify(kept):
        raise Conflict(f"version {row.number} of plan {row.plan} is damaged: its digest differs")
    return PlanVersionRecord(
        plan=row.plan, partner=row.partner, version=kept, run=row.run, created_at=row.created_at
    )
