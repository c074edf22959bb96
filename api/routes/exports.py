"""The company's rows as files: a sheet of its last completed run, or all of them."""

import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import IO, Annotated, Literal, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import sqlalchemy
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from typing_extensions import Buffer

from api.auth import Caller
from api.deps import By, Here, company_of
from api.downloads import download, streamed
from api.errors import ApiError, Code
from api.operations import op
from api.routes.reports import shown_files
from api.transfer import gzipped, harmless
from engine.errors import NotFound
from engine.files import Files
from engine.ids import utcnow
from engine.model import Artifact, Company, Run, RunStatus, Scope
from engine.store import audit, plans, runs
from plans.plan import SheetPlan
from plans.template import FieldType
from plans.versions import PlanVersion

router = APIRouter(tags=["exports"])

EXPORT = Scope.EXPORTS_READ

Filter = Literal["valid", "invalid", "all"]

#: Their canonical text is no formula, although a number may begin with a minus.
HARMLESS_TYPES = frozenset(
    {
        FieldType.INTEGER,
        FieldType.DECIMAL,
        FieldType.BOOLEAN,
        FieldType.DATE,
        FieldType.DATETIME,
        FieldType.TIME,
    }
)


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
    safe: Annotated[
        Literal["none", "spreadsheet"],
        Query(description="`spreadsheet`: no text can run as a formula"),
    ] = "none",
    compress: Annotated[Literal["none", "gzip"], Query()] = "none",
) -> Response:
    """A sheet of the company's last completed run: valid rows by template, or rejected ones."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        run = _last_completed(c, by, company)
        version = plans.version(c, by.partner, run.plan, number=run.plan_version).version
        chosen = _sheet(company, version, sheet)
        found = _exported(c, run, [chosen.name], filter)
        _note(c, by, "company.exported", company_id)
    title = f"{company.name}-{chosen.name}-{filter}"
    if filter == "all":
        return _zip(here.files, found, title)
    if not found:
        raise NotFound(f"the last run left no {filter} rows of sheet {chosen.name!r}")
    if safe == compress == "none":
        return download(request, here.files, found[0], name=f"{title}.csv")
    chunks = here.files.get(found[0].key)
    if safe == "spreadsheet":
        # The customer's own columns have no types that could be trusted.
        typed = _typed(version, chosen) if filter == "valid" else frozenset()
        chunks = harmless(here.files, found[0], typed=typed)
    packed = compress == "gzip"
    return streamed(
        gzipped(chunks) if packed else chunks,
        name=f"{title}.csv.gz" if packed else f"{title}.csv",
        media_type="application/gzip" if packed else found[0].media_type,
        records=found[0].records,
    )


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
        version = plans.version(c, by.partner, run.plan, number=run.plan_version).version
        found = _exported(c, run, [each.name for each in version.plan.sheets], filter)
        _note(c, by, "company.exported", company_id)
    return _zip(here.files, found, f"{company.name}-{filter}")


def _last_completed(c: sqlalchemy.Connection, by: Caller, company: Company) -> Run:
    done = runs.page(c, by.partner, limit=50, company=company.id, status=[RunStatus.COMPLETED])
    for run in done:
        if not run.dry_run:
            return run
    raise NotFound(f"company {company.id} has no completed run yet")


def _sheet(company: Company, version: PlanVersion, wanted: str | None) -> SheetPlan:
    """The plan's sheet meant by its name, its template's, or the id of the company's sheet."""
    templates = {each.id: each.template for each in company.sheets}
    names = {wanted, templates.get(wanted or "")}
    sheets = version.plan.sheets
    found = [each for each in sheets if wanted is None or names & {each.name, each.template}]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(f"company {company.id} has no sheet {wanted!r}")
    told = ", ".join(each.name for each in found)
    raise ApiError(code=Code.VALIDATION_ERROR, detail=f"name one `sheet` of: {told}")


def _typed(version: PlanVersion, sheet: SheetPlan) -> frozenset[str]:
    fields = version.template(sheet.template).fields
    return frozenset(each.name for each in fields if each.type in HARMLESS_TYPES)


def _exported(
    c: sqlalchemy.Connection, run: Run, sheets: list[str], which: Filter
) -> list[Artifact]:
    endings = {"valid": ("valid.csv",), "invalid": ("rejected-rows.csv",)}.get(
        which, ("valid.csv", "rejected-rows.csv")
    )
    wanted = {f"{sheet}/{ending}" for sheet in sheets for ending in endings}
    return [each for each in shown_files(c, run) if each.name in wanted]


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
