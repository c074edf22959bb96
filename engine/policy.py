"""What an import does when rows would fail: wait for a person, take the valid rows, or fail."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from engine.accounting import Accounting
from plans.document import Document


class WhenInvalid(StrEnum):
    """What happens when rows are invalid and nothing else settles it."""

    PAUSE = "pause"  #: the run waits at needs_attention (default)
    TAKE_VALID = "take_valid"  #: the run completes with the valid rows
    FAIL = "fail"  #: the run fails and nothing is written


class Policy(Document):
    """One import's policy. Up to the thresholds invalid rows are accepted without asking."""

    when_invalid: WhenInvalid = WhenInvalid.PAUSE
    max_invalid_rows: Annotated[int | None, Field(ge=0)] = None
    max_invalid_percent: Annotated[float | None, Field(ge=0, le=100)] = None
    auto_approve: Annotated[float | None, Field(ge=0.5, le=1)] = None

    def tolerates(self, accounting: Accounting) -> bool:
        """Whether that many invalid rows are within every threshold that is set."""
        percent = 100 * accounting.invalid / max(accounting.read, 1)
        limits = (
            (self.max_invalid_rows, accounting.invalid),
            (self.max_invalid_percent, percent),
        )
        told = [got <= limit for limit, got in limits if limit is not None]
        return accounting.invalid == 0 or (bool(told) and all(told))
