"""The review page: what waits for a person, and the decision on exactly what was shown."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData

from api.console.guard import Visit, Who, go, needs
from api.console.shown import (
    Names,
    exchange_rows,
    headers_of,
    plan_diff,
    question_row,
    repair_row,
    run_row,
)
from api.console.views import ReviewPage
from api.deps import note, run_of
from api.errors import ApiError, Code
from api.routes.runs import report_of
from engine.errors import Conflict
from engine.model import ProposalRecord, Run, Scope, Width
from engine.proposal import Decision, Proposal, Verdict
from engine.store import plans, proposals
from plans.changes import Change

router = APIRouter(dependencies=[needs(Scope.COMPANIES_READ)])

#: A radio button's value that means the text beside it.
OWN = "own:"


# A coroutine, because only one can read a form whose fields nobody knows beforehand.
async def form(request: Request) -> FormData:
    """The form of this request."""
    return await request.form()


Fields = Annotated[FormData, Depends(form)]


@router.get("/runs/{run_id}/review")
def review(run_id: str, who: Who) -> Response:
    """The open proposal of a run; once it is decided, the run itself."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        record = proposals.open_of(c, who.by.partner, run.id)
        if record is None:
            return go(f"/console/runs/{run.id}")
        names = Names(c=c, partner=who.by.partner)
        source = names.source(plans.get(c, who.by.partner, record.plan).source)
        page = _page(names, who, run, record, source=source)
        return who.page(c, "review.html", "runs", page=page)


def _page(
    names: Names,
    who: Visit,
    run: Run,
    record: ProposalRecord,
    *,
    source: str,
) -> ReviewPage:
    proposal, version = record.proposal, record.version
    headers, gains = headers_of(names.c, run), gained(proposal)
    return ReviewPage(
        run=run_row(names, run),
        proposal=record.id,
        etag=proposal.etag,
        summary=proposal.summary,
        repairs=tuple(repair_row(each, version=version) for each in proposal.repairs),
        questions=tuple(
            question_row(each, version=version, headers=headers) for each in proposal.questions
        ),
        changes=plan_diff(version, _as_proposed(proposal)),
        valid_after=min(run.counts.valid + sum(gains), run.counts.read),
        parts=len(gains),
        source=source,
        can_decide=who.may(Scope.IMPORTS_APPROVE),
        can_widen=who.may(Scope.PLANS_APPROVE),
        exchanges=exchange_rows(report_of(who.here, run)),
    )


@router.post("/runs/{run_id}/decision", dependencies=[needs(Scope.IMPORTS_APPROVE)])
def decide(run_id: str, fields: Fields, who: Who) -> Response:
    """Decide on the proposal whose ETag the form carries; the run goes on at once."""
    width = Width(str(fields.get("scope", Width.COMPANY)))
    if width is Width.SOURCE:
        who.needs(Scope.PLANS_APPROVE)
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        record = seen(run, proposals.of_run(c, who.by.partner, run.id), fields)
    decision = decision_of(record.proposal, fields, actor=who.by.actor)
    who.here.work.decide(who.by.partner, run.id, decision, width=width)
    with who.here.database.begin() as c:
        told = {"decision": decision.verdict, "scope": width, "reason": decision.reason}
        note(c, who.by, "run.decided", run.id, **told)
    return go(f"/console/runs/{run.id}")


def decision_of(proposal: Proposal, fields: FormData, *, actor: str) -> Decision:
    """What a person chose in a review form; an untouched question counts as its recommendation."""
    verdict = Verdict(str(fields.get("verdict", "accept")))
    taken = set(fields.getlist("with"))
    answers = {each.id: _answer(fields, each.id) for each in proposal.questions}
    given = {id: answer for id, answer in answers.items() if answer}
    rejected = verdict in (Verdict.REJECT, Verdict.TAKE_VALID)
    return Decision(
        etag=str(fields.get("etag", "")),
        verdict=verdict,
        answers={} if rejected else given,
        without=()
        if rejected
        else tuple(each.id for each in proposal.repairs if each.id not in taken),
        actor=actor,
        reason=str(fields.get("reason", ""))[:500],
    )


def gained(proposal: Proposal) -> list[int]:
    """Rows that became valid in the trial of each part that is accepted as proposed."""
    chosen = [
        option.effect
        for question in proposal.questions
        for option in question.options
        if option.id == question.recommended
    ]
    effects = [*(each.effect for each in proposal.repairs), *chosen]
    gains = (each.valid_after - each.valid_before for each in effects if each)
    return [each for each in gains if each]


def _as_proposed(proposal: Proposal) -> list[Change]:
    changes = [change for repair in proposal.repairs for change in repair.changes]
    for question in proposal.questions:
        for option in question.options:
            if option.id == question.recommended:
                changes += option.changes
    return changes


def _answer(fields: FormData, question: str) -> str:
    chosen = str(fields.get(f"answer:{question}", ""))
    return str(fields.get(f"own:{question}", "")).strip() if chosen == OWN else chosen


def seen(run: Run, there: list[ProposalRecord], fields: FormData) -> ProposalRecord:
    """The proposal the form was made from, if it is still the one the run waits for."""
    record = next((each for each in there if each.id == fields.get("proposal")), None)
    if record is None or record.id != run.proposal:
        raise ApiError(
            code=Code.PROPOSAL_CHANGED,
            detail="this is not the proposal you saw; look at the present one and decide again",
        )
    if not record.open:
        raise Conflict("somebody decided this proposal meanwhile")
    return record
