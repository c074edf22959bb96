"""What could be done about invalid cells and missing columns: candidates, none of them tried yet.

Reads whole columns of the customer's bytes for its proofs: call it in a sandbox child.
"""

from collections.abc import Callable, Sequence

from engine.binding.bound import BoundTable
from engine.outcome import Outcome
from engine.proposal import Repair
from engine.repair.case import Case, cases
from engine.repair.columns import renamed, unfed
from engine.repair.dates import dates
from engine.repair.numbers import numbers
from engine.repair.words import booleans, emptied, phones, placeholders, spaces, spellings, tidy
from plans.versions import PlanVersion

__all__ = ["PASSES", "BoundTable", "repairs"]

#: Each looks at one field that fails. Adding a pass is adding a line.
PASSES: tuple[Callable[[Case], list[Repair]], ...] = (
    placeholders, spaces, dates, numbers, booleans, spellings, tidy, phones, emptied,
)  # fmt: skip


def repairs(
    version: PlanVersion, tables: Sequence[BoundTable], outcome: Outcome
) -> tuple[Repair, ...]:
    """Candidates for every field that fails and every column that is not where it was."""
    of_columns = (*renamed(version, tables, outcome), *unfed(version, tables, outcome))
    of_values = [
        repair
        for case in cases(version, tables, outcome)
        for find in PASSES
        for repair in find(case)
    ]
    return (*of_columns, *of_values)
