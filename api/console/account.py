"""The partner's own matters: keys, webhooks and the audit log."""

import json
from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, Form
from fastapi.responses import Response

from api.console.account_views import (
    AuditPage,
    AuditRow,
    DeliveryRow,
    EndpointRow,
    KeyRow,
    KeysPage,
    WebhooksPage,
)
from api.console.guard import Visit, Who, go, needs
from api.console.review import Fields
from api.console.sessions import sign_in_link
from api.console.shown import Names
from api.deps import note
from api.errors import ApiError, Code
from engine.ids import utcnow
from engine.model import Delivery, Endpoint, Event, Key, Scope
from engine.store import audit, endpoints, events, keys

router = APIRouter()

PAGE = 100

_ADMIN = [needs(Scope.KEYS_ADMIN, whole_partner=True)]


@router.get("/keys")
def list_keys(who: Who) -> Response:
    """The partner's keys; without the right to them, only the one that is signed in."""
    with who.here.database.begin() as c:
        return _keys_page(c, who)


@router.post("/keys", dependencies=_ADMIN)
def mint_key(fields: Fields, who: Who) -> Response:
    """A new key with no more rights than this session's; its text is shown this once."""
    scopes = frozenset(Scope(str(each)) for each in fields.getlist("scopes"))
    name = str(fields.get("name", "")).strip()[:100]
    if not scopes or not name:
        raise ApiError(
            code=Code.VALIDATION_ERROR, detail="a key needs a name and at least one scope"
        )
    if more := sorted(scopes - who.by.key.scopes):
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS,
            detail=f"your key lacks {', '.join(more)} and cannot give it to another",
        )
    with who.here.database.begin() as c:
        key, text = keys.mint(c, who.by.partner, secrets=who.here.secrets, name=name, scopes=scopes)
        note(c, who.by, "key.created", key.id)
        return _keys_page(c, who, fresh=text)


@router.post("/keys/{key_id}/revoke", dependencies=_ADMIN)
def revoke_key(key_id: str, who: Who) -> Response:
    """The key opens nothing any more, nor do sessions it opened."""
    with who.here.database.begin() as c:
        keys.revoke(c, who.by.partner, key_id)
        note(c, who.by, "key.revoked", key_id)
    return go("/console/keys")


@router.post("/keys/{key_id}/sign-in", dependencies=_ADMIN)
def make_sign_in_link(key_id: str, who: Who) -> Response:
    """A link that signs somebody in as this key, once."""
    with who.here.database.begin() as c:
        key = keys.get(c, who.by.partner, key_id)
        if key.scopes - who.by.key.scopes or not key.live(utcnow()):
            raise ApiError(
                code=Code.INSUFFICIENT_PERMISSIONS,
                detail="this key is dead, or may more than yours; no link for it",
            )
        note(c, who.by, "console.link_made", key.id)
        link = sign_in_link(key, settings=who.here.settings, secrets=who.here.secrets)
        return _keys_page(c, who, sign_in=link)


@router.get("/webhooks", dependencies=[needs(Scope.WEBHOOKS_WRITE, whole_partner=True)])
def show_webhooks(who: Who, endpoint: str = "", before: str | None = None) -> Response:
    """Endpoints, and every delivery to one of them."""
    with who.here.database.begin() as c:
        found = endpoints.page(c, who.by.partner)
        chosen = next((each for each in found if each.id == endpoint), found[0] if found else None)
        log = _log(c, who, chosen, before)
        older = (
            f"/console/webhooks?endpoint={log[PAGE - 1].endpoint}&before={log[PAGE - 1].id}"
            if len(log) > PAGE
            else None
        )
        page = WebhooksPage(
            endpoints=tuple(map(_endpoint_row, found)),
            chosen=_endpoint_row(chosen) if chosen else None,
            deliveries=tuple(
                _delivery_row(each, events.get(c, who.by.partner, each.event))
                for each in log[:PAGE]
            ),
            older=older,
            can_write=True,
        )
        return who.page(c, "webhooks.html", "webhooks", page=page)


@router.post(
    "/webhooks/{endpoint_id}/resend",
    dependencies=[needs(Scope.WEBHOOKS_WRITE, whole_partner=True)],
)
def resend(endpoint_id: str, who: Who, delivery: Annotated[str, Form(max_length=60)]) -> Response:
    """Deliver an event once more."""
    with who.here.database.begin() as c:
        endpoints.resend(c, who.by.partner, delivery)
        note(c, who.by, "webhook.resent", delivery)
    return go(f"/console/webhooks?endpoint={endpoint_id}")


@router.get("/audit", dependencies=_ADMIN)
def show_audit(who: Who, before: int | None = None) -> Response:
    """The audit log, and whether its chain of hashes is whole."""
    with who.here.database.begin() as c:
        found = audit.page(c, who.by.partner, limit=PAGE + 1, before=before)
        names = Names(c=c, partner=who.by.partner)
        rows = tuple(
            AuditRow(
                sequence=each.sequence,
                actor=names.actor(each.actor) or each.actor,
                action=each.action,
                target=each.target,
                request=each.request,
                data=json.dumps(each.data, ensure_ascii=False) if each.data else "",
                at=each.at,
            )
            for each in found[:PAGE]
        )
        older = f"/console/audit?before={rows[-1].sequence}" if len(found) > PAGE else None
        page = AuditPage(entries=rows, broken_at=audit.verify(c, who.by.partner), older=older)
        return who.page(c, "audit.html", "audit", page=page)


def _keys_page(
    c: sqlalchemy.Connection, who: Visit, *, fresh: str | None = None, sign_in: str | None = None
) -> Response:
    admin = who.may(Scope.KEYS_ADMIN) and not who.by.key.companies
    found = keys.page(c, who.by.partner, limit=200) if admin else [who.by.key]
    page = KeysPage(
        keys=tuple(_key_row(who, each) for each in found),
        scopes=tuple(sorted(who.by.key.scopes)),
        fresh=fresh,
        sign_in=sign_in,
        can_write=admin,
    )
    return who.page(c, "keys.html", "keys", page=page)


def _key_row(who: Visit, key: Key) -> KeyRow:
    return KeyRow(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        scopes=tuple(sorted(key.scopes)),
        live=key.live(utcnow()),
        mine=key.id == who.by.key.id,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def _log(
    c: sqlalchemy.Connection, who: Visit, chosen: Endpoint | None, before: str | None
) -> list[Delivery]:
    if chosen is None:
        return []
    return endpoints.deliveries_of(c, who.by.partner, chosen.id, limit=PAGE + 1, before=before)


def _endpoint_row(endpoint: Endpoint) -> EndpointRow:
    off = endpoint.disabled_at is not None
    return EndpointRow(
        id=endpoint.id,
        url=endpoint.url,
        types=endpoint.types,
        disabled=(endpoint.disabled_reason or "disabled") if off else "",
        created_at=endpoint.created_at,
    )


def _delivery_row(delivery: Delivery, event: Event) -> DeliveryRow:
    state = "delivered" if delivery.delivered_at else "waiting" if delivery.due_at else "given up"
    return DeliveryRow(
        id=delivery.id,
        event=delivery.event,
        type=event.type,
        state=state,
        attempts=delivery.attempts,
        due_at=delivery.due_at,
        created_at=delivery.created_at,
    )
