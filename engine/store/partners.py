"""Accounts of the deployment."""

from typing import Any

import sqlalchemy as sa

from engine.errors import NotFound
from engine.ids import Kind, new_id, utcnow
from engine.model import Partner
from engine.store.tables import partners


def add(
    c: sa.Connection, name: str, *, limits: dict[str, int] | None = None, id: str | None = None
) -> Partner:
    """A new partner."""
    values = {
        "id": id or new_id(Kind.PARTNER),
        "name": name,
        "limits": limits or {},
        "created_at": utcnow(),
        "audited": 0,
        "audit_head": "",
    }
    return _record(c.execute(sa.insert(partners).values(values).returning(partners)).one())


def get(c: sa.Connection, partner: str) -> Partner:
    """That partner."""
    row = c.execute(sa.select(partners).where(partners.c.id == partner)).first()
    if row is None:
        raise NotFound(f"there is no partner {partner}")
    return _record(row)


def listed(c: sa.Connection) -> list[Partner]:
    """Every partner, oldest first."""
    return [_record(row) for row in c.execute(sa.select(partners).order_by(partners.c.id))]


def limit(c: sa.Connection, partner: str, *, limits: dict[str, int]) -> Partner:
    """Set what the partner may use."""
    update = sa.update(partners).where(partners.c.id == partner).values(limits=limits)
    row = c.execute(update.returning(partners)).first()
    if row is None:
        raise NotFound(f"there is no partner {partner}")
    return _record(row)


def set_brand(c: sa.Connection, partner: str, *, brand: dict[str, Any]) -> Partner:
    """Set what the pages of the partner's customers look like."""
    update = sa.update(partners).where(partners.c.id == partner).values(brand=brand)
    row = c.execute(update.returning(partners)).first()
    if row is None:
        raise NotFound(f"there is no partner {partner}")
    return _record(row)


def remove(c: sa.Connection, partner: str) -> None:
    """The partner and all its rows go; its audit log stays. Its files are the caller's to delete."""
    if not c.execute(sa.delete(partners).where(partners.c.id == partner)).rowcount:
        raise NotFound(f"there is no partner {partner}")


def _record(row: sa.Row[Any]) -> Partner:
    return Partner(**{name: getattr(row, name) for name in Partner.__dataclass_fields__})
