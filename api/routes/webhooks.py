"""Webhooks: where events go, what became of them, and sending them again."""

import json

import sqlalchemy
from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import Pages, accepted, created, done, shown
from api.deps import By, Here, note
from api.errors import Code
from api.once import OnlyOnce
from api.operations import op
from api.schemas.bodies import Deleted, Page
from api.schemas.webhooks import (
    DeliveryBody,
    MintedWebhook,
    NewWebhook,
    ReplayEvents,
    Scheduled,
    TestResult,
    WebhookBody,
    WebhookChange,
    delivery_body,
    minted_webhook,
    webhook_body,
)
from engine import webhooks
from engine.errors import NotFound
from engine.ids import utcnow
from engine.model import Scope
from engine.outbound import check_url
from engine.store import endpoints

router = APIRouter(tags=["webhooks"])

WRITE = Scope.WEBHOOKS_WRITE


@router.post(
    "/v1/webhooks",
    status_code=201,
    response_model=MintedWebhook,
    **op(WRITE, whole_partner=True),
)
def create_webhook(body: NewWebhook, here: Here, by: By, once: OnlyOnce) -> Response:
    """Send events to a URL. The signing secret is told only now."""
    check_url(here.outbound, body.url)

    def effect(c: sqlalchemy.Connection) -> Response:
        secret = webhooks.new_secret()
        kept = (webhooks.sealed(secret, keys=here.seals),)
        endpoint = endpoints.add(c, by.partner, url=body.url, types=body.types, secrets=kept)
        return created(minted_webhook(endpoint, secret), location=f"/v1/webhooks/{endpoint.id}")

    return once(effect, action="webhook.created")


@router.get("/v1/webhooks", response_model=Page[WebhookBody], **op(WRITE, whole_partner=True))
def list_webhooks(here: Here, by: By, pages: Pages) -> Response:
    """Endpoints, newest first."""
    with here.database.begin() as c:
        return pages.answer(
            lambda limit, before: endpoints.page(c, by.partner, limit=limit, before=before),
            webhook_body,
            key=lambda each: each.id,
        )


@router.get(
    "/v1/webhooks/{webhook_id}",
    response_model=WebhookBody,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def get_webhook(webhook_id: str, request: Request, here: Here, by: By) -> Response:
    """One endpoint."""
    with here.database.begin() as c:
        return shown(request, webhook_body(endpoints.get(c, by.partner, webhook_id)))


@router.patch(
    "/v1/webhooks/{webhook_id}",
    response_model=WebhookBody,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def update_webhook(webhook_id: str, body: WebhookChange, here: Here, by: By) -> Response:
    """Change the URL or the types, or switch the endpoint off and on."""
    changes = body.model_dump(include={"url", "types"}, exclude_none=True)
    if body.url is not None:
        check_url(here.outbound, body.url)
    if body.enabled is not None:
        changes |= {
            "disabled_at": None if body.enabled else utcnow(),
            "disabled_reason": "" if body.enabled else "switched off",
            "failing_since": None,
        }
    with here.database.begin() as c:
        endpoint = endpoints.update(c, by.partner, webhook_id, **changes)
        note(c, by, "webhook.updated", webhook_id)
    return done(webhook_body(endpoint))


@router.delete(
    "/v1/webhooks/{webhook_id}",
    response_model=Deleted,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def delete_webhook(webhook_id: str, here: Here, by: By) -> Response:
    """The endpoint and its delivery log go."""
    with here.database.begin() as c:
        endpoints.remove(c, by.partner, webhook_id)
        note(c, by, "webhook.deleted", webhook_id)
    return done(Deleted(object="webhook", id=webhook_id))


@router.post(
    "/v1/webhooks/{webhook_id}/rotate",
    response_model=MintedWebhook,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def rotate_webhook_secret(webhook_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """A new secret; messages carry both signatures for 24 hours."""

    def effect(c: sqlalchemy.Connection) -> Response:
        secret = webhooks.new_secret()
        endpoint = endpoints.get(c, by.partner, webhook_id)
        kept = webhooks.rotated(endpoint, secret, keys=here.seals, now=utcnow())
        endpoint = endpoints.update(c, by.partner, webhook_id, secrets=kept)
        return done(minted_webhook(endpoint, secret))

    return once(effect, action="webhook.rotated", target=webhook_id)


@router.post(
    "/v1/webhooks/{webhook_id}/test",
    response_model=TestResult,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def test_webhook(webhook_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """Send a signed `webhook.test` message now and tell what came back."""
    with here.database.begin() as c:
        endpoint = endpoints.get(c, by.partner, webhook_id)
    body = json.dumps(
        {"type": "webhook.test", "timestamp": utcnow().isoformat(), "data": {"id": webhook_id}}
    ).encode()
    attempt = webhooks.send_body(
        endpoint, f"test_{by.request}", body, keys=here.seals, policy=here.outbound
    )
    result = TestResult(delivered=attempt.delivered, outcome=attempt.outcome)
    return once(lambda c: done(result), action="webhook.tested", target=webhook_id)


@router.get(
    "/v1/webhooks/{webhook_id}/deliveries",
    response_model=Page[DeliveryBody],
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def list_deliveries(webhook_id: str, here: Here, by: By, pages: Pages) -> Response:
    """The delivery log with every attempt, newest first."""
    with here.database.begin() as c:
        endpoints.get(c, by.partner, webhook_id)
        return pages.answer(
            lambda limit, before: endpoints.deliveries_of(
                c, by.partner, webhook_id, limit=limit, before=before
            ),
            delivery_body,
            key=lambda each: each.id,
        )


@router.post(
    "/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
    status_code=202,
    response_model=DeliveryBody,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def resend_delivery(webhook_id: str, delivery_id: str, by: By, once: OnlyOnce) -> Response:
    """Try one delivery again, whatever became of it."""

    def effect(c: sqlalchemy.Connection) -> Response:
        endpoints.get(c, by.partner, webhook_id)
        delivery = endpoints.resend(c, by.partner, delivery_id)
        if delivery.endpoint != webhook_id:
            raise NotFound(f"webhook {webhook_id} has no delivery {delivery_id}")
        return accepted(delivery_body(delivery))

    return once(effect, action="webhook.resent", target=delivery_id)


@router.post(
    "/v1/webhooks/{webhook_id}/replay",
    status_code=202,
    response_model=Scheduled,
    **op(WRITE, Code.NOT_FOUND, whole_partner=True),
)
def replay_events(webhook_id: str, body: ReplayEvents, by: By, once: OnlyOnce) -> Response:
    """Deliver every event of a time range again, in order."""

    def effect(c: sqlalchemy.Connection) -> Response:
        count = endpoints.replay(c, by.partner, webhook_id, since=body.since, until=body.until)
        return accepted(Scheduled(deliveries=count))

    return once(effect, action="webhook.replayed", target=webhook_id)
