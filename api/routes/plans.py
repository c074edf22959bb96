"""Plans: how a source's files become template rows, version by version."""

import json
from typing import Annotated, Any

import sqlalchemy
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.answers import Pages, created, done, shown
from api.auth import Caller
from api.deps import By, Here, plan_of
from api.errors import ApiError, Code
from api.once import OnlyOnce
from api.operations import op
from api.routes.companies import source_of
from api.routes.documents import read_plan, read_template, read_version, shipped
from api.schemas.bodies import Page, UrlCount
from api.schemas.plans import (
    CheckPlan,
    DiffBody,
    NewPlan,
    NewVersion,
    PlanBody,
    PublicationBody,
    Publish,
    RollBack,
    Verdict,
    VersionBody,
    difference_body,
    plan_body,
    publication_body,
    verdict,
    version_body,
)
from engine.errors import Conflict
from engine.model import Scope
from engine.store import plans, templates
from plans.errors import PlanInvalid
from plans.template import Template
from plans.versions import diff

router = APIRouter(tags=["plans"])

READ, WRITE, APPROVE = Scope.COMPANIES_READ, Scope.PLANS_WRITE, Scope.PLANS_APPROVE

#: So many stored templates a plan may draw on without naming them in the request.
KNOWN_TEMPLATES = 1_000


@router.post("/v1/plans/validate", response_model=Verdict, **op(WRITE))
def validate_plan(body: CheckPlan, here: Here, by: By, once: OnlyOnce) -> Response:
    """Check a document with its templates and list every problem; nothing is stored."""

    def effect(c: sqlalchemy.Connection) -> Response:
        given = [_text(each) for each in body.templates]
        try:
            version = read_version(_text(body.document), given, _known(c, by))
        except PlanInvalid as error:
            return done(verdict(error, digest=None))
        return done(verdict(None, digest=version.digest))

    return once(effect, action="plan.validated")


@router.post(
    "/v1/plans",
    status_code=201,
    response_model=PlanBody,
    **op(WRITE, Code.PLAN_INVALID, Code.NAME_CONFLICT, Code.NOT_FOUND, whole_partner=True),
)
def create_plan(body: NewPlan, by: By, once: OnlyOnce) -> Response:
    """Draft the first plan of a source; publish a version to use it."""

    def effect(c: sqlalchemy.Connection) -> Response:
        source = source_of(c, by, body.source)
        version = read_version(
            body.document, body.templates, _known(c, by), author=by.actor, reason=body.reason
        )
        try:
            plan = plans.add(c, by.partner, source=source.id, version=version)
        except Conflict as error:
            raise ApiError(code=Code.NAME_CONFLICT, detail=str(error)) from None
        return created(plan_body(plan), location=f"/v1/plans/{plan.id}")

    return once(effect, action="plan.created")


@router.get("/v1/plans", response_model=Page[PlanBody], **op(READ, Code.NOT_FOUND))
def list_plans(
    here: Here,
    by: By,
    pages: Pages,
    source: Annotated[str | None, Query(max_length=100, description="Name or id")] = None,
    company: Annotated[str | None, Query(max_length=60)] = None,
) -> Response:
    """Plans of sources and forks of companies, newest first."""
    with here.database.begin() as c:
        wanted = source_of(c, by, source).id if source is not None else None
        return pages.answer(
            lambda limit, before: [
                each
                for each in plans.page(
                    c, by.partner, limit=limit, before=before, source=wanted, company=company
                )
                if each.company is None or by.sees(each.company)
            ],
            plan_body,
            key=lambda each: each.id,
        )


@router.get("/v1/plans/{plan_id}", response_model=PlanBody, **op(READ, Code.NOT_FOUND))
def get_plan(plan_id: str, request: Request, here: Here, by: By) -> Response:
    """One plan; its ETag changes with every version and publication."""
    with here.database.begin() as c:
        return shown(request, plan_body(plan_of(c, by, plan_id)))


@router.get(
    "/v1/plans/{plan_id}/versions", response_model=Page[VersionBody], **op(READ, Code.NOT_FOUND)
)
def list_plan_versions(plan_id: str, here: Here, by: By, pages: Pages) -> Response:
    """Every version, newest first; those never published are drafts."""
    with here.database.begin() as c:
        plan = plan_of(c, by, plan_id)
        versions = plans.versions(c, by.partner, plan_id)
        return pages.answer(
            lambda limit, before: [
                each for each in versions if before is None or each.number < int(before)
            ][:limit],
            lambda each: version_body(each, published=plan.published),
            key=lambda each: each.number,
        )


@router.post(
    "/v1/plans/{plan_id}/versions",
    status_code=201,
    response_model=VersionBody,
    **op(WRITE, Code.PLAN_INVALID, Code.CONFLICT, Code.NOT_FOUND),
)
def create_plan_version(plan_id: str, body: NewVersion, by: By, once: OnlyOnce) -> Response:
    """Draft the next version."""

    def effect(c: sqlalchemy.Connection) -> Response:
        plan = plan_of(c, by, plan_id)
        given = body.templates
        record = plans.revise(
            c,
            by.partner,
            plan_id,
            read_plan(body.document),
            parent=body.parent,
            templates=None if given is None else _with_known(c, by, given),
            author=by.actor,
            reason=body.reason,
        )
        location = f"/v1/plans/{plan_id}/versions/{record.number}"
        return created(version_body(record, published=plan.published), location=location)

    return once(effect, action="plan.revised", target=plan_id)


@router.get(
    "/v1/plans/{plan_id}/versions/{number}",
    response_model=VersionBody,
    **op(READ, Code.NOT_FOUND),
)
def get_plan_version(
    plan_id: str, number: UrlCount, request: Request, here: Here, by: By
) -> Response:
    """One version, its digest verified."""
    with here.database.begin() as c:
        plan = plan_of(c, by, plan_id)
        record = plans.version(c, by.partner, plan_id, number=number)
        return shown(request, version_body(record, published=plan.published))


@router.get("/v1/plans/{plan_id}/diff", response_model=DiffBody, **op(READ, Code.NOT_FOUND))
def diff_plan_versions(
    plan_id: str, before: UrlCount, after: UrlCount, request: Request, here: Here, by: By
) -> Response:
    """What differs between two versions."""
    with here.database.begin() as c:
        plan_of(c, by, plan_id)
        left, right = (
            plans.version(c, by.partner, plan_id, number=number).version
            for number in (before, after)
        )
    found = [difference_body(each) for each in diff(left.plan, right.plan)]
    body = DiffBody(plan_id=plan_id, before=before, after=after, differences=found)
    return shown(request, body)


@router.get(
    "/v1/plans/{plan_id}/publications",
    response_model=Page[PublicationBody],
    **op(READ, Code.NOT_FOUND),
)
def list_publications(plan_id: str, here: Here, by: By, pages: Pages) -> Response:
    """When which version came into use, by whom and why; newest first."""
    with here.database.begin() as c:
        plan_of(c, by, plan_id)
        found = list(enumerate(plans.published(c, by.partner, plan_id)))
        return pages.answer(
            lambda limit, before: found[0 if before is None else int(before) + 1 :][:limit],
            lambda each: publication_body(each[1]),
            key=lambda each: each[0],
        )


@router.post("/v1/plans/{plan_id}/publish", response_model=PlanBody, **op(APPROVE, Code.NOT_FOUND))
def publish_plan(plan_id: str, body: Publish, by: By, once: OnlyOnce) -> Response:
    """Make a version the one that imports use."""

    def effect(c: sqlalchemy.Connection) -> Response:
        plan_of(c, by, plan_id)
        plan = plans.publish(
            c, by.partner, plan_id, body.number, actor=by.actor, reason=body.reason
        )
        return done(plan_body(plan))

    return once(effect, action="plan.published", target=plan_id, data={"number": body.number})


@router.post(
    "/v1/plans/{plan_id}/rollback",
    response_model=PlanBody,
    **op(APPROVE, Code.NOT_FOUND, Code.CONFLICT),
)
def roll_back_plan(plan_id: str, body: RollBack, by: By, once: OnlyOnce) -> Response:
    """Go back to the version that was published before the present one."""

    def effect(c: sqlalchemy.Connection) -> Response:
        plan_of(c, by, plan_id)
        plan = plans.rollback(c, by.partner, plan_id, actor=by.actor, reason=body.reason)
        return done(plan_body(plan))

    return once(effect, action="plan.rolled_back", target=plan_id)


def _known(c: sqlalchemy.Connection, by: Caller) -> list[Template]:
    return [each.template for each in templates.page(c, by.partner, limit=KNOWN_TEMPLATES)]


def _with_known(
    c: sqlalchemy.Connection, by: Caller, given: tuple[str | Template, ...]
) -> list[Template]:
    every = (*shipped(), *_known(c, by), *map(read_template, given))
    named = {each.template: each for each in every}
    return list(named.values())


def _text(document: str | dict[str, Any]) -> str:
    return document if isinstance(document, str) else json.dumps(document)
