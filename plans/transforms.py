"""The closed vocabulary of transforms: what may happen to a value between its column and its field.

A mapping's columns pass through its transforms in order. Until a combining transform (`join`,
`concat`, `coalesce`, `subtract`) every transform works on each column's value by itself.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from plans.document import Document
from plans.template import Name, Regex, groups

#: Words people leave in a cell to say "nothing here".
NULL_WORDS = ("n/a", "na", "n.a.", "#n/a", "null", "none", "nil", "-", "--", "---", "?", "unknown")
TRUE_WORDS = ("true", "t", "yes", "y", "1", "on", "x")
FALSE_WORDS = ("false", "f", "no", "n", "0", "off")

_TOKENS = frozenset("YymdbBjHIpMSfzZ%aA")

Word = Annotated[str, Field(max_length=1_000)]
Words = tuple[Word, ...]


def _format(value: str) -> str:
    """A date format in strftime tokens that DuckDB's strptime knows."""
    tokens = re.findall(r"%-?(.?)", value)
    unknown = [token for token in tokens if token not in _TOKENS]
    if not tokens or unknown:
        raise ValueError(
            f"{value!r} is not a date format: use strptime tokens such as %Y-%m-%d or %d.%m.%Y"
            + (f"; unknown: {', '.join('%' + each for each in unknown)}" if unknown else "")
        )
    return value


Format = Annotated[str, Field(max_length=64), AfterValidator(_format)]


class Trim(Document):
    """Take white space (also no-break spaces) off both ends; `inner` folds runs inside to one."""

    op: Literal["trim"] = "trim"
    inner: bool = False


class Case(Document):
    """Change the letters' case."""

    op: Literal["case"] = "case"
    to: Literal["lower", "upper", "title"]


class Replace(Document):
    """Replace every occurrence of a text (not a pattern)."""

    op: Literal["replace"] = "replace"
    find: Annotated[str, Field(min_length=1, max_length=200)]
    by: Annotated[str, Field(max_length=200)] = ""


class RegexReplace(Document):
    """Replace every match of an RE2 pattern; `by` may use \\1 … \\9."""

    op: Literal["regex_replace"] = "regex_replace"
    pattern: Regex
    by: Annotated[str, Field(max_length=200)] = ""


class RegexExtract(Document):
    """Keep one group of an RE2 pattern's first match; nothing when it does not match."""

    op: Literal["regex_extract"] = "regex_extract"
    pattern: Regex
    group: Annotated[int, Field(ge=0, le=9)] = 0

    @model_validator(mode="after")
    def _group_exists(self) -> "RegexExtract":
        if self.group > groups(self.pattern):
            raise ValueError(f"the pattern has no group {self.group}")
        return self


class Split(Document):
    """Cut at a separator and keep one part (0 is the first, -1 the last) or the rest from it on."""

    op: Literal["split"] = "split"
    separator: Annotated[str, Field(min_length=1, max_length=10)]
    part: Annotated[int, Field(ge=-20, le=20)]
    rest: bool = False


class Join(Document):
    """Combine: the filled columns in order with a separator between them."""

    op: Literal["join"] = "join"
    separator: Annotated[str, Field(max_length=10)] = " "


class Concat(Document):
    """Combine: a text with {0}, {1} … for the columns; nothing when one of them is empty."""

    op: Literal["concat"] = "concat"
    text: Annotated[str, Field(min_length=3, max_length=200)]


class Coalesce(Document):
    """Combine: the first filled column."""

    op: Literal["coalesce"] = "coalesce"


class Subtract(Document):
    """Combine: the first column minus the others, empty as zero (credit minus debit)."""

    op: Literal["subtract"] = "subtract"


class Default(Document):
    """This value where there is none."""

    op: Literal["default"] = "default"
    value: Word


class Constant(Document):
    """This value in every row; the mapping needs no column."""

    op: Literal["constant"] = "constant"
    value: Word


class Nulls(Document):
    """Words that mean "no value", compared without case and outer white space."""

    op: Literal["nulls"] = "nulls"
    words: Words = NULL_WORDS


class ValueMap(Document):
    """Old value to new value; `otherwise` keeps or empties all others."""

    op: Literal["value_map"] = "value_map"
    values: Annotated[dict[Word, Word], Field(min_length=1, max_length=5_000)]
    ignore_case: bool = True
    otherwise: Literal["keep", "empty"] = "keep"


class Number(Document):
    """Read a number as people write it: marks, currency sign or code, percent, (negative), 12-."""

    op: Literal["number"] = "number"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    percent: Literal["keep", "divide"] = "keep"
    scale: Annotated[str, Field(pattern=r"^-?\d{1,12}(\.\d{1,6})?$")] = "1"

    @model_validator(mode="after")
    def _marks_differ(self) -> "Number":
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands marks must differ")
        return self


class Date(Document):
    """Read a date by the first format that fits the whole value; ISO 8601 always fits."""

    op: Literal["date"] = "date"
    formats: tuple[Format, ...] = ()
    excel_serial: bool = False


class DateTime(Document):
    """Read a moment; one without an offset is in `timezone` (IANA name). Result is UTC."""

    op: Literal["datetime"] = "datetime"
    formats: tuple[Format, ...] = ()
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+\-/]{1,64}$")] = "UTC"
    epoch: Literal["none", "seconds", "milliseconds"] = "none"


class Time(Document):
    """Read a time of day."""

    op: Literal["time"] = "time"
    formats: tuple[Format, ...] = ()


class Boolean(Document):
    """Words for yes and no, compared without case."""

    op: Literal["boolean"] = "boolean"
    true: Words = TRUE_WORDS
    false: Words = FALSE_WORDS

    @model_validator(mode="after")
    def _yes_is_not_no(self) -> "Boolean":
        if both := {w.casefold() for w in self.true} & {w.casefold() for w in self.false}:
            raise ValueError(f"means both yes and no: {', '.join(sorted(both))}")
        return self


class Phone(Document):
    """To E.164; numbers without a country code get the calling code of `region` (ISO 3166)."""

    op: Literal["phone"] = "phone"
    region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None


class Email(Document):
    """Lower case; takes the address out of `Name <address>` and `mailto:`."""

    op: Literal["email"] = "email"


class Domain(Document):
    """The host of a URL or e-mail address, without `www.`, in lower case."""

    op: Literal["domain"] = "domain"


class Url(Document):
    """Add `https://` where no scheme stands."""

    op: Literal["url"] = "url"


class Country(Document):
    """Country name or code to ISO 3166 alpha-2."""

    op: Literal["country"] = "country"


class Currency(Document):
    """Currency name, sign or code to ISO 4217."""

    op: Literal["currency"] = "currency"


class Lookup(Document):
    """Replace a value by another column of a row in another sheet (id to name): one of this run's
    rows, else one that the company's sheet holds.
    """

    op: Literal["lookup"] = "lookup"
    template: Name
    match: Name
    take: Name


class Hash(Document):
    """SHA-256 in hex, for values that must not be kept readable."""

    op: Literal["hash"] = "hash"


class PadLeft(Document):
    """Fill up to a width from the left (leading zeros a spreadsheet took)."""

    op: Literal["pad_left"] = "pad_left"
    width: Annotated[int, Field(ge=1, le=64)]
    fill: Annotated[str, Field(min_length=1, max_length=1)] = "0"


Transform = Annotated[
    Trim | Case | Replace | RegexReplace | RegexExtract | Split | Join | Concat | Coalesce
    | Subtract | Default | Constant | Nulls | ValueMap | Number | Date | DateTime | Time | Boolean
    | Phone | Email | Domain | Url | Country | Currency | Lookup | Hash | PadLeft,
    Field(discriminator="op"),
]  # fmt: skip

#: Transforms that make one value of several columns.
COMBINING = (Join, Concat, Coalesce, Subtract)
#: Transforms that read a text as a value: what changes the text itself stands before them.
READING = (Number, Date, DateTime, Time, Boolean, Phone, Email, Domain, Url, Country, Currency)

#: Transforms that need no further member.
Op = Literal[
    "trim", "join", "coalesce", "subtract", "nulls", "number", "date", "datetime", "time",
    "boolean", "phone", "email", "domain", "url", "country", "currency", "hash",
]  # fmt: skip


def from_word(value: Any) -> Any:
    """`trim` is short for `{op: trim}`."""
    return {"op": value} if isinstance(value, str) else value


ShortTransform = Annotated[
    Transform, BeforeValidator(from_word, json_schema_input_type=Op | Transform)
]
Transforms = tuple[ShortTransform, ...]
