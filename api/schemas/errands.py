"""Exports, destinations and deliveries."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.bodies import Body, Instant, Resource
from api.schemas.companies import CompanyId
from engine.delivery import HttpDestination, PostgresDestination, S3Destination
from engine.ids import utcnow
from engine.store.batches import Told
from engine.store.destinations import DestinationRecord
from engine.store.errands import Errand

ExportId = Annotated[str, Field(examples=["exp_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
DestinationId = Annotated[str, Field(examples=["dst_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
DeliveryId = Annotated[str, Field(examples=["dlv_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
Word = Annotated[str, Field(examples=["completed"], description="queued, running, completed, …")]


class ErrandBody(Resource):
    """What an export and a delivery have in common."""

    company_id: CompanyId
    status: Word
    rows_done: int
    rows_total: int | None
    error_code: str | None
    error_message: str | None
    request: dict[str, Any] = Field(description="What was asked for")
    created_at: Instant
    updated_at: Instant
    finished_at: Instant | None


class ExportBody(ErrandBody):
    """An export on its way, or its file."""

    object: Literal["export"] = "export"
    id: ExportId
    size: int | None
    sha256: str | None
    content_type: str | None
    file_url: str | None = Field(description="Needs a key")
    download_url: str | None = Field(description="Signed, needs no key, for 15 minutes")
    expires_at: Instant | None
    expired: bool = Field(description="The file was there, and is gone")


class RowsDeliveryBody(ErrandBody):
    """Rows on their way to a destination."""

    object: Literal["rows_delivery"] = "rows_delivery"
    id: DeliveryId
    destination_id: DestinationId
    rows_refused: int
    results_url: str


class ResultBody(Resource):
    """What the destination said of one row."""

    sheet: str
    row_id: int
    ok: bool
    message: str | None


_EXAMPLE = {
    "kind": "http",
    "url": "https://partner.example/rows",
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
PlaceOf = Annotated[
    PostgresDestination | HttpDestination | S3Destination,
    Field(discriminator="kind", examples=[_EXAMPLE]),
]


class NewDestination(Body):
    """Where rows shall go, with credentials that are never shown again."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["our-product"])]
    destination: PlaceOf


class DestinationChange(Body):
    """Another place or other credentials, under the same name."""

    destination: PlaceOf


class DestinationBody(Resource):
    """A destination without its credentials."""

    object: Literal["destination"] = "destination"
    id: DestinationId
    name: str = Field(examples=["our-product"])
    kind: str = Field(examples=["http"])
    settings: dict[str, Any] = Field(description="The document without its credentials")
    created_at: Instant
    updated_at: Instant


def export_body(export: Errand, *, download_url: str | None) -> ExportBody:
    """The export as the API shows it."""
    file = export.file if export.file and not expired(export) else None
    return ExportBody(
        **_common(export),
        id=export.id,
        size=file.size if file else None,
        sha256=file.digest if file else None,
        content_type=file.media_type if file else None,
        file_url=f"{export_path(export)}/file" if file else None,
        download_url=download_url if file else None,
        expires_at=export.expires_at,
        expired=expired(export),
    )


def expired(export: Errand) -> bool:
    """Whether its file was there and has had its time."""
    return export.expires_at is not None and export.expires_at <= utcnow()


def export_path(export: Errand) -> str:
    """Where the export is."""
    return f"/v1/companies/{export.company}/exports/{export.id}"


def delivery_path(delivery: Errand) -> str:
    """Where the delivery is."""
    return f"/v1/companies/{delivery.company}/deliveries/{delivery.id}"


def rows_delivery_body(delivery: Errand) -> RowsDeliveryBody:
    """The delivery as the API shows it."""
    return RowsDeliveryBody(
        **_common(delivery),
        id=delivery.id,
        destination_id=delivery.destination or "",
        rows_refused=int(delivery.progress.get("refused") or 0),
        results_url=f"{delivery_path(delivery)}/results",
    )


def result_body(told: Told) -> ResultBody:
    """What was said of a row, as the API shows it."""
    return ResultBody(
        sheet=told.sheet, row_id=told.row, ok=told.refusal is None, message=told.refusal
    )


def destination_body(record: DestinationRecord) -> DestinationBody:
    """The destination as the API shows it."""
    return DestinationBody(
        id=record.id,
        name=record.name,
        kind=str(record.shown["kind"]),
        settings={name: value for name, value in record.shown.items() if name != "kind"},
        created_at=record.created_at,
        updated_at=record.updated_at,
    )


def _common(errand: Errand) -> dict[str, Any]:
    return {
        "company_id": errand.company,
        "status": errand.status,
        "rows_done": int(errand.progress.get("done") or 0),
        "rows_total": errand.progress.get("total"),
        "error_code": errand.error_code,
        "error_message": errand.error_message,
        "request": dict(errand.request),
        "created_at": errand.created_at,
        "updated_at": errand.updated_at,
        "finished_at": errand.finished_at,
    }
