"""A run's way, in the order of the lines: read, match, bind, compile, execute, repair, ask.

Everything that touches customer bytes happens in a sandbox child; this module only passes frozen
values on. No step reaches back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine import sandbox
from engine.binding import Memory, bind, match
from engine.binding.score import Model
from engine.compiler.program import Stored
from engine.drift import Drift, DriftCode, drifts, unchecked
from engine.errors import CompileError
from engine.execute import Job, execute
from engine.mapping import Adviser, Suggested, suggest
from engine.outcome import Outcome
from engine.policy import Policy, WhenInvalid
from engine.proposal import Decision, Proposal, Question, Repair
from engine.questions import decide, decides, file_questions, heals, propose, proposed, settled
from engine.readings import contradicted, reading_questions
from engine.repair import BoundTable, repairs
from engine.tables import Box, Tables
from engine.trial import jobs_of, tried, undominated
from plans.changes import apply
from plans.plan import ExtraColumns
from plans.versions import PlanVersion, next_version

T = TypeVar("T")
Judge = Callable[..., tuple[Repair, ...]]

#: A heal can uncover another one (a renamed column whose dates changed too); more rounds never did.
ROUNDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the call asks beside the plan. `mapping`: field to header or 0-based column."""

    policy: Policy = field(default_factory=Policy)
    mapping: dict[str, str | int] = field(default_factory=dict)
    stored: Stored = ()  #: what the company's sheets hold already


class Status(StrEnum):
    """Where an attempt ended."""

    COMPLETED = "completed"
    NEEDS_ATTENTION = "needs_attention"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetInput:
    """One table feeding one sheet: how it was bound and what drifted."""

    bound: BoundTable
    drifts: tuple[Drift, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One try of a plan version. `version` holds the heals, so its number may be unpublished."""

    status: Status
    reason: str | None
    inputs: tuple[SheetInput, ...]
    unused: tuple[int, ...]  #: tables no sheet wants
    healed: tuple[Repair, ...]
    approved: tuple[Repair, ...]  #: what the policy, not a person, accepted
    version: PlanVersion
    outcome: Outcome
    proposal: Proposal | None
    advice: Suggested | None = None  #: what a model was asked and said; None when none was asked
    unchecked: tuple[Drift, ...] = ()  #: references without a row to hold them against

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """Every drift of every table."""
        return (*(drift for each in self.inputs for drift in each.drifts), *self.unchecked)


def attempt(
    version: PlanVersion,
    tables: Tables,
    *,
    box: Box,
    request: Request | None = None,
    memory: Memory = (),
    seen: Proposal | None = None,
    adviser: Adviser | None = None,
    weights: Model | None = None,
) -> Attempt:
    """Try a plan version on staged tables: heal what the data proves, ask about the rest.

    `seen` is the proposal a person decided on: what it showed is not asked again. `weights`: how
    columns are matched, the shipped ones unless told otherwise.
    """
    request = request or Request()
    healed: tuple[Repair, ...] = ()
    approved: tuple[Repair, ...] = ()
    jobs: tuple[Job, ...] = ()
    for number in range(ROUNDS + 1):
        inputs = bound_inputs(version, tables, request, memory, weights)
        asked = reading_questions(version, [each.bound for each in inputs], seen)
        compiled = jobs_of(version, [each.bound for each in inputs], stored=request.stored)
        before, jobs = jobs, tuple(compiled.values())
        # A heal that only names what was bound already compiles to the same programs.
        if jobs != before:
            folder = box.folder / f"out-{number}"
            outcome = box.watched(partial(_execute, folder=folder, threads=box.threads), jobs)
        if asked:
            return _unsure(version, tables, inputs, outcome, asked, request.policy)
        level = request.policy.auto_approve
        judge = partial(
            tried,
            valid=outcome.accounting.valid,
            folder=box.folder / "trial",
            stored=request.stored,
            weights=weights,
        )
        work = partial(_repairs, judge=judge, level=level, last=number == ROUNDS)
        found = box.call(work, version, [each.bound for each in inputs], outcome)
        safe, allowed = heals(found), heals(found, auto_approve=level)
        if not allowed or number == ROUNDS:
            break
        healed += safe
        approved += tuple(each for each in allowed if each not in safe)
        version = _revised(version, allowed)
    strange = _strange(inputs, request.policy, seen)
    advice = None
    if not strange:
        advice = _advice(version, inputs, outcome, found, adviser, judge, box, weights)
    if advice:
        found = undominated({each.id: each for each in (*found, *advice.repairs)}.values())
    open_drifts = _open_drifts(version, inputs)
    status, reason = _judge(request.policy, outcome, open_drifts, seen)
    waits = status is Status.NEEDS_ATTENTION
    return Attempt(
        status=status,
        reason=strange[0].target.error if strange else reason,
        inputs=inputs,
        unused=_unused(tables, inputs),
        healed=healed,
        approved=approved,
        version=version,
        outcome=outcome,
        proposal=_proposal(version, tables, inputs, outcome, found, strange) if waits else None,
        advice=advice,
        unchecked=_unchecked(version, outcome, request.stored),
    )


def _strange(
    inputs: Sequence[SheetInput], policy: Policy, seen: Proposal | None
) -> tuple[Question, ...]:
    """Whether these are the right files at all, unless nobody is to be asked."""
    if policy.when_invalid is WhenInvalid.TAKE_VALID:
        return ()
    return file_questions((drift for each in inputs for drift in each.drifts), seen)


def _unsure(
    version: PlanVersion,
    tables: Tables,
    inputs: tuple[SheetInput, ...],
    outcome: Outcome,
    asked: tuple[Question, ...],
    policy: Policy,
) -> Attempt:
    """Nothing counts before somebody says how the files are meant, whatever else is wrong."""
    waits = policy.when_invalid is not WhenInvalid.FAIL
    return Attempt(
        status=Status.NEEDS_ATTENTION if waits else Status.FAILED,
        reason=f"unsure: {asked[0].prompt}",
        inputs=inputs,
        unused=_unused(tables, inputs),
        healed=(),
        approved=(),
        version=version,
        outcome=outcome,
        proposal=proposed(version, asked, inputs=_digests(tables)) if waits else None,
    )


def _unchecked(version: PlanVersion, outcome: Outcome, stored: Stored) -> tuple[Drift, ...]:
    """References to rows that came neither now nor before."""
    came = {sheet.template for sheet in outcome.sheets}
    held = {(want.template, want.fields) for want, _ in stored}
    found: list[Drift] = []
    for sheet in outcome.sheets:
        filled = {each.field: each.filled for each in sheet.coverage}
        for each in version.template(sheet.template).fields:
            at, values = each.references, filled.get(each.name)
            if at and values and at.template not in came and (at.template, (at.field,)) not in held:
                found.append(unchecked(sheet.sheet, each.name, at, values=values))
    return tuple(found)


def _unused(tables: Tables, inputs: Sequence[SheetInput]) -> tuple[int, ...]:
    used = {each.bound.table for each in inputs}
    return tuple(n for n in range(len(tables.staged)) if n not in used)


def revise(version: PlanVersion, proposal: Proposal, decision: Decision) -> PlanVersion:
    """The next version after a decision; the same one when nothing in the plan changes."""
    changes = decide(proposal, decision, version)
    if not changes:
        return version
    plan = apply(version.plan, *changes)
    reason = decision.reason or proposal.summary
    return next_version(version, plan, author=decision.actor, reason=reason)


def bound_inputs(
    version: PlanVersion,
    tables: Tables,
    request: Request,
    memory: Memory = (),
    weights: Model | None = None,
) -> tuple[SheetInput, ...]:
    """Which table feeds which sheet, every column bound, every drift told."""
    pairs = tuple((place.sheet, table) for table, place in enumerate(tables.places)) or match(
        tables.staged, version.plan, version.templates, profiles=tables.profiles
    )
    if gone := {name for name, _ in pairs} - {sheet.name for sheet in version.plan.sheets}:
        raise CompileError(f"plan {version.plan.plan!r} has no sheet {min(gone)!r} any more")
    if not pairs:
        raise CompileError(
            f"no file fits a sheet of plan {version.plan.plan!r}: look at `reknit check`, then "
            "name the file as the plan's `files` say or give the columns by `mapping`"
        )
    return tuple(
        _input(version, tables, sheet, table, request, memory, weights) for sheet, table in pairs
    )


def _input(
    version: PlanVersion,
    tables: Tables,
    name: str,
    table: int,
    request: Request,
    memory: Memory,
    weights: Model | None,
) -> SheetInput:
    sheet, staged, seen = version.plan.sheet(name), tables.staged[table], tables.profiles[table]
    template = version.template(sheet.template)
    fields = {each.name for each in template.fields}
    given = {field: column for field, column in request.mapping.items() if field in fields}
    binding = bind(
        sheet, template, staged.source, seen, memory=memory, given=given, weights=weights
    )
    return SheetInput(
        bound=BoundTable(table=table, staged=staged, profile=seen, binding=binding),
        drifts=(
            *drifts(sheet, staged.source, binding),
            *contradicted(sheet, staged.source, tables.earlier),
        ),
    )


def _repairs(
    version: PlanVersion,
    tables: Sequence[BoundTable],
    outcome: Outcome,
    *,
    judge: Judge,
    level: float | None,
    last: bool,
) -> tuple[Repair, ...]:
    """What could be done about invalid cells and missing columns, tried on the rows; in the child.

    Before the last round only what heals, if anything does: the others are tried on what it heals.
    """
    found = repairs(version, tables, outcome)
    first = [each for each in found if decides(each, auto_approve=level)]
    told = judge(version, tables, first)
    if last or not heals(told, auto_approve=level):
        told += judge(version, tables, [each for each in found if each not in first])
    places = {each.id: at for at, each in enumerate(found)}
    return tuple(sorted(told, key=lambda each: places[each.id]))


def _advice(
    version: PlanVersion,
    inputs: Sequence[SheetInput],
    outcome: Outcome,
    found: Sequence[Repair],
    adviser: Adviser | None,
    judge: Judge,
    box: Box,
    weights: Model | None,
) -> Suggested | None:
    """A model's word on what is still open, as repairs tried like any other."""
    if adviser is None:
        return None
    bound = tuple(each.bound for each in inputs)
    said = suggest(
        version,
        bound,
        outcome,
        models=adviser.models,
        mode=adviser.mode,
        budget=adviser.budget,
        purse=adviser.purse,
        known=found,
        weights=weights,
    )
    if not said.repairs:
        return said
    return replace(said, repairs=box.call(judge, version, bound, said.repairs))


def _revised(version: PlanVersion, made: Sequence[Repair]) -> PlanVersion:
    plan = apply(version.plan, *(change for repair in made for change in repair.changes))
    reason = "; ".join(repair.summary for repair in made)
    return next_version(version, plan, author="reknit", reason=reason)


def _judge(
    policy: Policy,
    outcome: Outcome,
    open_drifts: Sequence[Drift],
    seen: Proposal | None,
) -> tuple[Status, str | None]:
    """Where the attempt ends, by what is left over and what the policy says."""
    fine = not outcome.stopped and not open_drifts and policy.tolerates(outcome.accounting)
    if fine or (seen is not None and settled(seen, outcome, open_drifts)):
        return Status.COMPLETED, None
    invalid = outcome.accounting.invalid
    reason = outcome.stopped or f"{invalid} of {outcome.accounting.read} rows are invalid"
    if policy.when_invalid is WhenInvalid.PAUSE:
        return Status.NEEDS_ATTENTION, reason
    if policy.when_invalid is WhenInvalid.FAIL or outcome.stopped:
        return Status.FAILED, reason
    return Status.COMPLETED, None


def _open_drifts(version: PlanVersion, inputs: Sequence[SheetInput]) -> tuple[Drift, ...]:
    """Drifts that lose data when nobody looks: a mapped column is gone, or extras are refused."""

    def blocks(drift: Drift) -> bool:
        if drift.code is DriftCode.EXTRA:
            return version.plan.sheet(drift.sheet).extra_columns is ExtraColumns.REJECT
        return drift.code is DriftCode.MISSING and drift.used

    return tuple(drift for each in inputs for drift in each.drifts if blocks(drift))


def _proposal(
    version: PlanVersion,
    tables: Tables,
    inputs: Sequence[SheetInput],
    outcome: Outcome,
    found: Sequence[Repair],
    strange: tuple[Question, ...],
) -> Proposal:
    """Of a file that is perhaps the wrong one nothing else is asked yet."""
    if strange:
        told = strange[0].target.error
        return proposed(version, strange, inputs=_digests(tables), summary=told)
    seen = tuple(drift for each in inputs for drift in each.drifts)
    return propose(version, outcome, found, inputs=_digests(tables), drifts=seen)


def _digests(tables: Tables) -> tuple[str, ...]:
    return tuple(sorted({each.source.digest for each in tables.staged}))


def _execute(
    jobs: Sequence[Job],
    *,
    folder: Path,
    threads: int,
    progress: Callable[[sandbox.Progress], None] | None = None,
) -> Outcome:
    folder.mkdir(parents=True, exist_ok=True)

    def report(done: int, total: int) -> None:
        if progress:
            progress(sandbox.Progress(phase="checking rows", done=done, total=total))

    return execute(jobs, folder=folder, threads=threads, progress=report)
