"""Why a document cannot be used.

* PlanError
  x PlanInvalid       the text is not a valid document; every problem has a path and a line
  x ChangeConflict    a change does not fit the plan it is applied to
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing wrong with a document: where (path, 1-based line and column if known) and what."""

    path: str
    message: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}, " if self.line else ""
        return f"{place}{self.path or 'document'}: {self.message}"


class PlanError(Exception):
    """Something is wrong with a plan or a template."""


class PlanInvalid(PlanError):
    """The text is not a valid document."""

    def __init__(self, name: str, problems: tuple[Problem, ...]) -> None:
        self.name = name
        self.problems = problems
        super().__init__(f"{name} is not valid:\n" + "\n".join(f"  {each}" for each in problems))

    def __reduce__(self) -> tuple[type["PlanInvalid"], tuple[str, tuple[Problem, ...]]]:
        # By itself an exception is made anew from its message alone.
        return PlanInvalid, (self.name, self.problems)


class ChangeConflict(PlanError):
    """The change does not fit this plan."""
