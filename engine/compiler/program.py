"""A compiled sheet: pure SQL and what its numbers mean. Preview, trial and execution run the same one."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from plans.plan import Duplicates
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
    sql_type: str = "VARCHAR"
    extra: bool = False
    fed: bool = True  #: by columns of the table or a constant; else only a default stands in


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Across:
    """A rule that looks beyond its row. `key` is SQL over the stage, NULL where it does not apply."""

    check: int
    key: str
    raw: str  #: SQL over the stage: the customer's text
    output: int | None = None  #: whose value its policy may replace
    parent: tuple[str, str] | None = None  #: template and field the key must stand in; None: unique


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A lookup: rows of another sheet, whose `match` is looked for and whose `take` is taken."""

    template: str
    match: str
    take: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """Values of another sheet's rows: the keys of a reference, or the pairs of a lookup."""

    template: str
    fields: tuple[str, ...]


#: Parquet files of the values (`key`, `take`) that the company's sheets hold.
Stored = tuple[tuple[Wanted, Path], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Program:
    """One sheet's SQL against one staged table, which it reads from the view "source"."""

    sheet: str
    template: str
    width: int
    delimiter: str
    outputs: tuple[Output, ...]
    checks: tuple[Check, ...]
    stage: str  #: SELECT, a row a record in order: f0…fN, raw texts, bad, errs
    values: str  #: SELECT of the same f0…fN, with e0…eN: the number of the check that failed
    across: tuple[Across, ...] = ()
    identity: str | None = None  #: SQL over the stage: the row's identity as text
    identity_raw: str = "NULL"  #: SQL over the stage: the customer's text of the identity
    duplicates: Duplicates = Duplicates.FIRST
    duplicate: int = 0  #: the check of a duplicate identity
    lookups: tuple[Taken, ...] = ()
    keyed: str | None = None  #: SELECT that adds the lookups' keys k0…kN to "source"
    defaults: tuple[tuple[int, str], ...] = ()  #: output and the SQL of its default
    digest: str = ""

    def check(self, number: int) -> Check:
        """The check of that number."""
        return self.checks[number - 1]

    @property
    def fed(self) -> frozenset[str]:
        """Names of the outputs that the table really brings."""
        return frozenset(each.name for each in self.outputs if each.fed)

    @property
    def parents(self) -> tuple[str, ...]:
        """Templates whose sheets must be there first."""
        names = [rule.parent[0] for rule in self.across if rule.parent]
        return tuple(dict.fromkeys((*names, *(each.template for each in self.lookups))))
