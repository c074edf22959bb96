"""API keys and the audit log."""

import sqlalchemy
from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import Pages, created, done, shown
from api.deps import By, Here, company_of, note
from api.errors import ApiError, Code
from api.once import OnlyOnce
from api.operations import op
from api.schemas.bodies import Page
from api.schemas.keys import (
    AuditBody,
    AuditVerdict,
    KeyBody,
    MintedKey,
    NewKey,
    audit_body,
    key_body,
    minted_key,
)
from engine.ids import utcnow
from engine.model import Key, Scope
from engine.store import audit, keys
from engine.store.keys import API_VERSIONS

router = APIRouter()

ADMIN = Scope.KEYS_ADMIN


@router.get("/v1/me", response_model=KeyBody, tags=["keys"], **op(Scope.COMPANIES_READ))
def get_own_key(request: Request, by: By) -> Response:
    """The key of this request: its scopes, companies and expiry."""
    return shown(request, key_body(by.key))


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=MintedKey,
    tags=["keys"],
    **op(ADMIN, Code.NOT_FOUND, whole_partner=True),
)
def create_key(body: NewKey, here: Here, by: By, once: OnlyOnce) -> Response:
    """Mint a key with at most the rights of this one. Its secret is told only now."""
    _no_more_than(by.key, body.scopes)

    def effect(c: sqlalchemy.Connection) -> Response:
        for company in body.companies:
            company_of(c, by, company)
        key, secret = keys.mint(
            c,
            by.partner,
            secrets=here.secrets,
            name=body.name,
            scopes=body.scopes,
            environment=body.environment,
            companies=body.companies,
            addresses=body.addresses,
            days=body.expires_in_days,
            api_version=API_VERSIONS[-1],
        )
        return created(minted_key(key, secret), location=f"/v1/keys/{key.id}")

    return once(effect, action="key.created")


@router.get(
    "/v1/keys", response_model=Page[KeyBody], tags=["keys"], **op(ADMIN, whole_partner=True)
)
def list_keys(here: Here, by: By, pages: Pages) -> Response:
    """Keys without their secrets, newest first."""
    with here.database.begin() as c:
        return pages.answer(
            lambda limit, before: keys.page(c, by.partner, limit=limit, before=before),
            key_body,
            key=lambda each: each.id,
        )


@router.get(
    "/v1/keys/{key_id}",
    response_model=KeyBody,
    tags=["keys"],
    **op(ADMIN, Code.NOT_FOUND, whole_partner=True),
)
def get_key(key_id: str, request: Request, here: Here, by: By) -> Response:
    """One key without its secret."""
    with here.database.begin() as c:
        return shown(request, key_body(keys.get(c, by.partner, key_id)))


@router.post(
    "/v1/keys/{key_id}/rotate",
    status_code=201,
    response_model=MintedKey,
    tags=["keys"],
    **op(ADMIN, Code.NOT_FOUND, Code.CONFLICT, whole_partner=True),
)
def rotate_key(key_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """Mint a twin of a key. Both work until the old one is deleted."""

    def effect(c: sqlalchemy.Connection) -> Response:
        old = keys.get(c, by.partner, key_id)
        if not old.live(utcnow()):
            raise ApiError(code=Code.CONFLICT, detail="this key is revoked or expired")
        _no_more_than(by.key, old.scopes)
        days = (old.expires_at - old.created_at).days if old.expires_at else None
        key, secret = keys.mint(
            c,
            by.partner,
            secrets=here.secrets,
            name=old.name,
            scopes=old.scopes,
            environment=old.prefix.split("_")[1],
            companies=old.companies,
            addresses=old.addresses,
            days=days,
            api_version=old.api_version,
        )
        return created(minted_key(key, secret), location=f"/v1/keys/{key.id}")

    return once(effect, action="key.rotated", data={"old": key_id})


@router.delete(
    "/v1/keys/{key_id}",
    response_model=KeyBody,
    tags=["keys"],
    **op(ADMIN, Code.NOT_FOUND, whole_partner=True),
)
def revoke_key(key_id: str, here: Here, by: By) -> Response:
    """The key opens nothing any more, in every process within a second."""
    with here.database.begin() as c:
        key = keys.revoke(c, by.partner, key_id)
        note(c, by, "key.revoked", key_id)
    return done(key_body(key))


@router.get(
    "/v1/audit", response_model=Page[AuditBody], tags=["audit"], **op(ADMIN, whole_partner=True)
)
def list_audit(here: Here, by: By, pages: Pages) -> Response:
    """The audit log, newest first."""
    with here.database.begin() as c:
        return pages.answer(
            lambda limit, before: audit.page(
                c, by.partner, limit=limit, before=None if before is None else int(before)
            ),
            audit_body,
            key=lambda each: each.sequence,
        )


@router.get(
    "/v1/audit/verdict",
    response_model=AuditVerdict,
    tags=["audit"],
    **op(ADMIN, whole_partner=True),
)
def verify_audit(here: Here, by: By) -> Response:
    """Follow the chain of hashes through the whole log."""
    with here.database.begin() as c:
        bad = audit.verify(c, by.partner)
    return done(AuditVerdict(intact=bad is None, first_bad=bad))


def _no_more_than(key: Key, scopes: frozenset[Scope]) -> None:
    if more := sorted(scopes - key.scopes):
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS,
            detail=f"this key lacks {', '.join(more)} and cannot give it to another",
            members={"missing_scope": str(more[0])},
        )
