"""What endpoints ask for: the services of this process, the caller, one object of the path."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy
from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from api.auth import Caller
from api.errors import ApiError, Code
from api.metrics import Metrics
from api.watch import Watch
from engine.errors import NotFound
from engine.files import Files
from engine.model import Company, PlanRecord, Run, Scope, Upload
from engine.outbound import Outbound
from engine.secrets import Keys
from engine.settings import Secrets, Settings
from engine.store import audit, companies, plans, runs, uploads

if TYPE_CHECKING:
    from engine.work import Work


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything with a lifetime that a request may use."""

    settings: Settings
    secrets: Secrets
    database: sqlalchemy.Engine
    files: Files
    work: "Work"
    seals: Keys
    outbound: Outbound
    watch: Watch
    metrics: Metrics = field(default_factory=Metrics)
    draining: threading.Event = field(default_factory=threading.Event)


def services(request: Request) -> Services:
    """The services of this process."""
    found: Services = request.app.state.services
    return found


def caller(request: Request) -> Caller:
    """Who calls; the gate has put it there."""
    found: Caller = request.scope["reknit.caller"]
    return found


Here = Annotated[Services, Depends(services)]
By = Annotated[Caller, Depends(caller)]


def needs(scope: Scope, *, whole_partner: bool = False) -> Callable[[Request], None]:
    """A dependency that refuses keys without `scope`, or those of single companies only."""

    def permitted(request: Request) -> None:
        by = caller(request)
        missing = None
        if scope not in by.key.scopes:
            missing = f"this key lacks the scope {scope}"
        elif whole_partner and by.key.companies:
            missing = "this key is for single companies only"
        if missing:
            _note_refusal(request, by, missing)
            raise ApiError(
                code=Code.INSUFFICIENT_PERMISSIONS,
                detail=missing,
                members={"missing_scope": str(scope)},
            )

    return permitted


def note(c: sqlalchemy.Connection, by: Caller, action: str, target: str, **data: Any) -> None:
    """The audit line of something the caller did."""
    audit.append(
        c, by.partner, actor=by.actor, action=action, target=target, request=by.request, data=data
    )


def _note_refusal(request: Request, by: Caller, reason: str) -> None:
    with services(request).database.begin() as c:
        note(c, by, "access.refused", request.url.path[:200], reason=reason)


def known_parameters(request: Request) -> None:
    """Refuse query parameters that the operation does not know: a typo must not pass for a filter."""
    if "\0" in request.url.path or any("\0" in each for each in request.query_params.values()):
        raise ApiError(code=Code.VALIDATION_ERROR, detail="the URL holds a NUL character")
    if "reknit.caller" not in request.scope:
        return  # A signed URL: its signature says which parameters it has.
    known = _query_parameters(request.scope["route"].dependant)
    for name in request.query_params:
        if name not in known:
            raise ApiError(code=Code.VALIDATION_ERROR, detail=f"unknown query parameter {name!r}")


def _query_parameters(dependant: Dependant) -> set[str]:
    own = {each.alias for each in dependant.query_params}
    return own.union(*(_query_parameters(each) for each in dependant.dependencies))


def company_of(c: sqlalchemy.Connection, by: Caller, company: str) -> Company:
    """A company this key may touch; NotFound otherwise, also for those it may not."""
    if not by.sees(company):
        raise NotFound(f"no company {company!r}")
    return companies.get(c, by.partner, company)


def run_of(c: sqlalchemy.Connection, by: Caller, run: str) -> Run:
    """A run this key may touch."""
    found = runs.get(c, by.partner, run)
    if not by.sees(found.company):
        raise NotFound(f"no run {run!r}")
    return found


def import_of(c: sqlalchemy.Connection, by: Caller, company: str, run: str) -> Run:
    """A run this key may touch, by the path of its company."""
    company_of(c, by, company)
    found = run_of(c, by, run)
    if found.company != company:
        raise NotFound(f"company {company} has no run {run}")
    return found


def upload_of(c: sqlalchemy.Connection, by: Caller, upload: str) -> Upload:
    """An upload this key may touch."""
    found = uploads.get(c, by.partner, upload)
    if not by.sees(found.company):
        raise NotFound(f"no upload {upload!r}")
    return found


def plan_of(c: sqlalchemy.Connection, by: Caller, plan: str) -> PlanRecord:
    """A plan this key may see: a source's plan, or the fork of a company it may touch."""
    found = plans.get(c, by.partner, plan)
    if found.company is not None and not by.sees(found.company):
        raise NotFound(f"no plan {plan!r}")
    return found
