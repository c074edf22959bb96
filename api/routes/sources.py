"""Sources and templates: where data comes from, and what it must look like."""

from collections.abc import Sequence

import sqlalchemy
from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import Pages, created, shown
from api.deps import By, Here
from api.errors import ApiError, Code
from api.once import OnlyOnce
from api.operations import op
from api.routes.companies import source_of
from api.routes.documents import read_template
from api.schemas.bodies import Page, UrlCount
from api.schemas.companies import (
    NewSource,
    NewTemplate,
    SourceBody,
    TemplateBody,
    source_body,
    template_body,
)
from engine.errors import Conflict
from engine.model import Scope, Source
from engine.store import plans, sources, templates

router = APIRouter()

READ, WRITE = Scope.COMPANIES_READ, Scope.PLANS_WRITE


@router.post(
    "/v1/sources",
    status_code=201,
    response_model=SourceBody,
    tags=["sources"],
    **op(WRITE, Code.NAME_CONFLICT, whole_partner=True),
)
def create_source(body: NewSource, by: By, once: OnlyOnce) -> Response:
    """Add a system that data comes out of."""

    def effect(c: sqlalchemy.Connection) -> Response:
        try:
            source = sources.add(c, by.partner, **body.model_dump())
        except Conflict as error:
            raise ApiError(code=Code.NAME_CONFLICT, detail=str(error)) from None
        return created(source_body(source, plan=None), location=f"/v1/sources/{source.id}")

    return once(effect, action="source.created")


@router.get("/v1/sources", response_model=Page[SourceBody], tags=["sources"], **op(READ))
def list_sources(here: Here, by: By, pages: Pages) -> Response:
    """Sources, newest first."""

    def bodies(limit: int, before: str | None) -> list[SourceBody]:
        found = sources.page(c, by.partner, limit=limit, before=before)
        return _bodies(c, by.partner, found)

    with here.database.begin() as c:
        return pages.answer(bodies, lambda each: each, key=lambda each: each.id)


@router.get(
    "/v1/sources/{source}", response_model=SourceBody, tags=["sources"], **op(READ, Code.NOT_FOUND)
)
def get_source(source: str, request: Request, here: Here, by: By) -> Response:
    """One source, by name or id."""
    with here.database.begin() as c:
        return shown(request, _bodies(c, by.partner, [source_of(c, by, source)])[0])


@router.post(
    "/v1/templates",
    status_code=201,
    response_model=TemplateBody,
    tags=["templates"],
    **op(WRITE, Code.PLAN_INVALID, whole_partner=True),
)
def create_template(body: NewTemplate, by: By, once: OnlyOnce) -> Response:
    """Add a template, or the next version of one; unchanged it stays the present version."""
    template = read_template(body.document)

    def effect(c: sqlalchemy.Connection) -> Response:
        record = templates.add(c, by.partner, template)
        return created(template_body(record), location=f"/v1/templates/{record.name}")

    return once(effect, action="template.created")


@router.get("/v1/templates", response_model=Page[TemplateBody], tags=["templates"], **op(READ))
def list_templates(here: Here, by: By, pages: Pages) -> Response:
    """The latest version of every template, newest first."""
    with here.database.begin() as c:
        return pages.answer(
            lambda limit, before: templates.page(c, by.partner, limit=limit, before=before),
            template_body,
            key=lambda each: each.id,
        )


@router.get(
    "/v1/templates/{name}",
    response_model=TemplateBody,
    tags=["templates"],
    **op(READ, Code.NOT_FOUND),
)
def get_template(
    name: str, request: Request, here: Here, by: By, number: UrlCount | None = None
) -> Response:
    """A template's latest version, or the one of that number."""
    with here.database.begin() as c:
        return shown(request, template_body(templates.named(c, by.partner, name, number=number)))


def _bodies(c: sqlalchemy.Connection, partner: str, found: Sequence[Source]) -> list[SourceBody]:
    used = plans.of_sources(c, partner, [each.id for each in found])
    return [source_body(each, plan=used[each.id].id if each.id in used else None) for each in found]
