"""Everything an operator can set, built once at the edge from the environment and passed on."""

import base64
import binascii
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from hmac import digest
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

PREFIX = "REKNIT_"
MIN_SECRET = 32
#: What an address of each kind begins with.
SCHEMES = {
    "database_url": ("postgresql://", "postgresql+psycopg://", "sqlite:///"),
    "files_url": ("s3://", "file:///"),
}


class SettingsInvalid(Exception):
    """A setting is missing or makes no sense; names the variable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Secrets:
    """Master secrets by id; the first one signs and hashes, every one verifies (rotation)."""

    ring: tuple[tuple[str, bytes], ...] = field(repr=False)

    def current(self, purpose: str) -> tuple[str, bytes]:
        """Id and key for making something new."""
        identifier, master = self.ring[0]
        return identifier, digest(master, purpose.encode(), sha256)

    def every(self, purpose: str) -> tuple[tuple[str, bytes], ...]:
        """Ids and keys that still verify, the present one first."""
        return tuple((name, digest(each, purpose.encode(), sha256)) for name, each in self.ring)


class Settings(BaseModel):
    """One member for each REKNIT_ variable, in lower case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(default=Path("reknit-data"), validate_default=True)
    database_url: str = ""  #: empty: SQLite in the data folder
    files_url: str = ""  #: empty: a folder in the data folder; else s3://bucket/prefix
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr = SecretStr("")  #: empty: what the machine's own AWS settings say
    s3_secret_key: SecretStr = SecretStr("")
    s3_direct_url: str = ""  #: the bucket's own address for senders; empty: bytes come through us
    secrets: SecretStr = SecretStr("")  #: `id:base64,…`; empty: made once, in the data folder
    public_url: str = "http://127.0.0.1:8000"
    workers: int = Field(default=0, ge=0, le=64)  #: runs at a time in one process; 0: by the cores
    partner_runs: int = Field(default=0, ge=0, le=64)  #: of one partner at a time; 0: one less
    run_threads: int = Field(default=2, ge=1, le=64)  #: of one run's children
    run_seconds: float = Field(default=3600.0, gt=0)  #: longest a child may run
    poll_seconds: float = Field(default=0.25, gt=0, le=10)  #: between two looks for runs
    heartbeat_seconds: float = Field(default=1.0, gt=0)
    dead_seconds: float = Field(default=10.0, gt=0)  #: silence after which a worker counts as dead
    sweep_seconds: float = Field(default=10.0, gt=0)  #: between looks for turns nobody will end
    collect_seconds: float = Field(default=3600.0, gt=0)  #: between rounds of retention
    retry_seconds: float = Field(default=5.0, ge=0)  #: before the second try; doubles each time
    max_upload_bytes: int = Field(default=20 << 30, gt=0)
    min_free_bytes: int = Field(default=1 << 30, ge=0)  #: below it uploads are refused
    upload_days: float = Field(default=1.0, gt=0)  #: after the end of the last run that used it
    run_days: float = Field(default=30.0, gt=0)
    export_days: float = Field(default=7.0, gt=0)
    undo_days: float = Field(default=30.0, ge=1)  #: and how far back rows can be read
    embed: bool = False  #: compare names by word vectors as well; needs reknit[embed]
    llm_model: str = ""  #: litellm's name of a model, fall-backs by comma; empty: no LLM
    llm_key: SecretStr = SecretStr("")
    llm_url: str = ""
    llm_mode: Literal["none", "headers", "shapes", "samples"] = "shapes"  #: what it may see
    llm_run_usd: float = Field(default=0.05, ge=0)  #: most one run may cost
    llm_day_tokens: int = Field(default=1_000_000, ge=0)  #: of one partner, all runs of a UTC day
    llm_day_usd: float = Field(default=5.0, ge=0)  #: most all of them may cost
    rate_requests: int = Field(default=100, gt=0)  #: of one key to one endpoint in a window
    rate_seconds: int = Field(default=60, gt=0)  #: the window
    require_idempotency_keys: bool = False  #: whether a POST without one is refused
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9464, ge=0, le=65535)  #: health and metrics, without a key
    outbound_cidrs: str = ""  #: networks webhooks may reach beside the public internet, by comma
    outbound_http: bool = False  #: whether a webhook may do without TLS
    outbound_ports: str = "443,80"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @field_validator(
        "database_url", "files_url", "public_url", "s3_endpoint", "s3_direct_url", "llm_url"
    )
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        known = SCHEMES.get(info.field_name or "", ("http://", "https://"))
        if value and not value.startswith(known):
            raise ValueError(f"should begin with {' or '.join(known)}")
        return value

    @field_validator("outbound_cidrs")
    @classmethod
    def _networks(cls, value: str) -> str:
        for each in value.split(","):
            ip_network(each.strip() or "::/128")
        return value

    @field_validator("outbound_ports")
    @classmethod
    def _ports(cls, value: str) -> str:
        if not all(each.strip().isdigit() for each in value.split(",")):
            raise ValueError("should be ports by comma, such as 443,80")
        return value

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the state database."""
        if not self.database_url:
            return f"sqlite:///{self.data_dir / 'reknit.db'}"
        return self.database_url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def files(self) -> str:
        """The URL of the file store."""
        return self.files_url or "file://" + quote(str(self.data_dir / "files"))

    @property
    def confidential(self) -> tuple[str, ...]:
        """Every secret text among the settings, so that logs can leave them out."""
        kept = [each.get_secret_value() for _, each in self if isinstance(each, SecretStr)]
        ring = [part.partition(":")[2] for part in self.secrets.get_secret_value().split(",")]
        password = urlsplit(self.database_url).password
        return tuple(each for each in (*kept, *ring, password) if each)

    @property
    def slots(self) -> int:
        """Runs at a time in this process."""
        return self.workers or max(2, os.cpu_count() or 1)

    @property
    def partner_slots(self) -> int:
        """Runs of one partner at a time; one less than all, so that the next one never waits long."""
        return self.partner_runs or max(1, self.slots - 1)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from REKNIT_ variables; SettingsInvalid names the one that is wrong or unknown."""
    given: dict[str, Any] = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsInvalid("; ".join(_told(each) for each in error.errors())) from None


def _told(error: "ErrorDetails") -> str:
    name, message = str(error["loc"][0]), error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        near = get_close_matches(name, Settings.model_fields, n=1)
        message = "there is no such setting" + "".join(
            f"; did you mean {PREFIX}{each.upper()}?" for each in near
        )
    return f"{PREFIX}{name.upper()}: {message}"


def load_secrets(settings: Settings) -> Secrets:
    """The ring from the settings, or from `secrets.json`, which is made (mode 0600) at first use."""
    text = settings.secrets.get_secret_value()
    if not text:
        text = _kept(settings.data_dir / "secrets.json")
    ring = tuple(_secret(part) for part in text.split(","))
    if len({name for name, _ in ring}) < len(ring):
        raise SettingsInvalid("REKNIT_SECRETS: two secrets have the same id")
    return Secrets(ring=ring)


def _kept(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = f"{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(MIN_SECRET)).decode()}"
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump({"secrets": fresh}, out)
        out.flush()
        os.fsync(out.fileno())
    try:
        # Two processes may start at once: the link succeeds for exactly one of them.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    kept: str = json.loads(path.read_text())["secrets"]
    return kept


def _secret(part: str) -> tuple[str, bytes]:
    name, _, encoded = part.strip().partition(":")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise SettingsInvalid(f"REKNIT_SECRETS: {name!r} is not base64") from None
    if len(secret) < MIN_SECRET or len(set(secret)) < 8:
        raise SettingsInvalid(
            f"REKNIT_SECRETS: {name!r} is too weak; make one with `openssl rand -base64 32`"
        )
    return name, secret
