"""What deliveries brought: how far each sheet is, and what was said about each row."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from engine.store.database import insert
from engine.store.tables import batches


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the destination said of one row, by its `_id`; no `refusal`: it took it."""

    sheet: str
    row: int
    refusal: str | None = None


def keep(
    c: sa.Connection, partner: str, errand: str, *, sheet: str, cursor: int, told: Sequence[Told]
) -> None:
    """One more step of a delivery, up to `cursor`; the same step again changes nothing."""
    # Where nobody speaks of rows (a file in a bucket), the step still says how far it is.
    rows = len(told) or cursor
    values = {
        "errand": errand, "sheet": sheet, "start": cursor - rows, "partner": partner,
        "rows": rows, "refused": sum(each.refusal is not None for each in told),
        "results": [[t.row] if t.refusal is None else [t.row, t.refusal] for t in told],
    }  # fmt: skip
    c.execute(insert(c, batches).values(values).on_conflict_do_nothing())


def cursors(c: sa.Connection, partner: str, errand: str) -> dict[str, int]:
    """Rows that are done, by sheet."""
    query = (
        sa.select(batches.c.sheet, sa.func.max(batches.c.start + batches.c.rows))
        .where(batches.c.partner == partner, batches.c.errand == errand)
        .group_by(batches.c.sheet)
    )
    return {sheet: int(done) for sheet, done in c.execute(query).all()}


def totals(c: sa.Connection, partner: str, errand: str) -> tuple[int, int]:
    """Rows that are done, and how many of them were refused."""
    query = sa.select(
        sa.func.coalesce(sa.func.sum(batches.c.rows), 0),
        sa.func.coalesce(sa.func.sum(batches.c.refused), 0),
    ).where(batches.c.partner == partner, batches.c.errand == errand)
    done, refused = c.execute(query).one()
    return int(done), int(refused)


def results(
    c: sa.Connection,
    partner: str,
    errand: str,
    *,
    limit: int,
    after: str | None = None,
    refused: bool = False,
) -> tuple[list[Told], str | None]:
    """What was said of up to `limit` rows after a place, in order, and the place after them."""
    sheet, start, offset = _place(after)
    query = sa.select(batches).where(
        batches.c.partner == partner, batches.c.errand == errand,
        sa.tuple_(batches.c.sheet, batches.c.start) >= (sheet, start),
    )  # fmt: skip
    if refused:
        query = query.where(batches.c.refused > 0)
    found: list[Told] = []
    # A step has one row at least, so that many suffice.
    for row in c.execute(query.order_by(batches.c.sheet, batches.c.start).limit(limit + 1)):
        skipped = offset if (row.sheet, row.start) == (sheet, start) else 0
        for number, told in enumerate(row.results[skipped:], start=skipped):
            refusal = told[1] if len(told) > 1 else None
            if refused and refusal is None:
                continue
            if len(found) == limit:
                return found, f"{row.sheet}:{row.start}:{number}"
            found.append(Told(sheet=row.sheet, row=told[0], refusal=refusal))
    return found, None


def _place(after: str | None) -> tuple[str, int, int]:
    if after is None:
        return "", 0, 0
    sheet, start, offset = after.rsplit(":", 2)
    return sheet, int(start), int(offset)
