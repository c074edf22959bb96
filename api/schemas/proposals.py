"""What waits for a person, as the API shows it: questions, actions, their tried effects."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.bodies import Instant, Resource
from engine.model import ProposalRecord
from engine.proposal import Effect, Option, Preview, Question, Repair

RunId = Annotated[str, Field(examples=["run_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]


class EffectBody(Resource):
    """What a change did when it was tried on the run's own rows."""

    fixed: int
    broken: int
    changed: int
    valid_before: int
    valid_after: int
    samples: list[dict[str, Any]] = Field(description="row_number, raw, before, after")


class FirstRowsBody(Resource):
    """The first rows of a file under one way to read it."""

    columns: list[str]
    rows: list[list[str]]


class OptionBody(Resource):
    """One answer to a question."""

    id: str
    label: str
    changes: list[dict[str, Any]]
    effect: EffectBody | None
    preview: FirstRowsBody | None = Field(description="Where the question is how to read a file")


class TargetBody(Resource):
    """What a question is about."""

    sheet: str
    field: str | None
    column: str | None
    affected_count: int
    sample_values: list[str]
    error: str


class QuestionBody(Resource):
    """A question in plain language."""

    id: str
    prompt: str
    context: str
    target: TargetBody
    relevant_columns: list[str]
    options: list[OptionBody]
    recommended: str | None
    allow_custom: bool
    custom_hint: str


class ActionBody(Resource):
    """Changes that belong together, why, and what they did when tried."""

    id: str
    kind: str
    sheet: str
    field: str | None
    summary: str
    evidence: str
    confidence: float
    by: str
    changes: list[dict[str, Any]]
    effect: EffectBody | None


class PatchBody(Resource):
    """What is applied when the proposal is accepted as it is."""

    summary: str
    actions: list[ActionBody]


class ProposalBody(Resource):
    """A plan revision that waits for a decision; decide with `If-Match: "<etag>"`."""

    object: Literal["proposal"] = "proposal"
    id: str = Field(examples=["prop_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    run_id: RunId
    plan_id: str
    plan_version: int
    plan_digest: str
    etag: str
    blocking: bool
    open: bool
    questions: list[QuestionBody]
    proposed_patch: PatchBody
    decision: str | None
    decided_by: str | None
    decided_at: Instant | None
    made_version: int | None
    created_at: Instant


def proposal_body(record: ProposalRecord) -> ProposalBody:
    """The proposal as the API shows it."""
    proposal, decision = record.proposal, record.decision
    return ProposalBody(
        id=record.id,
        run_id=record.run,
        plan_id=record.plan,
        plan_version=record.plan_version,
        plan_digest=proposal.plan_digest,
        etag=proposal.etag,
        blocking=record.blocking,
        open=record.open,
        questions=[_question(each) for each in proposal.questions],
        proposed_patch=PatchBody(
            summary=proposal.summary, actions=[_action(each) for each in proposal.repairs]
        ),
        decision=str(decision.verdict) if decision else None,
        decided_by=decision.actor if decision else None,
        decided_at=record.decided_at,
        made_version=record.made_version,
        created_at=record.created_at,
    )


def _question(question: Question) -> QuestionBody:
    target = question.target
    return QuestionBody(
        id=question.id,
        prompt=question.prompt,
        context=question.context,
        target=TargetBody(
            sheet=target.sheet,
            field=target.field,
            column=target.column,
            affected_count=target.affected,
            sample_values=list(target.samples),
            error=target.error,
        ),
        relevant_columns=[target.column] if target.column else [],
        options=[_option(each) for each in question.options],
        recommended=question.recommended,
        allow_custom=question.allow_custom,
        custom_hint=question.custom_hint,
    )


def _option(option: Option) -> OptionBody:
    return OptionBody(
        id=option.id,
        label=option.label,
        changes=[each.model_dump(mode="json", exclude_defaults=True) for each in option.changes],
        effect=_effect(option.effect),
        preview=_first_rows(option.preview),
    )


def _first_rows(preview: Preview | None) -> FirstRowsBody | None:
    if preview is None:
        return None
    return FirstRowsBody(columns=list(preview.columns), rows=[list(row) for row in preview.rows])


def _action(repair: Repair) -> ActionBody:
    return ActionBody(
        id=repair.id,
        kind=str(repair.kind),
        sheet=repair.sheet,
        field=repair.field,
        summary=repair.summary,
        evidence=repair.evidence,
        confidence=repair.confidence,
        by=repair.by,
        changes=[each.model_dump(mode="json", exclude_defaults=True) for each in repair.changes],
        effect=_effect(repair.effect),
    )


def _effect(effect: Effect | None) -> EffectBody | None:
    if effect is None:
        return None
    return EffectBody(
        fixed=effect.fixed,
        broken=effect.broken,
        changed=effect.changed,
        valid_before=effect.valid_before,
        valid_after=effect.valid_after,
        samples=[
            {"row_number": row, "raw": raw, "before": before, "after": after}
            for row, raw, before, after in effect.samples
        ],
    )
