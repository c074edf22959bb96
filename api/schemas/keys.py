"""API keys and the audit log."""

from ipaddress import ip_network
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from api.schemas.bodies import INTEGRAL, Body, Instant, Line, Resource
from api.schemas.companies import CompanyId
from engine.model import Key, Scope
from engine.store.audit import AuditEntry


def _network(value: str) -> str:
    return str(ip_network(value, strict=False))


Network = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F.:/]{2,50}$", examples=["203.0.113.0/24"]),
    AfterValidator(_network),
]


class NewKey(Body):
    """A key with no more rights than the one that makes it."""

    name: Line = Field(examples=["nightly import"])
    scopes: Annotated[frozenset[Scope], Field(min_length=1, examples=[["imports:write"]])]
    environment: Literal["live", "test"] = "live"
    companies: Annotated[tuple[CompanyId, ...], Field(max_length=1_000)] = ()
    addresses: Annotated[tuple[Network, ...], Field(max_length=100)] = ()
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=3_650), INTEGRAL] = 365


class KeyBody(Resource):
    """A key without its secret."""

    object: Literal["key"] = "key"
    id: str = Field(examples=["key_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    name: str = Field(examples=["nightly import"])
    prefix: str = Field(examples=["rk_live_4fZq"])
    scopes: list[str] = Field(examples=[["imports:write"]])
    companies: list[str]
    addresses: list[str]
    api_version: str = Field(examples=["2026-11-01"])
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None


class MintedKey(KeyBody):
    """A new key. `secret` is told this once and never again."""

    secret: str = Field(examples=["rk_live_…"])


def key_body(key: Key) -> KeyBody:
    """The key as the API shows it."""
    return KeyBody(**_members(key))


def minted_key(key: Key, secret: str) -> MintedKey:
    """The one answer with a secret in it."""
    return MintedKey(**_members(key), secret=secret)


def _members(key: Key) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": sorted(key.scopes),
        "companies": list(key.companies),
        "addresses": list(key.addresses),
        "api_version": key.api_version,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


class AuditBody(Resource):
    """One line of the audit log; `digest` covers it and the line before."""

    object: Literal["audit_entry"] = "audit_entry"
    sequence: int = Field(examples=[17])
    actor: str
    action: str = Field(examples=["key.created"])
    target: str
    request_id: str
    data: dict[str, Any]
    at: Instant
    previous: str
    digest: str


def audit_body(entry: AuditEntry) -> AuditBody:
    """The audit line as the API shows it."""
    return AuditBody(
        sequence=entry.sequence,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        request_id=entry.request,
        data=dict(entry.data),
        at=entry.at,
        previous=entry.previous,
        digest=entry.digest,
    )


class AuditVerdict(Resource):
    """Whether the chain holds; `first_bad` is the sequence of the first line that does not."""

    object: Literal["audit_verdict"] = "audit_verdict"
    intact: bool
    first_bad: int | None
