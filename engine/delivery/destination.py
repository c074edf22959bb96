"""Where rows go, as documents with their credentials, and what is said about each row."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, SecretStr, TypeAdapter, field_validator

from engine.secrets import Keys, open_sealed, seal
from plans.document import Document

Row = dict[str, Any]

_LEAST_SECRET = 24

_Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


def _tagged(schema: dict[str, Any]) -> None:
    """What tells the kinds apart must be said, although code may leave it out."""
    schema["required"] = ["kind", *schema.get("required", ())]


class PostgresDestination(Document):
    """One table a sheet, `prefix` before its name; made where it does not exist."""

    model_config = ConfigDict(json_schema_extra=_tagged)

    kind: Literal["postgresql"] = "postgresql"
    host: _Host
    port: Annotated[int, Field(ge=1, le=65_535)] = 5432
    database: Annotated[str, Field(min_length=1, max_length=63)]
    user: Annotated[str, Field(min_length=1, max_length=63)]
    password: SecretStr = SecretStr("")
    sslmode: Literal["disable", "prefer", "require", "verify-full"] = "require"
    table_schema: _Name = "public"
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{0,30}$")] = ""
    keys: tuple[str, ...] = ("_id",)  #: what ON CONFLICT compares; needs a unique index


class HttpDestination(Document):
    """An endpoint that takes batches of rows, signed by Standard Webhooks."""

    model_config = ConfigDict(json_schema_extra=_tagged)

    kind: Literal["http"] = "http"
    url: Annotated[str, Field(max_length=2_048)]
    secret: SecretStr  #: `whsec_` and base64
    batch: Annotated[int, Field(ge=1, le=1_000)] = 100

    @field_validator("secret")
    @classmethod
    def _signs(cls, value: SecretStr) -> SecretStr:
        prefix, text = value.get_secret_value()[:6], value.get_secret_value()[6:]
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            key = b""
        if prefix != "whsec_" or len(key) < _LEAST_SECRET:
            raise ValueError("a secret is `whsec_` and at least 24 bytes in base64")
        return value


class S3Destination(Document):
    """A prefix of a bucket: one object a sheet, in the format of the exported file."""

    model_config = ConfigDict(json_schema_extra=_tagged)

    kind: Literal["s3"] = "s3"
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/=.-]{0,500}$")] = ""
    access_key: str
    secret_key: SecretStr
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] = "us-east-1"
    endpoint: Annotated[str, Field(max_length=2_048)] = ""  #: empty: AWS
    format: Literal["parquet", "csv"] = "parquet"


Destination = Annotated[
    PostgresDestination | HttpDestination | S3Destination, Field(discriminator="kind")
]


_DESTINATION: TypeAdapter[PostgresDestination | HttpDestination | S3Destination] = TypeAdapter(
    Destination
)


def seal_destination(
    destination: PostgresDestination | HttpDestination | S3Destination, *, keys: Keys, owner: str
) -> bytes:
    """The document with its credentials as the store may keep it; `owner` is its record's id."""
    told = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in destination
    }
    return seal(keys, json.dumps(told).encode(), context=owner.encode())


def open_destination(
    sealed: bytes, *, keys: Keys, owner: str
) -> PostgresDestination | HttpDestination | S3Destination:
    """What `seal_destination` sealed for the same record."""
    return _DESTINATION.validate_json(open_sealed(keys, sealed, context=owner.encode()))


def destination_from(
    document: Any,
) -> PostgresDestination | HttpDestination | S3Destination:
    """The document as a person wrote it; ValidationError says what is wrong."""
    return _DESTINATION.validate_python(document)


def shown_destination(
    destination: PostgresDestination | HttpDestination | S3Destination,
) -> dict[str, Any]:
    """The document without its credentials."""
    secret = {name for name, value in destination if isinstance(value, SecretStr)}
    return destination.model_dump(mode="json", exclude=secret)


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """A sheet's exported file: Parquet with lineage, or what an S3 destination's format says."""

    sheet: str
    file: Path
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class RowResult:
    """What the destination said of one row; `id` is the row's `_id`."""

    id: int
    ok: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """One step: keep `cursor` (rows of the sheet that are done), then take the next one."""

    sheet: str
    cursor: int
    results: tuple[RowResult, ...] = ()


#: Sends some rows of one sheet, the first of them at an offset.
Send = Callable[[int, list[Row]], tuple[RowResult, ...]]
