"""Rows in a company's sheet without an import, for tests of what happens to stored rows."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from serving import Deployment
from sheets import bring

from engine.dataset import Location
from engine.sheets import location
from engine.store.tables import sheets


def place(there: Deployment, company: dict[str, Any]) -> Location:
    """Where the company's first sheet lies."""
    query = sa.select(sheets).where(sheets.c.id == company["sheets"][0]["id"])
    with there.services.database.begin() as c:
        row = c.execute(query.execution_options(across_partners=True)).one()
    return location(there.services.settings, row.partner, row.company, sheet=row.id)


def fill(
    there: Deployment, company: dict[str, Any], folder: Path, *, run: str, rows: Any, **more: Any
) -> None:
    """Bring rows into the company's first sheet as that run."""
    folder.mkdir(exist_ok=True)
    bring(place(there, company), folder, run, rows, **more)
