"""A company's rows of one template, kept over imports as a Delta Lake table on disk or in S3."""

from engine.dataset.housekeeping import Tidied, erase, stored_values, tidy
from engine.dataset.matching import Exclusion
from engine.dataset.records import Column, Commit, Counts, Kind, Location
from engine.dataset.table import READABLE, columns, exists, history, size
from engine.dataset.undo import Kept, Undone, check_undo, give_up, undo
from engine.dataset.upsert import Mode, upsert

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
    "check_undo",
    "columns",
    "erase",
    "exists",
    "give_up",
    "history",
    "size",
    "stored_values",
    "tidy",
    "undo",
    "upsert",
]
