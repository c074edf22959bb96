"""How one source's files become template rows: which file feeds which sheet, which column which field."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from plans.document import Document
from plans.template import Name, OnInvalid, Template
from plans.transforms import COMBINING, Constant, Transforms

Header = Annotated[str, Field(max_length=10_000)]


class Column(Document):
    """One incoming column: by header (with aliases), or by 0-based position."""

    header: Header | None = None
    aliases: tuple[Header, ...] = ()
    position: Annotated[int | None, Field(ge=0, lt=10_000)] = None

    @model_validator(mode="after")
    def _named(self) -> "Column":
        if self.header is None and self.position is None:
            raise ValueError("a column needs a `header` or a `position`")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every header this column has gone by, the present one first."""
        return (*([self.header] if self.header is not None else []), *self.aliases)


def _column(value: Any) -> Any:
    """`Email` is short for `{header: Email}`, `3` for `{position: 3}`."""
    if isinstance(value, str):
        return {"header": value}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"position": value}
    return value


def _columns(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


ShortColumn = Annotated[Column, BeforeValidator(_column, json_schema_input_type=str | int | Column)]
Columns = Annotated[
    tuple[ShortColumn, ...],
    BeforeValidator(_columns, json_schema_input_type=ShortColumn | tuple[ShortColumn, ...]),
]


class Mapping(Document):
    """What feeds one field. `optional`: a file without the column is no drift."""

    field: Name
    columns: Columns = Field(default=(), alias="from")
    transforms: Transforms = ()
    optional: bool = False
    on_invalid: OnInvalid | None = None
    default: str | None = None

    @model_validator(mode="after")
    def _fed(self) -> "Mapping":
        constant = any(isinstance(each, Constant) for each in self.transforms)
        if not self.columns and not constant and self.default is None:
            raise ValueError("needs `from` columns, a `constant` transform or a `default`")
        combining = [each for each in self.transforms if isinstance(each, COMBINING)]
        if len(self.columns) > 1 and not combining and not constant:
            raise ValueError("several columns need join, concat, coalesce or subtract")
        if len(combining) > 1:
            raise ValueError("only one combining transform is possible")
        return self

    def shortened(self, values: dict[str, Any]) -> dict[str, Any]:
        """`from: Email`, `transforms: [trim]`."""
        columns = [
            next(iter(each.values())) if each.keys() in ({"header"}, {"position"}) else each
            for each in values.get("from", ())
        ]
        transforms = [
            each["op"] if each.keys() == {"op"} else each for each in values.get("transforms", ())
        ]
        short = {"from": columns[0] if len(columns) == 1 else columns, "transforms": transforms}
        return values | {key: value for key, value in short.items() if key in values}


class ExtraColumns(StrEnum):
    """What happens to columns that no field uses."""

    IGNORE = "ignore"  #: left out, listed in the report
    KEEP = "keep"  #: kept as text beside the fields
    REJECT = "reject"  #: the run waits for a decision


class Duplicates(StrEnum):
    """What happens to a row whose identity key stood in an earlier row of the run."""

    FIRST = "first"  #: the first row stays, later ones count as duplicate
    LAST = "last"  #: the last row stays, earlier ones count as duplicate
    REJECT = "reject"  #: every row of the key is invalid


class Read(Document):
    """How to read the file where the plan or the call says so; what is left out is detected."""

    format: Literal["csv", "xlsx", "xls", "xlsb", "ods", "json", "ndjson", "parquet"] | None = None
    encoding: Annotated[str | None, Field(max_length=40)] = None
    delimiter: Annotated[str | None, Field(min_length=1, max_length=8)] = None
    quote: Annotated[str | None, Field(max_length=1)] = None
    escape: Annotated[str | None, Field(max_length=1)] = None
    has_header: bool | None = None
    header_row: Annotated[int | None, Field(ge=1)] = None
    header_rows: Annotated[int | None, Field(ge=0, le=10)] = None
    first_row: Annotated[int | None, Field(ge=1)] = None
    last_row: Annotated[int | None, Field(ge=1)] = None
    footer_rows: Annotated[int | None, Field(ge=0, le=1_000)] = None
    sheet: Annotated[str | None, Field(max_length=200)] = None
    layout: Literal["delimited", "drawn", "aligned"] | None = None
    transposed: bool | None = None
    records_path: Annotated[str | None, Field(max_length=200)] = None


class Files(Document):
    """Which files and workbook sheets feed a sheet; shell patterns, case ignored."""

    names: tuple[str, ...] = ()
    sheets: tuple[str, ...] = ()


def _files(value: Any) -> Any:
    """`["*contacts*.csv"]` is short for `{names: [...]}`."""
    if isinstance(value, str):
        return {"names": [value]}
    return {"names": value} if isinstance(value, (list, tuple)) else value


ShortFiles = Annotated[
    Files, BeforeValidator(_files, json_schema_input_type=str | tuple[str, ...] | Files)
]


class SheetPlan(Document):
    """How one sheet is filled. `name` tells two sheets of one template apart."""

    template: Name
    name: Name = ""
    files: ShortFiles = Files()
    read: Read = Read()
    mappings: tuple[Mapping, ...] = Field(default=(), alias="columns")
    extra_columns: ExtraColumns = ExtraColumns.IGNORE
    duplicates: Duplicates = Duplicates.FIRST

    @model_validator(mode="before")
    @classmethod
    def _default_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and not data.get("name") and "template" in data:
            return {**data, "name": data["template"]}
        return data

    @model_validator(mode="after")
    def _fields_once(self) -> "SheetPlan":
        names = [mapping.field for mapping in self.mappings]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"field mapped twice: {', '.join(twice)}")
        return self

    def shortened(self, values: dict[str, Any]) -> dict[str, Any]:
        """No name that is the template's, `files: ["*.csv"]`."""
        short = dict(values)
        if short.get("name") == short["template"]:
            del short["name"]
        if short.get("files", {}).keys() == {"names"}:
            short["files"] = short["files"]["names"]
        return short

    def mapping(self, field: str) -> Mapping | None:
        """The mapping of that field, if the plan has one."""
        return next((each for each in self.mappings if each.field == field), None)


class Plan(Document):
    """The whole document. `templates` may hold templates of its own; others come by name."""

    reknit: Literal[1] = 1
    plan: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    source: Annotated[str, Field(max_length=100)] = ""
    title: str = ""
    description: Annotated[str, Field(max_length=4_000)] = ""
    templates: tuple[Template, ...] = ()
    sheets: Annotated[tuple[SheetPlan, ...], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _sheets_once(self) -> "Plan":
        names = [sheet.name for sheet in self.sheets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sheet named twice: {', '.join(twice)}")
        return self

    def sheet(self, name: str) -> SheetPlan:
        """The sheet of that name; KeyError when there is none."""
        for sheet in self.sheets:
            if sheet.name == name:
                return sheet
        raise KeyError(name)
