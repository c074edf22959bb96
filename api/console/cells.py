"""Invalid cells one by one, filtered, and each rejected row in the customer's own columns."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import Response

from api.cells import CellFilter, cells_page, records
from api.console.guard import Who, needs
from api.console.shown import Names, group_row, run_row
from api.console.views import CellRow, CellsPage, ContextPage
from api.deps import Services, run_of
from api.schemas.runs import CellBody
from engine.model import Artifact, Scope
from engine.report.rejected import ERRORS, FILE, ROW
from engine.store import findings, runs
from engine.store.findings import Finding

router = APIRouter(dependencies=[needs(Scope.EXPORTS_READ)])

PAGE = 100
#: Rejected rows shown before and after one.
AROUND = 3
#: So many rejected rows are looked through for one.
LOOKED_AT = 200_000

Place = Annotated[str | None, Query(pattern=r"^\d{1,6}:\d{1,18}$")]


@router.get("/runs/{run_id}/cells")
def list_cells(
    run_id: str, who: Who, sheet: str = "", field: str = "", code: str = "", place: Place = None
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
        cells, after = cells_page(
            who.here.files,
            [each for each in files if each.name.endswith("/invalid-cells.csv")],
            wanted=CellFilter(sheet=sheet or None, field=field or None, code=code or None),
            limit=PAGE,
            place=place,
        )
        fitting = [g for g in groups if all(getattr(g, name) == chosen[name] for name in chosen)]
        here = f"/console/runs/{run.id}/cells?"
        page = CellsPage(
            run=run_row(Names(c=c, partner=who.by.partner), run),
            cells=tuple(map(_cell_row, cells)),
            groups=groups,
            chosen=chosen,
            total=sum(group.cells for group in fitting),
            next=here + urlencode({**chosen, "place": after}) if after else None,
            back=here + urlencode(chosen) if place else None,
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
    found: list[CellRow] = []
    place: str | None = None
    while artifact is not None:
        cells, place = cells_page(
            here.files, [artifact], wanted=CellFilter(), limit=5_000, place=place
        )
        found += [_cell_row(each) for each in cells if (each.row_number, each.file) == (row, file)]
        if found or place is None:
            break
    return tuple(found)


def _around(
    here: Services, artifact: Artifact | None, *, row: int, file: str
) -> tuple[tuple[str, ...], tuple[tuple[int, tuple[str, ...]], ...]]:
    """The file's own columns, and the rejected rows up to AROUND before and after the row."""
    if artifact is None:
        return (), ()
    lines = (record for record, _ in records(here.files, artifact, 0))
    header = next(lines, [])
    own = len(header) - len({FILE, ROW, ERRORS} & set(header))
    at = {name: place for place, name in enumerate(header) if place >= own}
    kept: list[tuple[int, tuple[str, ...]]] = []
    after = -1
    for looked, record in enumerate(lines):
        if after == AROUND or looked == LOOKED_AT:
            break
        number = int(record[at[ROW]])
        if after >= 0:
            after += 1
        elif number == row and (FILE not in at or record[at[FILE]] == file):
            after = 0
        kept.append((number, tuple(record[:own])))
        if after < 0:
            kept = kept[-AROUND:]
    return tuple(header[:own]), tuple(kept) if after >= 0 else ()
