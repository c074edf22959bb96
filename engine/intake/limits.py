"""How much one file may ask of the machine; above these it is refused with a code."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class IntakeLimits:
    """Bytes, counts and ratios; inflated sizes are measured, never believed."""

    columns: int = 2_000
    record: int = 2_000_000  #: bytes of one record as canonical text
    inflated: int = 16 << 30
    ratio: int = 200  #: inflated / packed, once a megabyte has come out
    entries: int = 2_000
    cells: int = 50_000_000  #: rows x columns of one workbook sheet
    sheet_bytes: int = 2 << 30  #: inflated bytes of one workbook
    document: int = 512 << 20  #: bytes of a JSON document that has to be held whole
    beside: int = 50_000  #: rows of tables side by side, held at once; more are one table
    broken: int = 100_000  #: broken rows kept with their text
    shard: int = 96 << 20
