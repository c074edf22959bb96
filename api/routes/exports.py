"""The company's rows as files: its sheets as they are stored, or what its last run left over."""

import zlib
from collections.abc import Iterator, Mapping
from io import RawIOBase
from typing import IO, Annotated, Any, Literal, cast
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import sqlalchemy
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as UrlPath
from fastapi.responses import Response
from pydantic import Field, ValidationError
from pydantic_core import from_json
from typing_extensions import Buffer

from api.auth import Caller
from api.deps import By, Here, company_of
from api.downloads import download, streamed
from api.errors import ApiError, Code, ProblemItem
from api.operations import op
from api.routes.reports import shown_files
from api.schemas.bodies import NO_NUL, UrlCount
from api.stored import stored_rows
from api.transfer import gzipped, harmless
from engine.errors import NotFound
from engine.export import Format, Selection
from engine.exporting import Export
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
Word = Annotated[str, Field(max_length=200, pattern=NO_NUL)]

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


class Wished:
    """Which rows and columns, as of when and how: the query parameters of every stored sheet."""

    def __init__(
        self,
        where: Annotated[
            str | None,
            Query(
                max_length=10_000,
                description="A filter as JSON: field, op and value; or `all`, `any` of them",
                examples=['{"field": "age", "op": ">=", "value": 18}'],
            ),
        ] = None,
        tag: Annotated[list[Word] | None, Query(description="Rows with any of these")] = None,
        run: Annotated[
            str | None, Query(max_length=40, description="Rows whose values this run wrote")
        ] = None,
        id: Annotated[list[UrlCount] | None, Query(description="Row ids")] = None,
        column: Annotated[list[Word] | None, Query(description="Only these columns")] = None,
        as_of: Annotated[
            str | None,
            Query(max_length=40, description="As they were just after a run, or at a time"),
        ] = None,
        safe: Annotated[
            Literal["none", "spreadsheet"],
            Query(description="`spreadsheet`: no text can run as a formula"),
        ] = "none",
        lineage: Annotated[
            bool, Query(description="Also row id, run, file, row, plan version and tags")
        ] = False,
        compress: Annotated[Literal["none", "gzip"], Query()] = "none",
    ) -> None:
        given = {"tags": tag or (), "ids": id or (), "run": run, "columns": column or ()}
        self.selection = _selected(where, given)
        self.shape = {"safe": safe != "none", "lineage": lineage, "gzip": compress == "gzip"}
        self.as_of = as_of

    def of(self, sheet: str, *, format: Format) -> Export:
        """The export of that sheet."""
        shape = {**self.shape, "sheet": sheet, "format": format, "as_of": self.as_of}
        return Export.model_validate({**dict(self.selection), **shape})


@router.get(
    "/v1/companies/{company_id}/sheets/{sheet}/export.{format}",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
)
def export_stored_rows(
    company_id: str,
    sheet: Annotated[str, UrlPath(max_length=63)],
    format: Format,
    request: Request,
    here: Here,
    by: By,
    wished: Annotated[Wished, Depends()],
) -> Response:
    """The stored rows of a sheet; its name, template or id says which."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        _note(c, by, "company.exported", company_id)
    name = sheet_named(company, sheet)
    return stored_rows(request, here, by, company=company, wanted=wished.of(name, format=format))


def sheet_named(company: Company, wanted: str | None) -> str:
    """The company's sheet of that name, template or id; without one, the only one there is."""
    found = [
        each.name
        for each in company.sheets
        if wanted is None or wanted in (each.name, each.template, each.id)
    ]
    if not found:
        raise NotFound(f"company {company.id} has no sheet {wanted!r}")
    if len(found) > 1:
        told = ", ".join(found)
        raise ApiError(code=Code.VALIDATION_ERROR, detail=f"name one `sheet` of: {told}")
    return found[0]


def _selected(where: str | None, given: Mapping[str, Any]) -> Selection:
    try:
        filter = None if where is None else from_json(where)
        return Selection.model_validate({**given, "filter": filter})
    except ValueError as error:
        found = error.errors()[0] if isinstance(error, ValidationError) else None
        told = found["msg"].removeprefix("Value error, ") if found else str(error)
        item = ProblemItem(code="invalid_filter", message=told, parameter="where")
        raise ApiError(
            code=Code.VALIDATION_ERROR, detail=f"where: {told}", errors=(item,)
        ) from None


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
