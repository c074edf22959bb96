"""The company's rows as files: its sheets as they are stored, or what its last run left over."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal

import sqlalchemy
from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as UrlPath
from fastapi.responses import Response
from pydantic import Field, ValidationError
from pydantic_core import from_json

from api.archives import zipped
from api.auth import Caller
from api.deps import By, Here, Services, company_of, note
from api.downloads import download, streamed
from api.errors import ApiError, Code, ProblemItem
from api.operations import op
from api.routes.reports import shown_files
from api.schemas.bodies import NO_NUL, UrlCount
from api.stored import stored_file, stored_rows
from api.transfer import gzipped, harmless
from engine.errors import NotFound
from engine.export import Format, Selection
from engine.exporting import Export, sheet_named
from engine.model import Artifact, Company, Run, RunKind, RunStatus, Scope
from engine.store import plans, runs

router = APIRouter(tags=["exports"])

EXPORT = Scope.EXPORTS_READ

Filter = Literal["valid", "invalid", "all"]
Word = Annotated[str, Field(max_length=200, pattern=NO_NUL)]


@router.get(
    "/v1/companies/{company_id}/export.csv",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
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
    """A sheet's stored rows, or the rows that the company's last completed run rejected."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        name = sheet_named(company, sheet)
        left = _rejected(c, by, company, [name]) if filter != "valid" else []
        note(c, by, "company.exported", company_id)
    wanted = Export(sheet=name, safe=safe != "none", gzip=compress == "gzip")
    if filter == "valid":
        return stored_rows(request, here, by, company=company, wanted=wanted)
    title = f"{company.name}-{name}-{filter}"
    if filter == "all":
        stored = _stored(here, by, company, [name], safe=wanted.safe)
        return zipped(here.files, [*stored, *left], title=title)
    if not left:
        raise NotFound(f"the last run rejected no rows of sheet {name!r}")
    return _left_over(request, here, left[0], wanted=wanted, title=title)


@router.get(
    "/v1/companies/{company_id}/export.zip",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
)
def export_workbook(
    company_id: str,
    request: Request,
    here: Here,
    by: By,
    filter: Annotated[Filter, Query()] = "valid",
    format: Annotated[Format, Query(description="Of the stored rows")] = Format.CSV,
    safe: Annotated[Literal["none", "spreadsheet"], Query()] = "none",
) -> Response:
    """Every sheet with rows, one file each; `invalid` and `all` with what the last run rejected."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        names = [each.name for each in company.sheets]
        left = _rejected(c, by, company, names) if filter != "valid" else []
        note(c, by, "company.exported", company_id)
    if filter == "valid":
        wanted = Export(format=format, safe=safe != "none")
        return stored_rows(request, here, by, company=company, wanted=wanted)
    stored = _stored(here, by, company, names, safe=safe != "none") if filter == "all" else []
    return zipped(here.files, [*stored, *left], title=f"{company.name}-{filter}")


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
        note(c, by, "company.exported", company_id)
    name = sheet_named(company, sheet)
    return stored_rows(request, here, by, company=company, wanted=wished.of(name, format=format))


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


def _stored(
    here: Services, by: Caller, company: Company, names: Sequence[str], *, safe: bool
) -> list[Artifact]:
    """The stored rows of those sheets that have some, as files of a ZIP."""
    found = []
    for name in names:
        with suppress(NotFound):
            wanted = Export(sheet=name, safe=safe)
            file = stored_file(here, by, company=company, wanted=wanted)
            found.append(replace(file, name=f"{name}/valid.csv"))
    return found


def _rejected(
    c: sqlalchemy.Connection, by: Caller, company: Company, names: Sequence[str]
) -> list[Artifact]:
    """What the last run that imported something rejected of those sheets."""
    run = _last_import(c, by, company)
    version = plans.version(c, by.partner, run.plan, number=run.plan_version).version
    templates = {each.template for each in company.sheets if each.name in names}
    sheets = [each.name for each in version.plan.sheets if each.template in templates]
    wanted = {f"{sheet}/rejected-rows.csv" for sheet in sheets}
    return [each for each in shown_files(c, run) if each.name in wanted]


def _last_import(c: sqlalchemy.Connection, by: Caller, company: Company) -> Run:
    done = runs.page(c, by.partner, limit=50, company=company.id, status=[RunStatus.COMPLETED])
    for run in done:
        if not run.dry_run and run.kind is not RunKind.UNDO:
            return run
    raise NotFound(f"company {company.id} has no completed import yet")


def _left_over(
    request: Request, here: Services, file: Artifact, *, wanted: Export, title: str
) -> Response:
    """Rejected rows in the customer's own columns, which have no types that could be trusted."""
    if not wanted.safe and not wanted.gzip:
        return download(request, here.files, file, name=f"{title}.csv")
    chunks = harmless(here.files, file) if wanted.safe else here.files.get(file.key)
    return streamed(
        gzipped(chunks) if wanted.gzip else chunks,
        name=f"{title}.csv.gz" if wanted.gzip else f"{title}.csv",
        media_type="application/gzip" if wanted.gzip else file.media_type,
        records=file.records,
    )
