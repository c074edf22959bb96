"""Replay: the rows an import rejected, tried again under another plan version or as they came back."""

import sqlalchemy
from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import created
from api.auth import Caller
from api.deps import By, Here, import_of, upload_of
from api.errors import Code
from api.inputs import ready
from api.once import OnlyOnce
from api.operations import op
from api.quotas import run_allowed
from api.routes.imports import version_of
from api.schemas.imports import ReplayRejected
from api.schemas.runs import RunBody, run_body
from engine import replays
from engine.errors import NotFound
from engine.model import RunKind, Scope
from engine.policy import Policy

router = APIRouter(tags=["imports"])


@router.post(
    "/v1/companies/{company_id}/imports/{run_id}/replay",
    status_code=201,
    response_model=RunBody,
    **op(
        Scope.IMPORTS_WRITE,
        Code.NOT_FOUND,
        Code.IMPORT_ALREADY_RUNNING,
        Code.CONFLICT,
        Code.EXPIRED,
        Code.TOO_MANY_CONCURRENT_RUNS,
        Code.QUOTA_EXCEEDED,
    ),
)
def replay_rejected(
    company_id: str, run_id: str, body: ReplayRejected, here: Here, by: By, once: OnlyOnce
) -> Response:
    """Start a run on the rows an import rejected: as they are, under the published plan or the one
    named, or as they came back corrected in its rejected-rows files (CSV or XLSX). Rows keep their
    file and row number; those that an earlier replay took in are skipped.
    """

    def effect(c: sqlalchemy.Connection) -> Response:
        company = import_of(c, by, company_id, run_id).company
        first = replays.first_of(c, by.partner, run_id)
        options = replays.as_before(c, first)
        run_allowed(c, by.partner)
        version = version_of(c, by, company, plan=body.plan_id, number=body.plan_version)
        run = here.work.submit(
            c,
            by.partner,
            company=company,
            plan=version.plan,
            version=version.number,
            used=[_corrected(c, by, company, each.upload_ref) for each in body.files],
            options=options,
            policy=Policy(**body.policy.model_dump()),
            metadata=body.metadata,
            actor=by.actor,
            kind=RunKind.REPLAY,
            origin=first.id,
        )
        return created(run_body(run), location=f"/v1/runs/{run.id}")

    return once(effect, action="run.replayed", target=run_id)


def _corrected(c: sqlalchemy.Connection, by: Caller, company: str, upload: str) -> str:
    found = ready(upload_of(c, by, upload))
    if found.company != company:
        raise NotFound(f"company {company} has no upload {upload}")
    return found.id
