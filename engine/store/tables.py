"""The tables. Column names are the field names of the records in engine.model."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from engine.model import ACTIVE
from engine.store.database import Instant

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

JSON = sa.JSON(none_as_null=True)


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _partner(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "partner",
        String(40),
        ForeignKey("partners.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary_key,
    )


def _below(name: str, parent: str, *, nullable: bool = False, key: bool = False) -> Column[str]:
    """A reference whose row goes when its parent goes."""
    reference = ForeignKey(f"{parent}.id", ondelete="CASCADE")
    return Column(name, String(40), reference, nullable=nullable, primary_key=key)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


def _at(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, Instant(), nullable=nullable)


def _json(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, JSON, nullable=nullable)


def _number(name: str, *, nullable: bool = False, key: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, primary_key=key, autoincrement=False)


partners = Table(
    "partners", metadata,
    _id(), _text("name"), _json("limits"), _at("created_at"),
    # The head of the audit chain: cutting off the log's end shows.
    _number("audited"), _text("audit_head"),
    Column("brand", JSON, nullable=False, server_default="{}"),
)  # fmt: skip

keys = Table(
    "keys", metadata,
    _id(), _partner(), _text("name"), _text("prefix"),
    Column("hash", String(64), nullable=False, unique=True),
    _json("scopes"), _json("companies"), _json("addresses"), _text("api_version"),
    _at("created_at"), _at("expires_at", nullable=True), _at("revoked_at", nullable=True),
    _at("last_used_at", nullable=True),
    Index(None, "partner", "id"),
)  # fmt: skip

sources = Table(
    "sources", metadata,
    _id(), _partner(), _text("name"), _text("title"), _text("description"), _at("created_at"),
    UniqueConstraint("partner", "name"),
)  # fmt: skip

templates = Table(
    "templates", metadata,
    _id(), _partner(), _text("name"), _number("number"), _text("document"), _text("digest"),
    _at("created_at"),
    UniqueConstraint("partner", "name", "number"),
)  # fmt: skip

companies = Table(
    "companies", metadata,
    _id(), _partner(), _text("name"), Column("external_id", String(255)),
    Column("source", String(40), ForeignKey("sources.id"), nullable=False),
    Column("workbook", String(40), nullable=False, unique=True), _json("metadata"),
    _at("created_at"), _at("archived_at", nullable=True),
    Column("link_epoch", Integer, nullable=False, server_default="0"),
    UniqueConstraint("partner", "external_id"),
    Index(None, "partner", "id"),
)  # fmt: skip

sheets = Table(
    "sheets", metadata,
    _id(), _partner(), _below("company", "companies"), _text("name"), _text("template"),
    _at("created_at"),
    UniqueConstraint("company", "name"),
)  # fmt: skip

_OF_SOURCE, _OF_COMPANY = sa.text("company IS NULL"), sa.text("company IS NOT NULL")

plans = Table(
    "plans", metadata,
    _id(), _partner(), Column("source", String(40), ForeignKey("sources.id"), nullable=False),
    _below("company", "companies", nullable=True), Column("forked_from", String(40)),
    _text("name"), _number("published", nullable=True), _number("latest"), _at("created_at"),
    Index("ix_plans_one_of_source", "source", unique=True,
          sqlite_where=_OF_SOURCE, postgresql_where=_OF_SOURCE),
    Index("ix_plans_one_of_company", "company", "source", unique=True,
          sqlite_where=_OF_COMPANY, postgresql_where=_OF_COMPANY),
)  # fmt: skip

plan_versions = Table(
    "plan_versions", metadata,
    _below("plan", "plans", key=True), _number("number", key=True), _partner(),
    _text("digest"), _text("document"), Column("run", String(40)), _at("created_at"),
)  # fmt: skip

publications = Table(
    "publications", metadata,
    _below("plan", "plans", key=True), _number("sequence", key=True), _partner(),
    _number("number"), _text("actor"), _text("reason"), _at("at"),
)  # fmt: skip

uploads = Table(
    "uploads", metadata,
    _id(), _partner(), _below("company", "companies"), _text("name"), _text("content_type"),
    _number("size"), Column("status", String(20), nullable=False), Column("digest", String(64)),
    _number("received"), _at("created_at"), _at("valid_until"), _at("stored_at", nullable=True),
    Index(None, "company", "id"),
)  # fmt: skip

_STATES = ", ".join(f"'{each}'" for each in sorted(ACTIVE))
_ACTIVE = sa.text(f"status IN ({_STATES}) AND NOT waits")

runs = Table(
    "runs", metadata,
    _id(), _partner(), _below("company", "companies"), Column("plan", String(40), nullable=False),
    _number("plan_version"), _text("plan_digest"), Column("status", String(20), nullable=False),
    _json("uploads"), _json("options"), _json("policy"), Column("dry_run", Boolean, nullable=False),
    Column("priority", Integer, nullable=False), Column("turn", Integer, nullable=False),
    Column("claim", Integer, nullable=False), Column("tries", Integer, nullable=False),
    _json("progress"), _json("counts"), Column("cancel_requested", Boolean, nullable=False),
    Column("proposal", String(40)), _text("error_code", nullable=True),
    _text("error_message", nullable=True), _text("report", nullable=True), _json("metadata"),
    _number("sequence"), Column("executor", String(80)), _at("created_at"), _at("updated_at"),
    _at("started_at", nullable=True), _at("finished_at", nullable=True),
    _at("expired_at", nullable=True), _at("swept_at", nullable=True),
    Column("kind", String(20), nullable=False, server_default="import"),
    Column("origin", String(40), nullable=True),
    Column("landing", Boolean, nullable=False, server_default=sa.false()),
    Column("rows", JSON, nullable=False, server_default="{}"),
    Column("waits", Boolean, nullable=False, server_default=sa.false()),
    Index(None, "origin"),
    Index("ix_runs_one_active", "company", unique=True,
          sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
    Index(None, "partner", "id"), Index(None, "company", "id"), Index(None, "status"),
)  # fmt: skip

# A sheet's rows fetched into a file, or brought to a destination.
errands = Table(
    "errands", metadata,
    _id(), _partner(), _below("company", "companies"), Column("kind", String(20), nullable=False),
    Column("status", String(20), nullable=False), _text("title"), _json("request"),
    Column("etag", String(64)), Column("destination", String(40)),
    Column("turn", Integer, nullable=False), Column("claim", Integer, nullable=False),
    Column("tries", Integer, nullable=False), Column("cancel_requested", Boolean, nullable=False),
    _json("progress"), _json("file", nullable=True), _text("error_code", nullable=True),
    _text("error_message", nullable=True), _number("sequence"), _text("actor"),
    Column("executor", String(80)), _at("created_at"), _at("updated_at"),
    _at("finished_at", nullable=True), _at("expires_at", nullable=True),
    Index(None, "company", "id"), Index(None, "company", "etag"), Index(None, "status"),
)  # fmt: skip

# What a delivery brought so far: the last row of a sheet is its cursor.
batches = Table(
    "batches", metadata,
    _below("errand", "errands", key=True), Column("sheet", String(63), primary_key=True),
    _number("start", key=True), _partner(), _number("rows"), _number("refused"), _json("results"),
)  # fmt: skip

destinations = Table(
    "destinations", metadata,
    _id(), _partner(), _text("name"), _json("shown"),
    Column("sealed", LargeBinary, nullable=False), _at("created_at"), _at("updated_at"),
    UniqueConstraint("partner", "name"), Index(None, "partner", "id"),
)  # fmt: skip

events = Table(
    "events", metadata,
    _id(), _partner(), _below("company", "companies", nullable=True),
    _below("run", "runs", nullable=True), _number("sequence"), _text("type"), _json("data"), _text("actor"), _at("at"),
    _below("errand", "errands", nullable=True),
    UniqueConstraint("run", "sequence"),
    Index(None, "partner", "id"),
)  # fmt: skip

findings = Table(
    "findings", metadata,
    _below("run", "runs", key=True), Column("kind", String(20), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False), _partner(), _json("data"),
)  # fmt: skip

artifacts = Table(
    "artifacts", metadata,
    _below("run", "runs", key=True), Column("name", String(300), primary_key=True), _partner(),
    _text("key"), _text("media_type"), _number("size"), _text("digest"), _number("records"),
)  # fmt: skip

proposals = Table(
    "proposals", metadata,
    _id(), _partner(), _below("company", "companies"), _below("run", "runs"),
    Column("plan", String(40), nullable=False), _number("plan_version"),
    Column("turn", Integer, nullable=False), Column("blocking", Boolean, nullable=False),
    _text("etag"), _text("document"), _at("created_at"),
    Column("version", Text, nullable=False, server_default=""),
    Index(None, "run"),
)  # fmt: skip

# One row a proposal: the primary key is the last guard against deciding twice.
decisions = Table(
    "decisions", metadata,
    _below("proposal", "proposals", key=True), _partner(), _text("document"),
    _number("made_version", nullable=True), _at("decided_at"),
)  # fmt: skip

memory = Table(
    "memory", metadata,
    _partner(primary_key=True), Column("key", String(64), primary_key=True),
    _below("source", "sources"), _below("company", "companies"), _text("template"),
    _text("field"), _json("headers"), _text("shape"), _text("trust"), _number("count"),
    _at("confirmed_at"),
    Index(None, "partner", "confirmed_at"),
)  # fmt: skip

idempotency = Table(
    "idempotency", metadata,
    _partner(primary_key=True), Column("scope", String(300), primary_key=True),
    Column("key", String(255), primary_key=True), _text("fingerprint"),
    Column("status", Integer), _json("headers"), Column("body", LargeBinary, nullable=False),
    _at("created_at"), _at("expires_at"),
    Index(None, "expires_at"),
)  # fmt: skip

# No reference to partners: the log outlives what it tells of.
audit = Table(
    "audit", metadata,
    Column("partner", String(40), primary_key=True), _number("sequence", key=True),
    _text("actor"), _text("action"), _text("target"), _text("request"), _text("data"), _at("at"),
    _text("previous"), _text("digest"),
)  # fmt: skip

endpoints = Table(
    "endpoints", metadata,
    _id(), _partner(), _text("url"), _json("types"), _json("secrets"), _at("created_at"),
    _at("disabled_at", nullable=True), _text("disabled_reason"), _at("failing_since", nullable=True),
    Index(None, "partner", "id"),
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata,
    _id(), _partner(), _below("endpoint", "endpoints"), _below("event", "events"),
    _json("attempts"), _at("due_at", nullable=True), _at("delivered_at", nullable=True),
    _at("created_at"),
    Index(None, "due_at"), Index(None, "endpoint", "id"),
)  # fmt: skip

quotas = Table(
    "quotas", metadata,
    _partner(primary_key=True), Column("name", String(100), primary_key=True), _number("used"),
    _at("expires_at"),
)  # fmt: skip

executors = Table(
    "executors", metadata,
    Column("id", String(80), primary_key=True), _number("beat"),
)  # fmt: skip
