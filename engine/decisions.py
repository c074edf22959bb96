"""What a decision does to a run and its plan, inside one transaction of the caller."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from engine.errors import AlreadyDecided, Conflict, ProposalChanged
from engine.model import (
    FailureCode,
    PlanVersionRecord,
    ProposalRecord,
    Run,
    RunStatus,
    Width,
)
from engine.policy import Policy, WhenInvalid
from engine.proposal import Decision, Proposal, Verdict, meant
from engine.store import events, line, plans, proposals, runs
from plans.versions import PlanVersion

#: Makes the version a decision leads to; the same one when nothing in the plan changes.
Revise = Callable[[PlanVersion, Proposal, Decision], PlanVersion]
Enqueue = Callable[[sa.Connection, Run, float], None]


def decide(
    c: sa.Connection,
    partner: str,
    run: str,
    *,
    decision: Decision,
    width: Width,
    revise: Revise,
    enqueue: Enqueue,
) -> Run:
    """Apply a decision to exactly the proposal that was seen; the run goes on, or ends."""
    there = runs.lock(c, partner, run)
    shown = _shown(proposals.of_run(c, partner, run), decision)
    decision = meant(shown.proposal, decision)
    if shown.blocking and there.status is not RunStatus.NEEDS_ATTENTION:
        raise Conflict(f"run {run} is {there.status} and waits for no decision")
    made = None
    if decision.verdict in (Verdict.ACCEPT, Verdict.ANSWER):
        revised = revise(shown.version, shown.proposal, decision)
        made = adopt(c, there, revised, author=decision.actor, reason=decision.reason, width=width)
    number = made.number if made else None
    proposals.decide(c, partner, shown.id, decision=decision, made_version=number)
    events.append(
        c, partner, run, "run.decided", actor=decision.actor,
        data={
            "proposal": shown.id, "etag": decision.etag, "verdict": decision.verdict,
            "plan": made.plan if made else None, "plan_version": number, "scope": width,
        },
    )  # fmt: skip
    return _go_on(c, there, shown, decision, made, enqueue)


def adopt(
    c: sa.Connection, run: Run, revised: PlanVersion, *, author: str, reason: str, width: Width
) -> PlanVersionRecord:
    """The stored version of a revision, published for the company or for the whole source.

    Conflict when the source's plan moved on since the run began; a company's own plan cannot.
    """
    used = plans.version(c, run.partner, run.plan, number=run.plan_version)
    if revised.plan == used.version.plan:
        return used
    lineage = plans.get(c, run.partner, run.plan)
    if width is Width.SOURCE and lineage.company is not None:
        raise Conflict("this company has a plan of its own; revise the source's plan by itself")
    if width is Width.COMPANY and lineage.company is None:
        lineage = plans.fork(c, run.partner, run.plan, company=run.company, number=run.plan_version)
    kept = plans.revise(
        c, run.partner, lineage.id, revised.plan,
        parent=run.plan_version if lineage.id == run.plan else 1,
        author=author, reason=reason, run=run.id,
    )  # fmt: skip
    plans.publish(c, run.partner, lineage.id, kept.number, actor=author, reason=reason)
    return kept


def _shown(made: list[ProposalRecord], decision: Decision) -> ProposalRecord:
    """The proposal with the decision's etag, if it is still open."""
    seen = [each for each in made if each.proposal.etag == decision.etag]
    if any(each.open for each in seen):
        return next(each for each in seen if each.open)
    if seen:
        raise AlreadyDecided("this proposal is decided already")
    raise ProposalChanged("the run has no proposal with this etag; read the present one")


def _go_on(
    c: sa.Connection,
    run: Run,
    shown: ProposalRecord,
    decision: Decision,
    made: PlanVersionRecord | None,
    enqueue: Enqueue,
) -> Run:
    if not shown.blocking:
        return runs.get(c, run.partner, run.id)
    waits = (RunStatus.NEEDS_ATTENTION,)
    if decision.verdict is Verdict.REJECT:
        failed = runs.move(
            c, run.partner, run.id, RunStatus.FAILED, actor=decision.actor, since=waits,
            error_code=FailureCode.REJECTED,
            error_message=decision.reason or "the proposed revision was rejected",
        )  # fmt: skip
        return line.pass_on(c, failed, enqueue)
    policy = run.policy
    if decision.verdict is Verdict.TAKE_VALID:
        policy = Policy.model_validate({**dict(policy), "when_invalid": WhenInvalid.TAKE_VALID})
    changes: dict[str, Any] = {
        "policy": policy.model_dump(mode="json", exclude_defaults=True),
        "tries": 0,
    }
    if made is not None:
        changes |= plans.in_use(made)
    queued = runs.requeue(c, run, actor=decision.actor, since=waits, **changes)
    enqueue(c, queued, 0)
    return queued
