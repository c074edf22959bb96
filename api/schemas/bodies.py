"""What every body shares: requests are strict and closed, answers frozen and explicit."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema

T = TypeVar("T")

#: Of arrays and objects in one another, in a request.
MAX_DEPTH = 32


class Body(BaseModel):
    """What a caller sends; an unknown member is an error, because it is a typo or a misbelief."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _shallow(cls, data: Any) -> Any:
        level = [data]
        for _ in range(MAX_DEPTH):
            level = [inner for each in level for inner in _inside(each)]
        if level:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        return data


def _inside(value: Any) -> Iterable[Any]:
    """The arrays and objects right inside; something of a scalar is nothing."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (each for each in inner if isinstance(each, (dict, list)))


class Resource(BaseModel):
    """What a caller gets; new members may come, so clients ignore those they do not know."""

    model_config = ConfigDict(frozen=True)


def _zulu(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[
    datetime,
    PlainSerializer(_zulu),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-22T09:30:00.000Z"]}
    ),
]


def _integral(value: object) -> object:
    """JSON knows one kind of number: 3.0 is the integer 3. Texts and truth values are not."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


INTEGRAL = BeforeValidator(_integral)
Count = Annotated[int, Field(strict=True, ge=0, le=2**53), INTEGRAL]
#: The same in a path or query, where everything is text.
UrlCount = Annotated[int, Field(ge=0, le=2**53)]
#: PostgreSQL cannot hold a NUL, and nobody means one.
NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, Field(max_length=4_000, pattern=NO_NUL)]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Metadata = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=40)], Annotated[Text, Field(max_length=500)]
    ],
    Field(max_length=50, examples=[{"crm": "hubspot"}]),
]


class Page(Resource, Generic[T]):
    """One page of a list, newest first; `next_cursor` goes into `?cursor=`."""

    data: list[T]
    next_cursor: str | None = Field(examples=[None])
    has_more: bool = Field(examples=[False])


class Deleted(Resource):
    """It is gone."""

    object: str = Field(examples=["company"])
    id: str
    deleted: bool = Field(default=True, examples=[True])
