"""What a run gave: its report, invalid cells, result files, and the company's last export."""

from typing import Annotated, Literal

import sqlalchemy
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import Pages, shown
from api.cells import CellFilter, cells_page
from api.deps import By, Here, Services, note, run_of
from api.downloads import download
from api.errors import Code
from api.operations import op, signed
from api.routes.content import granted
from api.routes.runs import report_of
from api.schemas.bodies import Page
from api.schemas.errands import expired
from api.schemas.runs import CellBody, FilesBody, ReportBody, counts_body, file_body
from engine import signatures
from engine.errors import Expired, NotFound
from engine.ids import Kind, utcnow
from engine.model import Artifact, Run, Scope
from engine.store import errands, runs
from engine.store.errands import Errand

router = APIRouter(tags=["reports"])

READ, EXPORT = Scope.COMPANIES_READ, Scope.EXPORTS_READ

#: How long a signed download URL works.
DOWNLOAD_SECONDS = 900


@router.get(
    "/v1/runs/{run_id}/report", response_model=ReportBody, **op(READ, Code.NOT_FOUND, Code.EXPIRED)
)
def get_report(run_id: str, request: Request, here: Here, by: By) -> Response:
    """What the run did: row accounting per file and sheet, drift, heals, coverage."""
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
    content = report_of(here, _kept(run))
    if content is None:
        raise NotFound(f"run {run_id} is {run.status} and has no report yet")
    body = ReportBody(run_id=run.id, counts=counts_body(run.counts), content=content)
    return shown(request, body)


@router.get(
    "/v1/runs/{run_id}/cells",
    response_model=Page[CellBody],
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED),
)
def list_invalid_cells(
    run_id: str,
    here: Here,
    by: By,
    pages: Pages,
    sheet: Annotated[str | None, Query(max_length=63)] = None,
    field: Annotated[str | None, Query(max_length=63)] = None,
    code: Annotated[str | None, Query(max_length=63)] = None,
    severity: Annotated[Literal["error", "warning"] | None, Query()] = None,
) -> Response:
    """Every value that failed a rule: file, row, column, field, code, raw value."""
    with here.database.begin() as c:
        run = _kept(run_of(c, by, run_id))
        found = [
            each
            for each in runs.artifacts_of(c, by.partner, run.id)
            if each.name.endswith("/invalid-cells.csv")
        ]
    wanted = CellFilter(sheet=sheet, field=field, code=code, severity=severity)
    return pages.placed(
        lambda limit, place: cells_page(here.files, found, wanted=wanted, limit=limit, place=place)
    )


@router.get(
    "/v1/runs/{run_id}/files", response_model=FilesBody, **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED)
)
def list_run_files(run_id: str, here: Here, by: By) -> Response:
    """Every result file, each with a signed URL that needs no key."""
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
        found = shown_files(c, run)
    body = FilesBody(
        data=[
            file_body(
                each, run=run.id, download_url=signed_url(here, run.partner, run.id, each.name)
            )
            for each in found
        ]
    )
    return Response(body.model_dump_json(), media_type="application/json")


@router.get(
    "/v1/runs/{run_id}/files/{name:path}",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
)
def download_run_file(
    run_id: str,
    name: Annotated[str, Path(max_length=300)],
    request: Request,
    here: Here,
    by: By,
) -> Response:
    """One result file, whole or by `Range`."""
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
        artifact = _named(c, run, name)
        note(c, by, "run.file.downloaded", f"{run.id}/{artifact.name}")
    return download(request, here.files, artifact, name=artifact.name.replace("/", "-"))


@router.get(
    "/v1/downloads/{run_id}/{name:path}",
    response_class=Response,
    **signed(Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
)
def download_signed(
    run_id: str, name: Annotated[str, Path(max_length=300)], request: Request, here: Here
) -> Response:
    """A run's file or an export's by a signed URL, for browsers and tools without a key."""
    allowed = granted(here, "GET", request)
    with here.database.begin() as c:
        if run_id.startswith(f"{Kind.EXPORT}_"):
            artifact = file_of(errands.get(c, allowed.partner, run_id))
        else:
            artifact = _named(c, runs.get(c, allowed.partner, run_id), name)
    return download(request, here.files, artifact, name=artifact.name.replace("/", "-"))


def shown_files(c: sqlalchemy.Connection, run: Run) -> list[Artifact]:
    """The run's files for people; its staging is ours."""
    return [
        each
        for each in runs.artifacts_of(c, run.partner, _kept(run).id)
        if not each.name.startswith("staging/")
    ]


def _kept(run: Run) -> Run:
    """The run, as long as its files and findings are there."""
    if run.expired_at is not None:
        raise Expired(f"the files and findings of run {run.id} are not kept any more")
    return run


def _named(c: sqlalchemy.Connection, run: Run, name: str) -> Artifact:
    for each in shown_files(c, run):
        if each.name == name:
            return each
    raise NotFound(f"run {run.id} has no file {name!r}")


def file_of(export: Errand) -> Artifact:
    """The file; Expired when it is gone, NotFound when it was never there."""
    if expired(export):
        raise Expired(f"the file of export {export.id} is not kept any more; ask for it again")
    if export.file is None:
        raise NotFound(f"export {export.id} is {export.status} and has no file")
    return export.file


def signed_url(here: Services, partner: str, of: str, name: str) -> str:
    """Where that file of a run or export can be fetched without a key, for a while."""
    path = f"/v1/downloads/{of}/{name}"
    allowed = signatures.grant("GET", path, partner=partner, now=utcnow(), seconds=DOWNLOAD_SECONDS)
    base = here.settings.public_url.rstrip("/")
    return f"{base}{path}?{signatures.sign(here.secrets, allowed)}"
