"""A compiled sheet: pure SQL and what its numbers mean. Preview, trial and execution run the same one."""

from dataclasses import dataclass
from enum import StrEnum

from plans.template import FieldType, OnInvalid, Severity


class CellCode(StrEnum):
    """Why a cell (or its row) is invalid."""

    REQUIRED = "required"  #: empty, but the field needs a value
    TYPE = "invalid_type"  #: not a value of the field's type
    FORMAT = "invalid_format"  #: a date, number or time none of the plan's formats reads
    PATTERN = "pattern_mismatch"  #: does not match the field's pattern
    VALUE = "value_not_allowed"  #: not one of the allowed values
    MIN = "below_minimum"  #: smaller or earlier than allowed
    MAX = "above_maximum"  #: larger or later than allowed
    TOO_SHORT = "too_short"  #: fewer characters than allowed
    TOO_LONG = "too_long"  #: more characters than allowed
    UNIQUE = "not_unique"  #: the value stands in another row too
    UNIQUE_TOGETHER = "not_unique_together"  #: these values together stand in another row too
    DUPLICATE = "duplicate_identity"  #: the identity key stands in another row too
    REFERENCE = "reference_not_found"  #: no such row in the referenced sheet
    LOOKUP = "lookup_not_found"  #: no such row to take a value from
    REQUIRE_ANY = "none_of_required"  #: all of these fields are empty
    REQUIRED_IF = "required_if"  #: empty, but another field's value asks for it
    COMPARE = "comparison_failed"  #: two fields contradict each other
    MISSING_COLUMN = "column_missing"  #: a required field has no column in this file
    BROKEN_ROW = "broken_row"  #: the row's shape could not be read


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """One column of the valid rows, in template order; then kept extra columns (`type` string)."""

    name: str
    type: FieldType
    columns: tuple[int, ...]  #: staged columns that feed it
    extra: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What one error number of the program stands for."""

    number: int
    field: str | None
    columns: tuple[int, ...]
    code: CellCode
    message: str
    on_invalid: OnInvalid = OnInvalid.REJECT
    severity: Severity = Severity.ERROR
