"""Webhook endpoints, their deliveries, and the message a receiver gets."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StrictBool

from api.schemas.bodies import Body, Instant, Resource
from engine.model import Delivery, Endpoint

EndpointId = Annotated[str, Field(examples=["whe_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]


#: Without user, password or fragment; the host is judged at each sending.
Url = Annotated[
    str,
    Field(
        pattern=r"^https?://[A-Za-z0-9.\-\[\]:]{1,255}(/[\x21\x22\x24-\x7e]{0,1500})?$",
        examples=["https://partner.example/reknit"],
    ),
]
EventType = Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)+$", max_length=60)]
EventTypes = Annotated[
    tuple[EventType, ...],
    Field(max_length=50, description="Empty: all", examples=[["run.completed"]]),
]


class NewWebhook(Body):
    """Where events shall go."""

    url: Url
    types: EventTypes = ()


class WebhookChange(Body):
    """What of an endpoint may change; members left out stay."""

    url: Url | None = None
    types: EventTypes | None = None
    enabled: StrictBool | None = None


class ReplayEvents(Body):
    """Every event of this time again, `until` excluded."""

    since: AwareDatetime = Field(examples=["2026-11-22T00:00:00Z"])
    until: AwareDatetime = Field(examples=["2026-11-23T00:00:00Z"])


class WebhookBody(Resource):
    """An endpoint without its secret."""

    object: Literal["webhook"] = "webhook"
    id: EndpointId
    url: str
    types: list[str]
    enabled: bool
    disabled_reason: str
    disabled_at: Instant | None
    failing_since: Instant | None
    created_at: Instant


class MintedWebhook(WebhookBody):
    """An endpoint and its secret, told this once."""

    secret: str = Field(examples=["whsec_…"])


class AttemptBody(Resource):
    """One try: an HTTP status, or why there was no answer."""

    at: str
    outcome: str = Field(examples=["200"])


class DeliveryBody(Resource):
    """One event on its way to one endpoint."""

    object: Literal["delivery"] = "delivery"
    id: str = Field(examples=["whd_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    webhook_id: EndpointId
    event_id: str
    status: str = Field(description="waiting, delivered or failed; more may come")
    attempts: list[AttemptBody]
    next_attempt_at: Instant | None
    delivered_at: Instant | None
    created_at: Instant


class Scheduled(Resource):
    """How many deliveries were put on their way."""

    object: Literal["replay"] = "replay"
    deliveries: int


class TestResult(Resource):
    """What the endpoint said to a test message."""

    object: Literal["webhook_test"] = "webhook_test"
    delivered: bool
    outcome: str = Field(examples=["204"])


class Message(Resource):
    """What a receiver gets: thin, without any cell value. Fetch the run for more."""

    type: str = Field(examples=["run.completed"])
    timestamp: Instant
    data: dict[str, Any] = Field(
        description="run_id (or export_id, delivery_id), company_id, sequence, status, url, counts; "
        "of an endpoint: webhook_id, reason, url"
    )


def webhook_body(endpoint: Endpoint) -> WebhookBody:
    """The endpoint as the API shows it."""
    return WebhookBody(**_members(endpoint))


def minted_webhook(endpoint: Endpoint, secret: str) -> MintedWebhook:
    """The one answer with a secret in it."""
    return MintedWebhook(**_members(endpoint), secret=secret)


def delivery_body(delivery: Delivery) -> DeliveryBody:
    """The delivery as the API shows it."""
    over = delivery.due_at is None
    status = "delivered" if delivery.delivered_at else "failed" if over else "waiting"
    return DeliveryBody(
        id=delivery.id,
        webhook_id=delivery.endpoint,
        event_id=delivery.event,
        status=status,
        attempts=[AttemptBody(at=at, outcome=outcome) for at, outcome in delivery.attempts],
        next_attempt_at=delivery.due_at,
        delivered_at=delivery.delivered_at,
        created_at=delivery.created_at,
    )


def _members(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "types": list(endpoint.types),
        "enabled": endpoint.disabled_at is None,
        "disabled_reason": endpoint.disabled_reason,
        "disabled_at": endpoint.disabled_at,
        "failing_since": endpoint.failing_since,
        "created_at": endpoint.created_at,
    }
