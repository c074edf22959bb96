"""What a run gave: its report, invalid cells, result files, and the company's last export."""

import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import IO, Annotated, Literal, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import sqlalchemy
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from typing_extensions import Buffer

from api.answers import Pages, shown
from api.auth import Caller
from api.cells import CellFilter, cells_page
from api.deps import By, Here, Services, company_of, run_of
from api.downloads import download, streamed
from api.errors import ApiError, Code
from api.operations import op, signed
from api.routes.runs import report_of
from api.routes.uploads import granted
from api.schemas.bodies import Page
from api.schemas.runs import CellBody, FilesBody, ReportBody, counts_body, file_body
from engine import signatures
from engine.errors import NotFound
from engine.files import Files
from engine.model import Artifact, Company, Run, RunStatus, Scope, utcnow
from engine.store import audit, runs

router = APIRouter(tags=["reports"])

READ, EXPORT = Scope.COMPANIES_READ, Scope.EXPORTS_READ

#: How long a signed download URL works.
DOWNLOAD_SECONDS = 900

Filter = Literal["valid", "invalid", "all"]


@router.get("/v1/runs/{run_id}/report", response_model=ReportBody, **op(READ, Code.NOT_FOUND))
def get_report(run_id: str, request: Request, here: Here, by: By) -> Response:
    """What the run did: row accounting per file and sheet, drift, heals, coverage."""
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
    content = report_of(here, run)
    if content is None:
        raise NotFound(f"run {run_id} is {run.status} and has no report yet")
    body = ReportBody(run_id=run.id, counts=counts_body(run.counts), content=content)
    return shown(request, body)


@router.get("/v1/runs/{run_id}/cells", response_model=Page[CellBody], **op(EXPORT, Code.NOT_FOUND))
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
        run = run_of(c, by, run_id)
        found = [
            each
            for each in runs.artifacts_of(c, by.partner, run.id)
            if each.name.endswith("/invalid-cells.csv")
        ]
    wanted = CellFilter(sheet=sheet, field=field, code=code, severity=severity)
    return pages.placed(
        lambda limit, place: cells_page(here.files, found, wanted=wanted, limit=limit, place=place)
    )


@router.get("/v1/runs/{run_id}/files", response_model=FilesBody, **op(EXPORT, Code.NOT_FOUND))
def list_run_files(run_id: str, here: Here, by: By) -> Response:
    """Every result file, each with a signed URL that needs no key."""
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
        found = _shown_files(c, run)
    body = FilesBody(
        data=[file_body(each, run=run.id, download_url=_url(here, run, each)) for each in found]
    )
    return Response(body.model_dump_json(), media_type="application/json")


@router.get(
    "/v1/runs/{run_id}/files/{name:path}",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.RANGE_NOT_SATISFIABLE),
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
        _note(c, by, "run.file.downloaded", f"{run.id}/{artifact.name}")
    return download(request, here.files, artifact, name=artifact.name.replace("/", "-"))


@router.get(
    "/v1/downloads/{run_id}/{name:path}",
    response_class=Response,
    **signed(Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
)
def download_signed(
    run_id: str, name: Annotated[str, Path(max_length=300)], request: Request, here: Here
) -> Response:
    """The same by a signed URL, for browsers and tools without a key."""
    allowed = granted(here, "GET", request)
    with here.database.begin() as c:
        artifact = _named(c, runs.get(c, allowed.partner, run_id), name)
    return download(request, here.files, artifact, name=artifact.name.replace("/", "-"))


@router.get(
    "/v1/companies/{company_id}/export.csv",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.RANGE_NOT_SATISFIABLE),
)
def export_sheet(
    company_id: str,
    request: Request,
    here: Here,
    by: By,
    sheet: Annotated[
        str | None, Query(max_length=63, description="Needed when there are several")
    ] = None,
    filter: Annotated[Filter, Query(description="`all` is a ZIP of both")] = "valid",
) -> Response:
    """A sheet of the company's last completed run: valid rows by template, or rejected ones."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        run = _last_completed(c, by, company)
        name = _sheet(company, sheet)
        found = _exported(c, run, [name], filter)
        _note(c, by, "company.exported", company_id)
    title = f"{company.name}-{name}-{filter}"
    if filter == "all":
        return _zip(here.files, found, title)
    if not found:
        raise NotFound(f"the last run left no {filter} rows of sheet {name!r}")
    return download(request, here.files, found[0], name=f"{title}.csv")


@router.get(
    "/v1/companies/{company_id}/export.zip",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND),
)
def export_workbook(
    company_id: str,
    here: Here,
    by: By,
    filter: Annotated[Filter, Query()] = "valid",
) -> Response:
    """Every sheet of the company's last completed run, one CSV each."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        run = _last_completed(c, by, company)
        found = _exported(c, run, [each.name for each in company.sheets], filter)
        _note(c, by, "company.exported", company_id)
    return _zip(here.files, found, f"{company.name}-{filter}")


def _shown_files(c: sqlalchemy.Connection, run: Run) -> list[Artifact]:
    """The run's files for people; its staging is ours."""
    return [
        each
        for each in runs.artifacts_of(c, run.partner, run.id)
        if not each.name.startswith("staging/")
    ]


def _named(c: sqlalchemy.Connection, run: Run, name: str) -> Artifact:
    for each in _shown_files(c, run):
        if each.name == name:
            return each
    raise NotFound(f"run {run.id} has no file {name!r}")


def _url(here: Services, run: Run, artifact: Artifact) -> str:
    path = f"/v1/downloads/{run.id}/{artifact.name}"
    allowed = signatures.grant(
        "GET", path, partner=run.partner, now=utcnow(), seconds=DOWNLOAD_SECONDS
    )
    base = here.settings.public_url.rstrip("/")
    return f"{base}{path}?{signatures.sign(here.secrets, allowed)}"


def _last_completed(c: sqlalchemy.Connection, by: Caller, company: Company) -> Run:
    done = runs.page(c, by.partner, limit=50, company=company.id, status=[RunStatus.COMPLETED])
    for run in done:
        if not run.dry_run:
            return run
    raise NotFound(f"company {company.id} has no completed run yet")


def _sheet(company: Company, wanted: str | None) -> str:
    names = [each.name for each in company.sheets]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is None:
        told = ", ".join(names)
        raise ApiError(code=Code.VALIDATION_ERROR, detail=f"name one `sheet` of: {told}")
    for each in company.sheets:
        if wanted in (each.name, each.id):
            return each.name
    raise NotFound(f"company {company.id} has no sheet {wanted!r}")


def _exported(
    c: sqlalchemy.Connection, run: Run, sheets: list[str], which: Filter
) -> list[Artifact]:
    endings = {"valid": ("valid.csv",), "invalid": ("rejected-rows.csv",)}.get(
        which, ("valid.csv", "rejected-rows.csv")
    )
    wanted = {f"{sheet}/{ending}" for sheet in sheets for ending in endings}
    return [each for each in _shown_files(c, run) if each.name in wanted]


def _zip(files: Files, found: list[Artifact], title: str) -> Response:
    return streamed(
        _zipped(files, found),
        name=f"{title}.zip",
        media_type="application/zip",
        records=sum(each.records for each in found),
    )


def _zipped(files: Files, found: list[Artifact]) -> Iterator[bytes]:
    """A ZIP as it grows, so that no archive is ever held in memory or on disk."""
    sink = _Sink()
    with ZipFile(
        cast(IO[bytes], sink), "w", ZIP_DEFLATED, compresslevel=zlib.Z_BEST_SPEED
    ) as archive:
        for artifact in found:
            entry = ZipInfo(artifact.name, date_time=utcnow().timetuple()[:6])
            entry.compress_type = ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as out:
                for chunk in files.get(artifact.key):
                    out.write(chunk)
                    yield sink.taken()
    yield sink.taken()


class _Sink(RawIOBase):
    """A place to write to that cannot seek and gives away what it got."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Buffer) -> int:
        """Hold these bytes."""
        self._held += data
        return len(memoryview(data))

    def taken(self) -> bytes:
        """What was held; nothing is held then."""
        taken, self._held = bytes(self._held), bytearray()
        return taken


def _note(c: sqlalchemy.Connection, by: Caller, action: str, target: str) -> None:
    audit.append(c, by.partner, actor=by.actor, action=action, target=target, request=by.request)
