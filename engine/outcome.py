"""What running a plan over staged tables gave: counts that add up, groups of invalid cells, files."""

from dataclasses import dataclass
from pathlib import Path

from engine.accounting import Accounting
from engine.compiler.program import CellCode
from plans.template import Severity

#: What a value itself does wrong: neither its absence nor its neighbours.
VALUE_CODES = frozenset(
    {
        CellCode.TYPE,
        CellCode.FORMAT,
        CellCode.VALUE,
        CellCode.PATTERN,
        CellCode.TOO_LONG,
        CellCode.TOO_SHORT,
    }
)

#: Of the invalid cells' files. `column` and `field` are empty where the row as a whole is invalid.
CELL_COLUMNS = (
    "file", "sheet_name", "row_number", "column", "field", "code", "message", "value", "severity",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class CellGroup:
    """Invalid cells of one field, code and file, with the most frequent offending values."""

    sheet: str
    file: str
    field: str | None
    column: str | None  #: header(s) in the customer's file
    code: CellCode
    message: str
    severity: Severity
    cells: int
    rows: int
    values: tuple[tuple[str, int], ...]  #: raw value and its count, at most 200
    distinct: int
    first_rows: tuple[int, ...]  #: source rows, at most 10
    value_rows: tuple[tuple[int, ...], ...] = ()  #: of each of `values`, at most 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """How well one field is filled: spots a hollow import."""

    field: str
    filled: int
    distinct: int  #: approximate, among the first 100,000 rows


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOutcome:
    """One staged table's part in a sheet."""

    file: str
    table: int  #: index into the run's staged tables
    accounting: Accounting
    cells: tuple[Path, ...] = ()  #: its share of the sheet's invalid cells


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetOutcome:
    """One sheet of the run. Paths are parts in order; none of them when only validated."""

    sheet: str
    template: str
    columns: tuple[str, ...]  #: of the valid rows, in order
    files: tuple[FileOutcome, ...]
    accounting: Accounting
    groups: tuple[CellGroup, ...]
    cells: int  #: invalid cells of severity error
    warnings: int
    coverage: tuple[Fill, ...]
    valid_parquet: tuple[Path, ...] = ()
    fed: tuple[frozenset[str], ...] = ()  #: of each Parquet part: columns its table really brought
    valid_csv: tuple[Path, ...] = ()
    invalid_cells: tuple[Path, ...] = ()  #: parquet with CELL_COLUMNS


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """All sheets of a run; `stopped` names the first cell whose field says on_invalid: stop."""

    sheets: tuple[SheetOutcome, ...]
    stopped: str | None = None

    @property
    def accounting(self) -> Accounting:
        """The sum over all sheets."""
        total = Accounting()
        for sheet in self.sheets:
            total = total + sheet.accounting
        return total
