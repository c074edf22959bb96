"""Templates by name and number; a version never changes."""

from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from engine.errors import Conflict, NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import TemplateRecord
from engine.store.database import insert, newest
from engine.store.tables import templates
from plans.template import Template
from plans.versions import canonical


def add(c: sa.Connection, partner: str, template: Template) -> TemplateRecord:
    """The next version of the template's name; the present one when nothing differs."""
    document = canonical(template)
    digest = sha256(document.encode()).hexdigest()
    last = _last(c, partner, template.template)
    if last is not None and last.digest == digest:
        return last
    values = {
        "id": new_id(Kind.TEMPLATE),
        "partner": partner,
        "name": template.template,
        "number": last.number + 1 if last else 1,
        "document": document,
        "digest": digest,
        "created_at": utcnow(),
    }
    statement = insert(c, templates).values(values).on_conflict_do_nothing().returning(templates)
    row = c.execute(statement).first()
    if row is None:
        raise Conflict(f"template {template.template!r} got another version meanwhile")
    return _record(row)


def get(c: sa.Connection, partner: str, template: str) -> TemplateRecord:
    """That template version, by id."""
    query = sa.select(templates).where(templates.c.partner == partner, templates.c.id == template)
    row = c.execute(query).first()
    if row is None:
        raise NotFound(f"there is no template {template}")
    return _record(row)


def named(
    c: sa.Connection, partner: str, name: str, *, number: int | None = None
) -> TemplateRecord:
    """The version of that number, or the latest."""
    if number is None:
        found = _last(c, partner, name)
    else:
        same = (templates.c.name == name, templates.c.number == number)
        query = sa.select(templates).where(templates.c.partner == partner, *same)
        row = c.execute(query).first()
        found = _record(row) if row else None
    if found is None:
        raise NotFound(f"there is no template {name!r}" + (f" number {number}" if number else ""))
    return found


def versions(c: sa.Connection, partner: str, name: str) -> list[TemplateRecord]:
    """Every version of a name, newest first."""
    query = sa.select(templates).where(templates.c.partner == partner, templates.c.name == name)
    return [_record(row) for row in c.execute(query.order_by(templates.c.number.desc()))]


def page(
    c: sa.Connection, partner: str, *, limit: int = 50, before: str | None = None
) -> list[TemplateRecord]:
    """The latest version of each name, newest first."""
    newer = templates.alias()
    overtaken = (
        sa.select(newer.c.id)
        .where(
            newer.c.partner == partner,
            newer.c.name == templates.c.name,
            newer.c.number > templates.c.number,
        )
        .exists()
    )
    query = sa.select(templates).where(templates.c.partner == partner, ~overtaken)
    return [_record(row) for row in c.execute(newest(query, templates, limit=limit, before=before))]


def _last(c: sa.Connection, partner: str, name: str) -> TemplateRecord | None:
    query = sa.select(templates).where(templates.c.partner == partner, templates.c.name == name)
    row = c.execute(query.order_by(templates.c.number.desc()).limit(1)).first()
    return _record(row) if row else None


def _record(row: sa.Row[Any]) -> TemplateRecord:
    return TemplateRecord(
        id=row.id,
        partner=row.partner,
        name=row.name,
        number=row.number,
        template=Template.model_validate_json(row.document),
        digest=row.digest,
        created_at=row.created_at,
    )
