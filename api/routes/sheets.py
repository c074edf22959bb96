"""A company's sheets: how many rows they hold, in which columns, and which run changed them last."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import shown
from api.deps import By, Here, company_of
from api.errors import Code
from api.operations import op
from api.schemas.companies import SheetsBody, StoredColumn, StoredSheetBody
from engine import dataset
from engine.dataset import Kind
from engine.dataset.records import LINEAGE
from engine.model import Scope, Sheet
from engine.settings import Settings
from engine.sheets import location

router = APIRouter(tags=["companies"])


@router.get(
    "/v1/companies/{company_id}/sheets",
    response_model=SheetsBody,
    **op(Scope.COMPANIES_READ, Code.NOT_FOUND),
)
def list_sheets(company_id: str, request: Request, here: Here, by: By) -> Response:
    """What a company's sheets hold now; their rows come by `…/sheets/{sheet}/export.json`."""
    with here.database.begin() as c:
        company = company_of(c, by, company_id)
    data = [_sheet(here.settings, each) for each in company.sheets]
    return shown(request, SheetsBody(data=data))


def _sheet(settings: Settings, sheet: Sheet) -> StoredSheetBody:
    place = location(settings, sheet.partner, sheet.company, sheet=sheet.id)
    known: dict[str, Any] = {"id": sheet.id, "name": sheet.name, "template": sheet.template}
    if not dataset.exists(place):
        return StoredSheetBody(**known, rows=0, columns=[], last_run_id=None, changed_at=None)
    last = next((each for each in dataset.history(place) if each.kind is not Kind.TIDY), None)
    found = [each for each in dataset.columns(place) if each not in LINEAGE]
    return StoredSheetBody(
        **known,
        rows=dataset.size(place),
        columns=[StoredColumn(name=each.name, type=each.type) for each in found],
        last_run_id=last.maker if last else None,
        changed_at=last.at if last else None,
    )
