"""Proposals as they were shown, and the one decision on each."""

from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter

from engine.errors import AlreadyDecided, NotFound, ProposalChanged
from engine.ids import Kind, new_id, utcnow
from engine.model import ProposalRecord, Run
from engine.proposal import Decision, Proposal
from engine.store.database import insert
from engine.store.tables import decisions, proposals
from plans.versions import PlanVersion, canonical

_PROPOSAL = TypeAdapter(Proposal)
_DECISION = TypeAdapter(Decision)
_BOTH = sa.select(
    proposals,
    decisions.c.document.label("decision"),
    decisions.c.decided_at,
    decisions.c.made_version,
).outerjoin(
    decisions,
    sa.and_(decisions.c.proposal == proposals.c.id, decisions.c.partner == proposals.c.partner),
)


def add(
    c: sa.Connection,
    partner: str,
    *,
    run: Run,
    proposal: Proposal,
    version: PlanVersion,
    blocking: bool,
) -> ProposalRecord:
    """Keep what a person will see and the version it revises; `blocking`: the run waits for it."""
    values = {
        "id": new_id(Kind.PROPOSAL),
        "partner": partner,
        "company": run.company,
        "run": run.id,
        "plan": run.plan,
        "plan_version": run.plan_version,
        "turn": run.turn,
        "blocking": blocking,
        "etag": proposal.etag,
        "document": _PROPOSAL.dump_json(proposal).decode(),
        "version": canonical(version),
        "created_at": utcnow(),
    }
    c.execute(sa.insert(proposals).values(values))
    return get(c, partner, str(values["id"]))


def get(c: sa.Connection, partner: str, proposal: str) -> ProposalRecord:
    """That proposal of the partner, with its decision."""
    query = _BOTH.where(proposals.c.partner == partner, proposals.c.id == proposal)
    row = c.execute(query).first()
    if row is None:
        raise NotFound(f"there is no proposal {proposal}")
    return _record(row)


def of_run(c: sa.Connection, partner: str, run: str) -> list[ProposalRecord]:
    """Every proposal of a run, newest first."""
    query = _BOTH.where(proposals.c.partner == partner, proposals.c.run == run)
    return [_record(row) for row in c.execute(query.order_by(proposals.c.id.desc()))]


def open_of(c: sa.Connection, partner: str, run: str) -> ProposalRecord | None:
    """The proposal the run waits for."""
    return next((each for each in of_run(c, partner, run) if each.blocking and each.open), None)


def decide(
    c: sa.Connection,
    partner: str,
    proposal: str,
    *,
    decision: Decision,
    made_version: int | None = None,
) -> ProposalRecord:
    """Keep the decision on exactly the proposal that was seen; the first one wins."""
    there = get(c, partner, proposal)
    if there.proposal.etag != decision.etag:
        raise ProposalChanged("the decision is about another proposal; read the present one")
    values = {
        "proposal": proposal,
        "partner": partner,
        "document": _DECISION.dump_json(decision).decode(),
        "made_version": made_version,
        "decided_at": utcnow(),
    }
    statement = insert(c, decisions).values(values).on_conflict_do_nothing()
    if c.execute(statement.returning(decisions.c.proposal)).first() is None:
        raise AlreadyDecided("this proposal is decided already")
    return get(c, partner, proposal)


def _record(row: sa.Row[Any]) -> ProposalRecord:
    values = {
        name: getattr(row, name)
        for name in ProposalRecord.__dataclass_fields__
        if name not in ("proposal", "decision", "version")
    }
    return ProposalRecord(
        **values,
        proposal=_PROPOSAL.validate_json(row.document),
        version=PlanVersion.model_validate_json(row.version),
        decision=None if row.decision is None else _DECISION.validate_json(row.decision),
    )
