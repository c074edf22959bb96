"""The report of a run and the files a person downloads: what is right, what is wrong, what to fix.

CSV is RFC 4180: UTF-8, CRLF between records, quotes doubled. `safe` is for spreadsheets: a text
that one would take for a formula gets an apostrophe in front. Only inside the child process.
"""

from engine.report.rejected import write_rejected, write_rejected_xlsx
from engine.report.rows import (
    FORMULA,
    spreadsheet_safe,
    write_invalid_cells,
    write_parquet,
    write_valid,
)
from engine.report.summary import report

__all__ = [
    "FORMULA",
    "report",
    "spreadsheet_safe",
    "write_invalid_cells",
    "write_parquet",
    "write_rejected",
    "write_rejected_xlsx",
    "write_valid",
]
