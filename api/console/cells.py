"""Invalid cells one by one, filtered, and each rejected row in the customer's own columns."""

from collections import deque
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import Response

from api.cells import CellFilter, cell_of, cells_of, cells_page, header_of, raw_records
from api.console.guard import Who, needs
from api.console.shown import Names, group_row, run_row
from api.console.views import CellRow, CellsPage, ContextPage
from api.cursors import cursor, place
from api.deps import Services, run_of
from api.schemas.runs import CellBody
from engine.model import Artifact, Scope
from engine.report.rejected import ADDED, FILE, ROW
from engine.store import findings, runs
from engine.store.findings import Finding

router = APIRouter(dependencies=[needs(Scope.EXPORTS_READ)])

PAGE = 100
#: Rejected rows shown before and after one.
AROUND = 3


@router.get("/runs/{run_id}/cells")
def list_cells(
    run_id: str, who: Who, sheet: str = "", field: str = "", code: str = "", after: str = ""
) -> Response:
    """Invalid cells in the order of the files."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        files = runs.artifacts_of(c, who.by.partner, run.id)
        found = findings.of_run(c, who.by.partner, run.id, kind=Finding.GROUP)
        groups = tuple(map(group_row, found))
        chosen = {
            name: value
            for name, value in (("sheet", sheet), ("field", field), ("code", code))
            if value
        }
        # Signed, because a place inside a record would make the rest of the file one record.
        signed: dict[str, Any] = {"partner": who.by.partner, "query": {"run": run.id, **chosen}}
        start = place(after, secrets=who.here.secrets, **signed) if after else None
        cells, end = cells_page(
            who.here.files,
            [each for each in files if each.name.endswith("/invalid-cells.csv")],
            wanted=CellFilter(sheet=sheet or None, field=field or None, code=code or None),
            limit=PAGE,
            place=start,
        )
        onward = cursor(end, secrets=who.here.secrets, **signed) if end else None
        fitting = [g for g in groups if all(getattr(g, name) == chosen[name] for name in chosen)]
        here = f"/console/runs/{run.id}/cells?"
        page = CellsPage(
            run=run_row(Names(c=c, partner=who.by.partner), run),
            cells=tuple(map(_cell_row, cells)),
            groups=groups,
            chosen=chosen,
            total=sum(group.cells for group in fitting),
            next=here + urlencode({**chosen, "after": onward}) if onward else None,
            back=here + urlencode(chosen) if after else None,
        )
        return who.page(c, "cells.html", "runs", page=page)


@router.get("/runs/{run_id}/rows/{sheet}/{row}")
def show_row(run_id: str, sheet: str, row: int, who: Who, file: str = "") -> Response:
    """One rejected row whole, its bad cells marked."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        files = {each.name: each for each in runs.artifacts_of(c, who.by.partner, run.id)}
        names = Names(c=c, partner=who.by.partner)
        cells = _cells_of(who.here, files.get(f"{sheet}/invalid-cells.csv"), row=row, file=file)
        columns, rows = _around(
            who.here, files.get(f"{sheet}/rejected-rows.csv"), row=row, file=file
        )
        wrong = {each.column for each in cells}
        page = ContextPage(
            run=run_row(names, run),
            file=file,
            sheet=sheet,
            row=row,
            columns=columns,
            rows=rows,
            cells=cells,
            bad=frozenset(at for at, header in enumerate(columns) if header in wrong),
        )
        return who.page(c, "context.html", "runs", page=page)


def _cell_row(cell: CellBody) -> CellRow:
    return CellRow(
        file=cell.file,
        sheet=cell.sheet,
        row=cell.row_number,
        column=cell.column,
        field=cell.field,
        code=cell.code,
        message=cell.message,
        value=cell.value,
    )


def _cells_of(
    here: Services, artifact: Artifact | None, *, row: int, file: str
) -> tuple[CellRow, ...]:
    """What is wrong in one row; its cells stand together in the file."""
    if artifact is None:
        return ()
    header, sheet = header_of(here.files, artifact), artifact.name.rpartition("/")[0]
    found: list[CellRow] = []
    # Parsing only what has the number in it makes a million cells a matter of a second.
    for record, _ in raw_records(here.files, artifact, 0):
        hit = b"%d" % row in record
        cell = cell_of(dict(zip(header, cells_of(record), strict=False)), sheet) if hit else None
        if cell is not None and (cell.row_number, cell.file) == (row, file):
            found.append(_cell_row(cell))
        elif found:
            break
    return tuple(found)


def _around(
    here: Services, artifact: Artifact | None, *, row: int, file: str
) -> tuple[tuple[str, ...], tuple[tuple[int, tuple[str, ...]], ...]]:
    """The file's own columns, and the rejected rows up to AROUND before and after the row."""
    if artifact is None:
        return (), ()
    header = header_of(here.files, artifact)
    own = len(header) - len(set(ADDED) & set(header))
    at = {name: place for place, name in enumerate(header) if place >= own}
    kept: deque[bytes] = deque(maxlen=AROUND + 1)
    after = -1
    for record, _ in raw_records(here.files, artifact, 0):
        if after < 0:
            kept.append(record)
            if b"%d" % row in record and _is(cells_of(record), at, row=row, file=file):
                kept, after = deque(kept), 0
        elif after < AROUND:
            kept.append(record)
            after += 1
        else:
            break
    if after < 0:
        return tuple(header[:own]), ()
    shown = [cells for cells in map(cells_of, kept) if cells[at[ROW]].isdecimal()]
    return tuple(header[:own]), tuple((int(each[at[ROW]]), tuple(each[:own])) for each in shown)


def _is(cells: list[str], at: dict[str, int], *, row: int, file: str) -> bool:
    same_file = FILE not in at or cells[at[FILE]] == file
    return same_file and cells[at[ROW]] == str(row)
