"""Imports and previews: what a caller asks."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StrictBool, StrictFloat, StrictInt, model_validator
from pydantic.json_schema import SkipJsonSchema

from api.schemas.bodies import INTEGRAL, Body, Count, Metadata, Resource, Text
from api.schemas.uploads import UploadRef
from engine.dataset import Mode
from engine.policy import WhenInvalid
from plans.plan import Read

#: A member that may be left out, but is never null.
Absent = SkipJsonSchema[None]

IMPORT_CHARACTERS = 20_000_000

#: Inline rows of one call, and how many of them are waited for.
MAX_ROWS = 5_000
MAX_WAITED_ROWS = 500

Cell = Annotated[Text, Field(max_length=1_048_576)] | StrictBool | StrictInt | StrictFloat | None
Row = Annotated[
    dict[Annotated[str, Field(max_length=1_000)], Cell], Field(min_length=1, max_length=1_000)
]
Mapping = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=63)],
        Annotated[str, Field(min_length=1, max_length=1_000)]
        | Annotated[int, Field(strict=True, ge=0, lt=10_000), INTEGRAL],
    ],
    Field(
        max_length=1_000,
        description="Field to header, or to 0-based column number",
        examples=[{"email": "E-mail", "name": 0}],
    ),
]


class ImportFile(Body):
    """One uploaded file of the import; `name` counts when the plan matches files by name."""

    upload_ref: UploadRef
    name: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None


class ImportPolicy(Body):
    """What happens when rows would fail; thresholds accept so many without asking."""

    when_invalid: WhenInvalid = WhenInvalid.PAUSE
    max_invalid_rows: Annotated[Count, Field(examples=[10])] | None = None
    max_invalid_percent: Annotated[float, Field(strict=True, ge=0, le=100)] | None = None
    auto_approve: Annotated[float, Field(strict=True, ge=0.5, le=1)] | None = None


_KINDS = ("files", "rows", "csv")
#: What the members' own schemas cannot say.
_TOGETHER: dict[str, Any] = {
    "oneOf": [{"required": [each]} for each in _KINDS],
    "dependentRequired": {"plan_version": ["plan_id"]},
}


class Data(Body):
    """Files, rows or CSV text, exactly one of them, and how to read it."""

    files: Annotated[tuple[ImportFile, ...], Field(min_length=1, max_length=100)] | Absent = None
    rows: Annotated[tuple[Row, ...], Field(min_length=1, max_length=MAX_ROWS)] | Absent = None
    csv: Annotated[Text, Field(min_length=1, max_length=IMPORT_CHARACTERS)] | Absent = None
    sheet: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] | None = Field(
        default=None, description="Which sheet inline rows or CSV text are for"
    )
    mapping: Mapping = Field(default_factory=dict)
    has_header: StrictBool | None = None
    read: Read = Read()
    plan_id: Annotated[Text, Field(max_length=60)] | Absent = None
    plan_version: Annotated[int, Field(strict=True, ge=1, le=2**53), INTEGRAL] | Absent = None

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if sum(name in data for name in _KINDS) != 1:
                raise ValueError("give exactly one of `files`, `rows` and `csv`")
            if "plan_version" in data and "plan_id" not in data:
                raise ValueError("`plan_version` needs its `plan_id`")
            for name in (*_KINDS, "plan_id", "plan_version"):
                if name in data and data[name] is None:
                    raise ValueError(f"`{name}` is null: leave it out instead")
        return data


class Excluded(Body):
    """A suppression list: rows whose field has one of the values, in any case, are skipped."""

    field: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", examples=["email"])]
    values: Annotated[
        tuple[Annotated[Text, Field(min_length=1, max_length=1_000)], ...],
        Field(min_length=1, max_length=100_000),
    ]


class OnConflict(StrEnum):
    """What an import does while another one of its company has not ended."""

    REFUSE = "refuse"  #: 409 with the other's id
    QUEUE = "queue"  #: it waits, and starts when those before it have ended


class NewImport(Data):
    """An import: by the company's published plan, or the version named here."""

    model_config = ConfigDict(
        json_schema_extra={
            **_TOGETHER,
            "examples": [
                {
                    "files": [{"upload_ref": "up_01JD4F8QZ7V0R8N5Y2M3K4P6W9"}],
                    "mapping": {"email": "E-mail"},
                    "policy": {"when_invalid": "take_valid", "max_invalid_percent": 2.5},
                    "metadata": {"ticket": "42"},
                }
            ],
        }
    )

    policy: ImportPolicy = ImportPolicy()
    dry_run: StrictBool = False
    on_conflict: OnConflict = Field(
        default=OnConflict.REFUSE,
        description="While another import of the company has not ended: `refuse` with 409, or "
        "`queue` until those before it have, then by the plan published by then",
    )
    mode: Mode = Field(
        default=Mode.UPSERT,
        description="Which rows are stored: `upsert` all, `create_only` new, `update_only` known",
    )
    keep_existing: StrictBool = Field(
        default=False, description="Stored values that are not empty stay as they are"
    )
    exclude: Annotated[tuple[Excluded, ...], Field(max_length=20)] = ()
    tags: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=100)], ...], Field(max_length=20)
    ] = ()
    metadata: Metadata = Field(default_factory=dict)
    idempotency_key: (
        Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")] | None
    ) = None


class ReplayRejected(Body):
    """Which rejected rows to try again, and by which plan; `{}`: all of them, by the published one."""

    model_config = ConfigDict(
        json_schema_extra={
            "dependentRequired": {"plan_version": ["plan_id"]},
            "examples": [
                {
                    "files": [{"upload_ref": "up_01JD4F8QZ7V0R8N5Y2M3K4P6W9"}],
                    "policy": {"when_invalid": "take_valid"},
                }
            ],
        }
    )

    files: Annotated[
        tuple[ImportFile, ...],
        Field(
            max_length=20, description="Corrected rejected-rows files; none: the rows as they are"
        ),
    ] = ()
    policy: ImportPolicy = ImportPolicy()
    plan_id: Annotated[Text, Field(max_length=60)] | Absent = None
    plan_version: Annotated[int, Field(strict=True, ge=1, le=2**53), INTEGRAL] | Absent = None
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, data: Any) -> Any:
        if isinstance(data, dict):
            if "plan_version" in data and "plan_id" not in data:
                raise ValueError("`plan_version` needs its `plan_id`")
            for name in ("plan_id", "plan_version"):
                if name in data and data[name] is None:
                    raise ValueError(f"`{name}` is null: leave it out instead")
        return data


class Preview(Data):
    """The same data, only looked at: nothing is written."""

    model_config = ConfigDict(
        json_schema_extra={
            **_TOGETHER,
            "examples": [{"csv": "Name,E-mail\nAnn,ann@x.example\n", "limit": 5}],
        }
    )

    limit: Annotated[int, Field(strict=True, ge=1, le=100), INTEGRAL] = 5


class PreviewColumn(Resource):
    """One column as it came."""

    index: int = Field(examples=[0])
    header: str = Field(examples=["E-mail"])
    field: str | None = Field(description="The field it feeds", examples=["email"])
    filled: int
    distinct: int
    samples: list[str]


class PreviewDrift(Resource):
    """One difference between what the plan expects and what came."""

    code: str = Field(examples=["column_renamed"])
    message: str
    field: str | None
    expected: str | None
    found: str | None


class PreviewBinding(Resource):
    """Which columns feed a field, and why."""

    field: str
    columns: list[int]
    by: str = Field(examples=["exact"])
    score: float
    evidence: str


class PreviewReading(Resource):
    """One way to read a table that is not surely read; say `read` in the call to choose it."""

    label: str = Field(examples=["';' separates the columns"])
    read: dict[str, Any]
    columns: list[str]
    rows: list[list[str]]


class PreviewTable(Resource):
    """One table of the data and the sheet it would fill."""

    file: str
    sheet: str | None
    total_rows: int
    columns: list[PreviewColumn]
    auto_mapping: dict[str, str | None] = Field(description="Field to header; null: none found")
    bindings: list[PreviewBinding]
    drift: list[PreviewDrift]
    preview_rows: list[dict[str, str | None]]
    readings: list[PreviewReading] = Field(
        description="Not empty where nobody can be sure: an import would ask which is meant"
    )


class PreviewBody(Resource):
    """How the data would be read and bound. Of the first table that fills a sheet, the short form."""

    object: Literal["preview"] = "preview"
    columns: list[str]
    auto_mapping: dict[str, str | None]
    preview_rows: list[dict[str, str | None]]
    total_rows: int
    existing_columns: list[str] = Field(description="Fields of the company's sheets")
    tables: list[PreviewTable]


class DecisionBody(Body):
    """A decision on exactly the proposal with the ETag of `If-Match` (or `proposal_etag`)."""

    decision: Literal["accept", "answer", "reject", "take_valid"] = Field(examples=["accept"])
    answers: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=100)],
            Annotated[Text, Field(max_length=2_000)],
        ],
        Field(max_length=500, description="Question id to option id, or text where it is allowed"),
    ] = Field(default_factory=dict)
    without: Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(max_length=500)] = (
        Field(default=(), description="Ids of repairs that are not taken")
    )
    scope: Literal["company", "source"] = "company"
    reason: Text = ""
    proposal_etag: Annotated[str, Field(min_length=1, max_length=100)] | None = None
