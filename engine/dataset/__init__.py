"""A company's rows of one template, kept over imports as a Delta Lake table on disk or in S3."""

from engine.dataset.housekeeping import Tidied, erase, stored_values, tidy
from engine.dataset.table import (
    READABLE,
    Column,
    Commit,
    Counts,
    Kind,
    Location,
    columns,
    exists,
    history,
)
from engine.dataset.undo import Kept, Undone, undo
from engine.dataset.upsert import Exclusion, Mode, upsert

__all__ = [
    "READABLE",
    "Column",
    "Commit",
    "Counts",
    "Exclusion",
    "Kept",
    "Kind",
    "Location",
    "Mode",
    "Tidied",
    "Undone",
    "columns",
    "erase",
    "exists",
    "history",
    "stored_values",
    "tidy",
    "undo",
    "upsert",
]
