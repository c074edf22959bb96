"""Companies and their sheets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import ActiveRun, Conflict, NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import ACTIVE, Company, Sheet, UploadStatus
from engine.store.database import insert, newest
from engine.store.tables import companies, runs, sheets, uploads


def add(
    c: sa.Connection,
    partner: str,
    *,
    name: str,
    source: str,
    templates: Sequence[str],
    external_id: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Company:
    """A company with one sheet per template; Conflict when the external id is taken."""
    now = utcnow()
    values = {
        "id": new_id(Kind.COMPANY),
        "partner": partner,
        "name": name,
        "external_id": external_id,
        "source": source,
        "workbook": new_id(Kind.WORKBOOK),
        "metadata": dict(metadata or {}),
        "created_at": now,
    }
    statement = insert(c, companies).values(values).on_conflict_do_nothing().returning(companies)
    row = c.execute(statement).mappings().first()
    if row is None:
        raise Conflict(f"there is a company with external_id {external_id!r} already")
    made = [
        Sheet(
            id=new_id(Kind.SHEET),
            partner=partner,
            company=row["id"],
            name=template,
            template=template,
            created_at=now,
        )
        for template in templates
    ]
    for sheet in made:
        fields = {each: getattr(sheet, each) for each in Sheet.__dataclass_fields__}
        c.execute(sa.insert(sheets).values(fields))
    return Company(**row, sheets=tuple(made))


def with_sheets(
    c: sa.Connection, partner: str, company: str, *, templates: Sequence[str]
) -> dict[str, Sheet]:
    """The company's sheets by template; one a plan has learned of since is added."""
    for template in templates:
        values = {
            "id": new_id(Kind.SHEET),
            "partner": partner,
            "company": company,
            "name": template,
            "template": template,
            "created_at": utcnow(),
        }
        c.execute(insert(c, sheets).values(values).on_conflict_do_nothing())
    return {each.template: each for each in get(c, partner, company).sheets}


def get(c: sa.Connection, partner: str, company: str) -> Company:
    """That company of the partner."""
    return _one(c, partner, companies.c.id == company, company)


def by_external_id(c: sa.Connection, partner: str, external_id: str) -> Company | None:
    """The company the partner knows by this id."""
    try:
        return _one(c, partner, companies.c.external_id == external_id, external_id)
    except NotFound:
        return None


def page(
    c: sa.Connection,
    partner: str,
    *,
    limit: int = 50,
    before: str | None = None,
    archived: bool | None = None,
    source: str | None = None,
) -> list[Company]:
    """Companies, newest first."""
    query = sa.select(companies).where(companies.c.partner == partner)
    if archived is not None:
        is_open = companies.c.archived_at.is_(None)
        query = query.where(~is_open if archived else is_open)
    if source is not None:
        query = query.where(companies.c.source == source)
    rows = c.execute(newest(query, companies, limit=limit, before=before)).mappings().all()
    return _with_sheets(c, partner, rows)


def update(c: sa.Connection, partner: str, company: str, **changes: Any) -> Company:
    """Set `name`, `metadata`, `external_id` or `archived_at`; what is not named stays."""
    unknown = set(changes) - {"name", "metadata", "external_id", "archived_at"}
    if unknown:
        raise TypeError(f"a company has no {', '.join(sorted(unknown))} to change")
    taken = changes.get("external_id") and by_external_id(c, partner, changes["external_id"])
    if taken and taken.id != company:
        raise Conflict(f"there is a company with external_id {taken.external_id!r} already")
    get(c, partner, company)
    mine = (companies.c.partner == partner, companies.c.id == company)
    if changes:
        c.execute(sa.update(companies).where(*mine).values(changes))
    return get(c, partner, company)


def archive(c: sa.Connection, partner: str, company: str) -> Company:
    """The company takes no more imports; its data stays."""
    return update(c, partner, company, archived_at=utcnow())


def revoke_links(c: sa.Connection, partner: str, company: str) -> Company:
    """No magic link that was made so far opens the company any more."""
    mine = (companies.c.partner == partner, companies.c.id == company)
    c.execute(sa.update(companies).where(*mine).values(link_epoch=companies.c.link_epoch + 1))
    return get(c, partner, company)


def erase(c: sa.Connection, partner: str, company: str) -> list[str]:
    """Every row of the company goes; its uploads whose bytes have not all come.

    What these left (`Files.abandon`) and its files (`company_prefix`) are the caller's to delete.
    """
    get(c, partner, company)
    query = sa.select(runs.c.id).where(
        runs.c.partner == partner, runs.c.company == company, runs.c.status.in_(ACTIVE)
    )
    active = c.execute(query).scalar()
    if active is not None:
        raise ActiveRun(active)
    coming = sa.select(uploads.c.id).where(
        uploads.c.partner == partner,
        uploads.c.company == company,
        uploads.c.status == UploadStatus.WAITING,
    )
    found = list(c.execute(coming).scalars())
    mine = (companies.c.partner == partner, companies.c.id == company)
    c.execute(sa.delete(companies).where(*mine))
    return found


def idle_since(c: sa.Connection, *, since: datetime, before: datetime) -> list[tuple[str, str]]:
    """Partner and company of every run that ended in that time, unless another one goes on there."""
    busy = sa.select(runs.c.company).where(runs.c.status.in_(ACTIVE))
    query = sa.select(runs.c.partner, runs.c.company).where(
        runs.c.finished_at >= since, runs.c.finished_at < before, runs.c.company.not_in(busy)
    )
    found = c.execute(query.distinct().execution_options(across_partners=True))
    return [(row.partner, row.company) for row in found]


def _one(c: sa.Connection, partner: str, which: sa.ColumnElement[bool], word: str) -> Company:
    query = sa.select(companies).where(companies.c.partner == partner, which)
    row = c.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no company {word}")
    return _with_sheets(c, partner, [row])[0]


def _with_sheets(c: sa.Connection, partner: str, rows: Sequence[sa.RowMapping]) -> list[Company]:
    query = sa.select(sheets).where(
        sheets.c.partner == partner, sheets.c.company.in_([row["id"] for row in rows])
    )
    found = [Sheet(**row) for row in c.execute(query.order_by(sheets.c.id)).mappings()]
    return [
        Company(**row, sheets=tuple(each for each in found if each.company == row["id"]))
        for row in rows
    ]
