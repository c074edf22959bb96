"""Companies: one customer's migration each, its runs, files and magic link."""

from dataclasses import replace
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.console.guard import Who, go, needs
from api.console.shown import Names, company_row, run_row
from api.console.views import CompaniesPage, CompanyPage, FileRow, RowsDeliveryRow, SheetRow
from api.deps import Services, company_of, note
from api.magic import magic_link, opened
from api.stored import stored_rows
from engine.dataset import exists, history, size
from engine.export import Format
from engine.exporting import Export, sheet_named
from engine.ids import utcnow
from engine.model import Company, Run, Scope, Sheet, Upload
from engine.sheets import location
from engine.store import companies, errands, runs, uploads
from engine.store.errands import Errand, Kind

router = APIRouter(dependencies=[needs(Scope.COMPANIES_READ)])

PAGE = 50
#: Runs and files on a company's page.
RECENT = 20


@router.get("/companies")
def list_companies(who: Who, archived: str = "", before: str | None = None) -> Response:
    """Companies, newest first, each with its last run."""
    by = who.by
    with who.here.database.begin() as c:
        found = companies.page(
            c, by.partner, limit=PAGE + 1, before=before, archived=bool(archived)
        )
        names = Names(c=c, partner=by.partner)
        rows = tuple(
            company_row(names, each, last=_last(runs.page(c, by.partner, limit=1, company=each.id)))
            for each in found[:PAGE]
            if by.sees(each.id)
        )
        after = f"/console/companies?before={found[PAGE - 1].id}" if len(found) > PAGE else None
        if after and archived:
            after += "&archived=yes"
        page = CompaniesPage(companies=rows, archived=bool(archived), older=after)
        return who.page(c, "companies.html", "companies", page=page)


@router.get("/companies/{company_id}")
def show_company(company_id: str, who: Who) -> Response:
    """One company."""
    by, here = who.by, who.here
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
        names = Names(c=c, partner=by.partner)
        recent = runs.page(c, by.partner, limit=RECENT, company=company.id)
        active = runs.active(c, by.partner, company.id)
        link = magic_link(company, settings=here.settings, secrets=here.secrets)
        token = link.rpartition("/")[2]
        page = CompanyPage(
            company=company_row(names, company, last=_last(recent)),
            workbook=company.workbook,
            sheets=tuple(_sheet(here, company, each) for each in company.sheets),
            deliveries=tuple(
                map(
                    _delivery,
                    errands.page(
                        c, by.partner, company=company.id, kind=Kind.DELIVERY, limit=RECENT
                    ),
                )
            ),
            runs=tuple(run_row(names, each) for each in recent),
            uploads=tuple(
                map(file_row, uploads.page(c, by.partner, company=company.id, limit=RECENT))
            ),
            link=link,
            link_until=opened(token, secrets=here.secrets, now=utcnow()).until,
            active=run_row(names, active) if active else None,
        )
        return who.page(c, "company.html", "companies", page=page)


@router.post("/companies/{company_id}/revoke-links", dependencies=[needs(Scope.COMPANIES_WRITE)])
def revoke_links(company_id: str, who: Who) -> Response:
    """No link made so far opens the company any more; its page shows the next one."""
    with who.here.database.begin() as c:
        company_of(c, who.by, company_id)
        companies.revoke_links(c, who.by.partner, company_id)
        note(c, who.by, "company.links_revoked", company_id)
    return go(f"/console/companies/{company_id}")


def file_row(upload: Upload) -> FileRow:
    """An uploaded file in a list."""
    return FileRow(
        id=upload.id,
        name=upload.name,
        size=upload.size,
        status=upload.status,
        created_at=upload.created_at,
    )


@router.get(
    "/companies/{company_id}/sheets/{sheet}.{format}", dependencies=[needs(Scope.EXPORTS_READ)]
)
def download_sheet(
    company_id: str, sheet: str, format: Literal["csv", "parquet"], request: Request, who: Who
) -> Response:
    """The stored rows of a sheet; in CSV no text that a spreadsheet could run."""
    with who.here.database.begin() as c:
        company = company_of(c, who.by, company_id)
        note(c, who.by, "company.exported", company_id)
    wanted = Export(sheet=sheet_named(company, sheet), format=Format(format), safe=format == "csv")
    return stored_rows(request, who.here, who.by, company=company, wanted=wanted)


def _sheet(here: Services, company: Company, sheet: Sheet) -> SheetRow:
    """The sheet with its rows and what wrote to it last."""
    row = SheetRow(id=sheet.id, name=sheet.name, template=sheet.template)
    place = location(here.settings, company.partner, company.id, sheet=sheet.id)
    if not exists(place):
        return row
    writers = [each for each in history(place) if each.run]
    return replace(row, rows=size(place), run=writers[0].maker, changed_at=writers[0].at)


def _delivery(delivery: Errand) -> RowsDeliveryRow:
    progress = delivery.progress
    return RowsDeliveryRow(
        id=delivery.id,
        destination=delivery.title,
        status=delivery.status,
        done=progress.get("done") or 0,
        total=progress.get("total"),
        refused=progress.get("refused") or 0,
        error=delivery.error_message,
        created_at=delivery.created_at,
    )


def _last(found: list[Run]) -> Run | None:
    return found[0] if found else None
