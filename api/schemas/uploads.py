"""Uploads: declare, put, and what is there."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.bodies import INTEGRAL, Body, Instant, Resource, Text
from api.schemas.companies import CompanyId
from engine.model import Upload
from engine.posting import Posting

UploadRef = Annotated[str, Field(max_length=60, examples=["up_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class NewUpload(Body):
    """What is going to come: exactly so many bytes of this type."""

    name: Annotated[Text, Field(min_length=1, max_length=1_000, examples=["contacts.csv"])]
    content_type: Annotated[
        str, Field(pattern=r"^[a-zA-Z0-9!#$&^_.+-]{1,60}/[a-zA-Z0-9!#$&^_.+-]{1,100}$")
    ] = Field(default="application/octet-stream", examples=["text/csv"])
    size: Annotated[int, Field(strict=True, ge=1, le=2**53, examples=[1048576]), INTEGRAL]
    sha256: Sha256 | None = None
    direct: bool = Field(
        default=False,
        description="Send the bytes straight into the deployment's bucket, if it shows one",
    )


class UploadBody(Resource):
    """A file of a company. While it is `waiting`, `upload_url` takes its bytes."""

    object: Literal["upload"] = "upload"
    id: UploadRef
    upload_ref: UploadRef = Field(description="The same as `id`, as imports call it")
    company_id: CompanyId
    name: str = Field(examples=["contacts.csv"])
    content_type: str = Field(examples=["text/csv"])
    size: int = Field(examples=[1048576])
    status: str = Field(description="waiting, stored or expired; more may come")
    received: int
    sha256: str | None
    created_at: Instant
    stored_at: Instant | None


class UploadTicket(UploadBody):
    """A new upload and how to send it: PUT at once, or PATCH piece by piece.

    `method` is POST where the bytes go straight into a bucket: send `fields` and then the bytes as
    `file` in a multipart form, and `complete` the upload.
    """

    method: Literal["PUT", "POST"] = "PUT"
    upload_url: str = Field(examples=["https://reknit.example/v1/uploads/up_1/content?signature=x"])
    headers: dict[str, str] = Field(examples=[{"Content-Type": "text/csv"}])
    fields: dict[str, str] = Field(examples=[{}])
    valid_until: Instant
    max_bytes: int


def upload_body(upload: Upload) -> UploadBody:
    """The upload as the API shows it."""
    return UploadBody.model_validate(_members(upload))


def ticket(upload: Upload, *, url: str) -> UploadTicket:
    """The upload with the signed URL that takes its bytes."""
    return _ticket(upload, upload_url=url, headers={"Content-Type": upload.content_type}, fields={})


def form_ticket(upload: Upload, form: Posting) -> UploadTicket:
    """The upload with the form that takes its bytes straight into the bucket."""
    return _ticket(upload, method="POST", upload_url=form.url, headers={}, fields=form.fields)


def _ticket(upload: Upload, **how: object) -> UploadTicket:
    told = {"valid_until": upload.valid_until, "max_bytes": upload.size, **how}
    return UploadTicket.model_validate(_members(upload) | told)


def _members(upload: Upload) -> dict[str, object]:
    return {
        "id": upload.id,
        "upload_ref": upload.id,
        "company_id": upload.company,
        "name": upload.name,
        "content_type": upload.content_type,
        "size": upload.size,
        "status": str(upload.status),
        "received": upload.received,
        "sha256": upload.digest,
        "created_at": upload.created_at,
        "stored_at": upload.stored_at,
    }
