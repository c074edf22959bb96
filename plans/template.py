"""What rows must look like: a template of one object, its fields, constraints and identity."""

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Literal

import re2
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from plans.document import Document

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Names = Annotated[tuple[Name, ...], Field(min_length=1)]

_RE2 = re2.Options()
_RE2.log_errors = False


def groups(pattern: str) -> int:
    """How many groups a pattern has; ValueError when RE2, which will run it, does not take it."""
    try:
        return int(re2.compile(pattern, _RE2).groups)
    except re2.error as error:
        reason = error.args[0]
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"not a pattern of RE2: {told}") from None


def _regex(value: str) -> str:
    groups(value)
    return value


Regex = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_regex)]


def _word(value: Any) -> Any:
    """A number is a fine limit or value; it is kept as text, so that no digit is lost."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Limit = Annotated[str | None, BeforeValidator(_word, json_schema_input_type=str | float | None)]


class FieldType(StrEnum):
    """What a field holds; each has one canonical text form."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    EMAIL = "email"
    URL = "url"
    DOMAIN = "domain"
    PHONE = "phone"
    COUNTRY = "country"
    CURRENCY = "currency"
    UUID = "uuid"
    ENUM = "enum"
    JSON = "json"
    REFERENCE = "reference"


class OnInvalid(StrEnum):
    """What one bad cell does."""

    REJECT = "reject"  #: its row is invalid (default)
    EMPTY = "empty"  #: the cell becomes empty, the row stays (`null` would be no word in YAML)
    DEFAULT = "default"  #: the cell becomes the default, the row stays
    WARN = "warn"  #: the cell is listed and, where its type allows, kept; the row stays
    STOP = "stop"  #: the run stops


class Severity(StrEnum):
    """Whether a broken rule makes the row invalid or is only listed."""

    ERROR = "error"
    WARNING = "warning"


class Reference(Document):
    """The value must stand in this field of another template's rows."""

    template: Name
    field: Name


class TemplateField(Document):
    """One column of the product's data."""

    name: Name
    type: FieldType = FieldType.STRING
    title: str = ""
    description: Annotated[str, Field(max_length=2_000)] = ""
    synonyms: tuple[str, ...] = ()
    required: bool = False
    unique: bool = False
    min: Limit = None
    max: Limit = None
    min_length: Annotated[int | None, Field(ge=0)] = None
    max_length: Annotated[int | None, Field(ge=1)] = None
    pattern: Regex | None = None
    values: tuple[str, ...] = ()
    precision: Annotated[int, Field(ge=1, le=38)] = 18
    scale: Annotated[int, Field(ge=0, le=18)] = 4
    references: Reference | None = None
    on_invalid: OnInvalid = OnInvalid.REJECT
    default: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "TemplateField":
        if (self.type is FieldType.ENUM) != bool(self.values):
            raise ValueError("`values` belongs to type enum, and an enum needs it")
        if (self.type is FieldType.REFERENCE) != (self.references is not None):
            raise ValueError("`references` belongs to type reference, and a reference needs it")
        if self.on_invalid is OnInvalid.DEFAULT and self.default is None:
            raise ValueError("on_invalid: default needs a `default`")
        if self.required and self.on_invalid is OnInvalid.EMPTY:
            raise ValueError("a required field cannot have on_invalid: empty")
        if self.values and self.default is not None and self.default not in self.values:
            raise ValueError(f"the default {self.default!r} is not one of the values")
        for limit in (self.min, self.max):
            if limit is not None:
                _ordered(self.type, limit)
        return self


#: Types with an order, and what reads a limit of theirs.
_ORDERED: dict[FieldType, Callable[[str], object]] = {
    FieldType.INTEGER: Decimal,
    FieldType.DECIMAL: Decimal,
    FieldType.DATE: date.fromisoformat,
    FieldType.DATETIME: datetime.fromisoformat,
    FieldType.TIME: time.fromisoformat,
}


def _ordered(kind: FieldType, limit: str) -> None:
    if kind not in _ORDERED:
        raise ValueError(f"type {kind} has no `min` or `max`; use `min_length` or `max_length`")
    try:
        _ORDERED[kind](limit)
    except (ValueError, InvalidOperation):
        raise ValueError(f"{limit!r} is no limit for type {kind}") from None


class RequireAny(Document):
    """At least one of these fields is filled."""

    rule: Literal["require_any"]
    fields: Names
    severity: Severity = Severity.ERROR


class UniqueTogether(Document):
    """No two rows have the same values in these fields (rows with an empty one are left out)."""

    rule: Literal["unique_together"]
    fields: Names
    severity: Severity = Severity.ERROR


class Compare(Document):
    """One field against another or a value; true where one of them is empty."""

    rule: Literal["compare"]
    left: Name
    op: Literal["<", "<=", ">", ">=", "=", "!="]
    right: Name | None = None
    value: Limit = None
    severity: Severity = Severity.ERROR

    @model_validator(mode="after")
    def _one_side(self) -> "Compare":
        if (self.right is None) == (self.value is None):
            raise ValueError("compare needs either `right` (a field) or `value`")
        return self


class RequiredIf(Document):
    """A field is required in rows where another one has one of these values."""

    rule: Literal["required_if"]
    field: Name
    when: Name
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    severity: Severity = Severity.ERROR


Rule = Annotated[RequireAny | UniqueTogether | Compare | RequiredIf, Field(discriminator="rule")]


def _keys(value: Any) -> Any:
    """`identity: [email]` is short for one single-field key."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(v, str) for v in value):
        return [value]
    return value


class Template(Document):
    """The target schema of one object.

    `identity`: keys in order; the first that finds a stored row wins. Rows of one file are the same
    record when their first filled key is the same.
    """

    template: Name
    title: str = ""
    description: Annotated[str, Field(max_length=4_000)] = ""
    fields: Annotated[tuple[TemplateField, ...], Field(min_length=1, max_length=1_000)]
    identity: Annotated[
        tuple[Names, ...],
        BeforeValidator(_keys, json_schema_input_type=tuple[Name, ...] | tuple[Names, ...]),
    ] = ()
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _names_known(self) -> "Template":
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"field named twice: {', '.join(twice)}")
        if unknown := sorted(set(_mentioned(self)) - set(names)):
            raise ValueError(f"identity or rule names unknown field: {', '.join(unknown)}")
        return self

    def field(self, name: str) -> TemplateField:
        """The field of that name; KeyError when there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)


def _mentioned(template: Template) -> tuple[str, ...]:
    names = [name for key in template.identity for name in key]
    for rule in template.rules:
        match rule:
            case RequireAny() | UniqueTogether():
                names += rule.fields
            case Compare():
                names += [rule.left, *([rule.right] if rule.right else [])]
            case RequiredIf():
                names += [rule.field, rule.when]
    return tuple(names)
