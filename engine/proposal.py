"""What waits for a person: questions, a proposed plan revision with its tried effect, and the decision."""

from dataclasses import dataclass, replace
from enum import StrEnum

from plans.changes import Change


class RepairKind(StrEnum):
    """What a repair does; everything but the first three changes what a value means."""

    REBIND = "rebind"  #: another header feeds the field
    FORMAT = "format"  #: the column's one provable way to write dates, numbers, booleans
    CLEAN = "clean"  #: white space, letter case, placeholder words, known spellings
    VALUES = "values"  #: old value to new value
    AMBIGUOUS_FORMAT = "ambiguous_format"  #: several readings fit the column
    COLUMN = "column"  #: a column for a field that has none
    POLICY = "policy"  #: what bad cells or rows do
    DEFAULT = "default"  #: a value where there is none


@dataclass(frozen=True, kw_only=True, slots=True)
class Effect:
    """What a change did when it was tried on the staged rows."""

    fixed: int  #: invalid cells that became valid
    broken: int  #: valid cells that became invalid
    changed: int  #: valid cells whose value changed
    valid_before: int  #: rows
    valid_after: int
    samples: tuple[tuple[int, str, str | None, str | None], ...] = ()  #: row, raw, before, after


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """Changes that belong together, why, and what they did. `sure` alone never applies a meaning."""

    id: str
    kind: RepairKind
    sheet: str
    field: str | None
    changes: tuple[Change, ...]
    summary: str  #: plain words
    evidence: str  #: what in the data speaks for it
    confidence: float
    by: str = "data"  #: "data", "model" or "human"
    effect: Effect | None = None

    @property
    def keeps_meaning(self) -> bool:
        """Whether it may be applied unattended when it is sure and breaks nothing."""
        return self.kind in (RepairKind.REBIND, RepairKind.FORMAT, RepairKind.CLEAN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """The first rows of a file under one way to read it."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One answer: its changes (none: leave as it is) and their tried effect."""

    id: str
    label: str
    changes: tuple[Change, ...] = ()
    effect: Effect | None = None
    preview: Preview | None = None
    ends: bool = False  #: choosing it rejects the proposal


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a question is about."""

    sheet: str
    field: str | None
    column: str | None
    affected: int  #: cells, or rows where there is no column
    samples: tuple[str, ...]
    error: str


class Custom(StrEnum):
    """What a free-text answer is."""

    VALUE = "value"  #: the value where there is none
    MEANING = "meaning"  #: the value that the sampled values stand for
    FORMAT = "format"  #: a date format
    HEADER = "header"  #: the header of the column that feeds the field


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question in plain language with the options a person has."""

    id: str
    prompt: str
    context: str
    target: Target
    options: tuple[Option, ...]
    recommended: str | None = None  #: option id
    allow_custom: bool = False
    custom_hint: str = ""
    custom: Custom | None = None

    @property
    def decisive(self) -> bool:
        """Whether an answer may end the run; then there is no going on without one."""
        return any(option.ends for option in self.options)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A revision of one exact plan version. `etag` covers everything a person sees."""

    plan_digest: str
    inputs: tuple[str, ...]  #: digests of the files
    summary: str
    repairs: tuple[Repair, ...]  #: applied when accepted as it is
    questions: tuple[Question, ...]
    etag: str


class Verdict(StrEnum):
    """What a person decided."""

    ACCEPT = "accept"
    ANSWER = "answer"
    REJECT = "reject"
    TAKE_VALID = "take_valid"  #: reject the revision, keep the valid rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """On exactly the proposal with this etag. `without`: repairs that are not taken."""

    etag: str
    verdict: Verdict
    answers: dict[str, str]  #: question id → option id, or free text where allowed
    without: tuple[str, ...] = ()
    actor: str = ""
    reason: str = ""


def meant(proposal: Proposal, decision: Decision) -> Decision:
    """The decision for what it says: an answer that ends the run is a rejection."""
    ends = {
        (question.id, option.id): question.target.error
        for question in proposal.questions
        for option in question.options
        if option.ends
    }
    said = next((ends[each] for each in decision.answers.items() if each in ends), None)
    if said is None or decision.verdict not in (Verdict.ACCEPT, Verdict.ANSWER):
        return decision
    return replace(
        decision, verdict=Verdict.REJECT, reason=decision.reason or f"{said}; upload another file"
    )
