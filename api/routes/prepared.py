"""Exports a worker prepares: asked for, polled, downloaded, gone after some days."""

from hashlib import sha256

import sqlalchemy
from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import Pages, accepted, done, shown
from api.auth import Caller
from api.deps import By, Here, Services, company_of, note
from api.downloads import download
from api.errors import Code
from api.once import OnlyOnce
from api.operations import op
from api.routes.reports import file_of, signed_url
from api.schemas.bodies import Deleted, Page
from api.schemas.errands import ExportBody, expired, export_body, export_path
from api.waiting import Prefer, held, told, wished
from engine.errors import NotFound
from engine.exporting import Export, sheet_named, snapshots
from engine.files import run_prefix
from engine.model import Scope
from engine.store import errands
from engine.store.errands import Errand, Kind

router = APIRouter(tags=["exports"])

EXPORT = Scope.EXPORTS_READ


@router.post(
    "/v1/companies/{company_id}/exports",
    status_code=202,
    response_model=ExportBody,
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED),
)
def create_export(company_id: str, body: Export, here: Here, by: By, once: OnlyOnce) -> Response:
    """Have a sheet's rows, or without `sheet` the whole workbook, prepared as a file."""

    def effect(c: sqlalchemy.Connection) -> Response:
        company = company_of(c, by, company_id)
        named = body.sheet and sheet_named(company, body.sheet)
        wanted = body.model_copy(update={"sheet": named})
        # What can be told to be wrong is told now.
        snapshots(here.settings, company, wanted)
        export = errands.add(
            c, by.partner, company=company.id, kind=Kind.EXPORT, title=company.name,
            request=wanted.model_dump(mode="json"), actor=by.actor,
        )  # fmt: skip
        here.work.send(c, export)
        answer = accepted(_body(here, export))
        answer.headers["Location"] = export_path(export)
        return answer

    return once(effect, action="export.created")


@router.get(
    "/v1/companies/{company_id}/exports",
    response_model=Page[ExportBody],
    **op(EXPORT, Code.NOT_FOUND),
)
def list_exports(company_id: str, here: Here, by: By, pages: Pages) -> Response:
    """The company's prepared exports, newest first."""
    with here.database.begin() as c:
        company_of(c, by, company_id)
        return pages.answer(
            lambda limit, before: errands.page(
                c, by.partner, company=company_id, kind=Kind.EXPORT, limit=limit, before=before
            ),
            lambda each: _body(here, each),
            key=lambda each: each.id,
        )


@router.get(
    "/v1/companies/{company_id}/exports/{export_id}",
    response_model=ExportBody,
    **op(EXPORT, Code.NOT_FOUND),
)
def get_export(
    company_id: str, export_id: str, request: Request, here: Here, by: By, prefer: Prefer = None
) -> Response:
    """How far it is, and where its file is."""

    def look() -> Errand:
        with here.database.begin() as c:
            return errand_of(c, by, company_id, export_id, kind=Kind.EXPORT)

    seconds = wished(prefer)
    export, applied = held(here, export_id, look, over=lambda each: not each.open, seconds=seconds)
    answer = shown(request, _body(here, export), etag=version_of(export))
    return told(answer, seconds, applied=applied)


@router.get(
    "/v1/companies/{company_id}/exports/{export_id}/file",
    response_class=Response,
    **op(EXPORT, Code.NOT_FOUND, Code.EXPIRED, Code.RANGE_NOT_SATISFIABLE),
)
def download_export(
    company_id: str, export_id: str, request: Request, here: Here, by: By
) -> Response:
    """The file, whole or by `Range`."""
    with here.database.begin() as c:
        file = file_of(errand_of(c, by, company_id, export_id, kind=Kind.EXPORT))
        note(c, by, "export.downloaded", export_id)
    return download(request, here.files, file, name=file.name)


@router.delete(
    "/v1/companies/{company_id}/exports/{export_id}",
    response_model=Deleted,
    **op(EXPORT, Code.NOT_FOUND),
)
def delete_export(company_id: str, export_id: str, here: Here, by: By) -> Response:
    """The export and its file go; one that is being prepared stops."""
    with here.database.begin() as c:
        export = errand_of(c, by, company_id, export_id, kind=Kind.EXPORT)
        errands.remove(c, by.partner, export.id)
        note(c, by, "export.deleted", export_id)
    here.files.delete_prefix(run_prefix(by.partner, export.company, export.id))
    return done(Deleted(object="export", id=export_id))


def errand_of(
    c: sqlalchemy.Connection, by: Caller, company: str, errand: str, *, kind: Kind
) -> Errand:
    """An export or delivery of a company this key may touch."""
    company_of(c, by, company)
    found = errands.get(c, by.partner, errand, kind=kind)
    if found.company != company:
        raise NotFound(f"there is no {kind} {errand}")
    return found


def version_of(errand: Errand) -> str:
    """The ETag of what is shown of it, signed URLs aside."""
    version = [errand.id, errand.status, errand.updated_at, expired(errand)]
    return sha256(repr(version).encode()).hexdigest()[:32]


def _body(here: Services, export: Errand) -> ExportBody:
    url = signed_url(here, export.partner, export.id, "file") if export.file else None
    return export_body(export, download_url=url)
