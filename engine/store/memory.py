"""Which header fed which field in earlier runs: what was confirmed once needs no guess again."""

import json
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from engine.ids import utcnow
from engine.model import Confirmed
from engine.store.database import insert
from engine.store.tables import memory as table

#: More than any partner's files teach; the latest count.
MOST = 5_000


def recall(c: sa.Connection, partner: str) -> list[Confirmed]:
    """Everything confirmed in the partner's runs, the latest first."""
    query = sa.select(table).where(table.c.partner == partner)
    rows = c.execute(query.order_by(table.c.confirmed_at.desc()).limit(MOST))
    return [_record(row) for row in rows]


def remember(c: sa.Connection, partner: str, confirmed: Iterable[Confirmed]) -> None:
    """Count what was confirmed again, keep what is new; the trust is the latest one's."""
    for each in confirmed:
        told = [each.company, each.source, each.template, each.field, each.shape, *each.headers]
        key = sha256(json.dumps(told).encode()).hexdigest()
        fields = {name: getattr(each, name) for name in Confirmed.__dataclass_fields__}
        values = fields | {"headers": list(each.headers), "confirmed_at": utcnow()}
        statement = insert(c, table).values(partner=partner, key=key, **values)
        again = {
            "count": table.c["count"] + each.count,
            "trust": each.trust,
            "confirmed_at": values["confirmed_at"],
        }
        c.execute(statement.on_conflict_do_update(index_elements=["partner", "key"], set_=again))


def _record(row: sa.Row[Any]) -> Confirmed:
    values = {name: row._mapping[name] for name in Confirmed.__dataclass_fields__}
    return Confirmed(**values | {"headers": tuple(row.headers)})
