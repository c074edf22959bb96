"""Companies: one customer's migration each."""

from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.answers import Pages, created, done, shown
from api.auth import Caller
from api.deps import By, Here, Services, company_of, note
from api.errors import ApiError, Code
from api.magic import magic_link
from api.once import OnlyOnce
from api.operations import op
from api.schemas.bodies import Deleted, Page
from api.schemas.companies import CompanyBody, CompanyChange, ExternalId, NewCompany, company_body
from engine.errors import Conflict, NotFound
from engine.files import company_prefix
from engine.model import Company, Scope, Source
from engine.store import audit, companies, plans, sources, templates

router = APIRouter(tags=["companies"])

READ, WRITE = Scope.COMPANIES_READ, Scope.COMPANIES_WRITE


@router.post(
    "/v1/companies",
    status_code=201,
    response_model=CompanyBody,
    **op(WRITE, Code.EXTERNAL_ID_CONFLICT, Code.NOT_FOUND, whole_partner=True),
)
def create_company(body: NewCompany, here: Here, by: By, once: OnlyOnce) -> Response:
    """Provision a company: a workbook with one sheet per template, and its magic link."""

    def effect(c: sqlalchemy.Connection) -> Response:
        source = source_of(c, by, body.source)
        try:
            company = companies.add(
                c,
                by.partner,
                name=body.name,
                source=source.id,
                external_id=body.external_id,
                templates=_templates(c, by, source, body.templates),
                metadata=body.metadata,
            )
        except Conflict as error:
            raise _taken(error) from None
        return created(_body(company, here), location=f"/v1/companies/{company.id}")

    return once(effect, action="company.created")


@router.get(
    "/v1/companies",
    response_model=Page[CompanyBody],
    **op(READ, Code.NOT_FOUND, whole_partner=True),
)
def list_companies(
    here: Here,
    by: By,
    pages: Pages,
    external_id: ExternalId | None = None,
    source: Annotated[str | None, Query(max_length=100, description="Name or id")] = None,
    archived: Annotated[
        bool | None, Query(description="Only archived ones, or none of them")
    ] = None,
) -> Response:
    """Companies, newest first."""
    with here.database.begin() as c:
        wanted = source_of(c, by, source).id if source is not None else None

        def fetch(limit: int, before: str | None) -> list[Company]:
            if external_id is not None:
                found = companies.by_external_id(c, by.partner, external_id)
                return [found] if found and before is None else []
            return companies.page(
                c, by.partner, limit=limit, before=before, archived=archived, source=wanted
            )

        return pages.answer(fetch, lambda each: _body(each, here), key=lambda each: each.id)


@router.get("/v1/companies/{company_id}", response_model=CompanyBody, **op(READ, Code.NOT_FOUND))
def get_company(company_id: str, request: Request, here: Here, by: By) -> Response:
    """One company."""
    with here.database.begin() as c:
        return shown(request, _body(company_of(c, by, company_id), here))


@router.patch(
    "/v1/companies/{company_id}",
    response_model=CompanyBody,
    **op(WRITE, Code.NOT_FOUND, Code.EXTERNAL_ID_CONFLICT),
)
def update_company(company_id: str, body: CompanyChange, here: Here, by: By) -> Response:
    """Change the name, the external id or the metadata of a company."""
    changes = body.model_dump(exclude_unset=True, exclude_none=True)
    with here.database.begin() as c:
        company_of(c, by, company_id)
        try:
            company = companies.update(c, by.partner, company_id, **changes)
        except Conflict as error:
            raise _taken(error) from None
        note(c, by, "company.updated", company_id)
        return done(_body(company, here))


@router.post(
    "/v1/companies/{company_id}/archive", response_model=CompanyBody, **op(WRITE, Code.NOT_FOUND)
)
def archive_company(company_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """Take no more imports; the data stays."""

    def effect(c: sqlalchemy.Connection) -> Response:
        company_of(c, by, company_id)
        return done(_body(companies.archive(c, by.partner, company_id), here))

    return once(effect, action="company.archived", target=company_id)


@router.post(
    "/v1/companies/{company_id}/magic-link",
    response_model=CompanyBody,
    **op(WRITE, Code.NOT_FOUND),
)
def renew_magic_link(company_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """A new link for the customer; every earlier one stops working."""

    def effect(c: sqlalchemy.Connection) -> Response:
        company_of(c, by, company_id)
        return done(_body(companies.revoke_links(c, by.partner, company_id), here))

    return once(effect, action="company.link_renewed", target=company_id)


@router.delete(
    "/v1/companies/{company_id}",
    response_model=Deleted,
    **op(WRITE, Code.NOT_FOUND, Code.IMPORT_ALREADY_RUNNING),
)
def delete_company(company_id: str, here: Here, by: By) -> Response:
    """Erase a company with all its data, files included. There is no way back."""
    with here.database.begin() as c:
        company_of(c, by, company_id)
        coming = companies.erase(c, by.partner, company_id)
        note(c, by, audit.ERASED, company_id)
    for upload in coming:
        here.files.abandon(upload)
    here.files.delete_prefix(company_prefix(by.partner, company_id))
    return done(Deleted(object="company", id=company_id))


def source_of(c: sqlalchemy.Connection, by: Caller, name: str) -> Source:
    """The source with this name or id."""
    found = sources.named(c, by.partner, name)
    return found if found is not None else sources.get(c, by.partner, name)


def _templates(
    c: sqlalchemy.Connection, by: Caller, source: Source, wanted: tuple[str, ...] | None
) -> list[str]:
    """The templates named, all of them known; or those of the source's plan."""
    plan = plans.of_source(c, by.partner, source.id)
    number = (plan.published or plan.latest) if plan else None
    version = plans.version(c, by.partner, plan.id, number=number).version if plan else None
    planned = [each.template for each in version.templates] if version else []
    for name in wanted or ():
        if name not in planned:
            templates.named(c, by.partner, name)
    if wanted is None and not planned:
        raise NotFound(f"source {source.name!r} has no plan yet: name the `templates`")
    return list(dict.fromkeys(wanted or planned))


def _body(company: Company, here: Services) -> CompanyBody:
    link = magic_link(company, settings=here.settings, secrets=here.secrets)
    return company_body(company, magic_link_url=link)


def _taken(error: Conflict) -> ApiError:
    return ApiError(code=Code.EXTERNAL_ID_CONFLICT, detail=str(error))
