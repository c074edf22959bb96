"""Which incoming column feeds which field in this run, and why."""

from dataclasses import dataclass
from enum import StrEnum

from engine.intake.source import Staged
from engine.profile import Profile


class Pass(StrEnum):
    """How a column was found, cheapest first."""

    REMEMBERED = "remembered"  #: this shape was bound before
    GIVEN = "given"  #: the call said so
    EXACT = "exact"  #: the header, letter by letter
    NORMALISED = "normalised"  #: the header without case, accents and punctuation
    ALIAS = "alias"  #: an alias of the plan or a synonym of the field
    FUZZY = "fuzzy"  #: a header close enough, and nobody closer
    VALUES = "values"  #: the values fit this field and no other
    MODEL = "model"  #: the LLM chose it and the trial agreed
    HUMAN = "human"  #: a person said so


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """One field of the sheet and the columns (indexes) that feed it."""

    field: str
    columns: tuple[int, ...]
    by: Pass
    score: float  #: 0..1, calibrated where it is not a certainty
    evidence: str  #: one plain sentence
    runner_up: tuple[int, float] | None = None  #: next best column and its score


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """Every mapping of a sheet against one staged table."""

    sheet: str
    bounds: tuple[Bound, ...]
    missing: tuple[str, ...]  #: fields with a mapping whose columns are not there
    extra: tuple[int, ...]  #: columns that no field uses
    candidates: tuple[
        Bound, ...
    ] = ()  #: for missing fields: likely columns, best first, to be asked

    def columns(self, field: str) -> tuple[int, ...] | None:
        """The columns that feed this field; None when it is not bound."""
        return next((each.columns for each in self.bounds if each.field == field), None)

    def bound(self, field: str) -> Bound | None:
        """How this field is bound; None when it is not."""
        return next((each for each in self.bounds if each.field == field), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundTable:
    """A staged table bound to one sheet of the plan; `binding.sheet` names it."""

    table: int
    staged: Staged
    profile: Profile
    binding: Binding
