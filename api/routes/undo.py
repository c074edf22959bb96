"""Undo: what an import wrote is taken back by a run of its own."""

import sqlalchemy
from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import created
from api.deps import By, Here, import_of
from api.errors import Code
from api.once import OnlyOnce
from api.operations import op
from api.quotas import run_allowed
from api.schemas.runs import RunBody, run_body
from engine.model import Scope

router = APIRouter(tags=["imports"])


@router.post(
    "/v1/companies/{company_id}/imports/{run_id}/undo",
    status_code=201,
    response_model=RunBody,
    **op(
        Scope.IMPORTS_WRITE,
        Code.NOT_FOUND,
        Code.NOT_UNDOABLE,
        Code.IMPORT_ALREADY_RUNNING,
        Code.CONFLICT,
        Code.TOO_MANY_CONCURRENT_RUNS,
        Code.QUOTA_EXCEEDED,
    ),
)
def undo_import(company_id: str, run_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """Start a run that takes an import back: what it created goes, what it updated returns to its
    earlier values, and rows that a later import edited stay and are listed in the report.
    """

    def effect(c: sqlalchemy.Connection) -> Response:
        import_of(c, by, company_id, run_id)
        run_allowed(c, by.partner)
        run = here.work.undo(c, by.partner, run_id, actor=by.actor)
        return created(run_body(run), location=f"/v1/runs/{run.id}")

    return once(effect, action="run.undone", target=run_id)
