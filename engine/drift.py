"""What differs between the file the plan expects and the file that came. Facts, no repair."""

from dataclasses import dataclass
from enum import StrEnum


class DriftCode(StrEnum):
    """Kinds of drift; the same difference is reported once."""

    RENAMED = "column_renamed"  #: the field's column came under another header
    MOVED = "column_moved"  #: a column addressed by position stands elsewhere
    REORDERED = "columns_reordered"  #: the same columns in another order
    MISSING = "column_missing"  #: no column for a mapped field
    EXTRA = "column_extra"  #: a column the plan does not know
    DELIMITER = "delimiter_changed"  #: another delimiter than the plan says
    ENCODING = "encoding_changed"  #: another encoding than the plan says
    HEADER = "header_moved"  #: the header stands in another row
    FORMAT = "value_format_changed"  #: dates, numbers or booleans are written differently
    VALUE = "value_unknown"  #: a value no map or enum knows
    TYPE = "value_type_changed"  #: values of another kind than the field's


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One difference with its evidence. `used`: a field of the plan is concerned."""

    code: DriftCode
    sheet: str
    message: str
    field: str | None = None
    expected: str | None = None
    found: str | None = None
    count: int = 1
    used: bool = True
