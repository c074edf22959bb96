"""Runs: poll, list, follow, decide, cancel."""

import json
from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Any, Literal

import sqlalchemy
from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from api.answers import Pages, accepted, shown
from api.auth import Caller
from api.deps import By, Here, Services, company_of, import_of, run_of
from api.errors import ApiError, Code
from api.once import OnlyOnce
from api.operations import op
from api.schemas.bodies import Page, UrlCount
from api.schemas.imports import DecisionBody
from api.schemas.proposals import ProposalBody, proposal_body
from api.schemas.runs import EventBody, RunBody, event_body, run_body
from api.schemas.webhooks import EventType
from api.waiting import Prefer, told, waited, wished
from engine import decisions
from engine.errors import NotFound
from engine.model import ENDED, Run, RunKind, RunStatus, Scope, Width
from engine.pipeline import revise
from engine.proposal import Decision, Verdict
from engine.replays import standing
from engine.store import events, line, proposals, runs

router = APIRouter(tags=["runs"])

READ, WRITE, APPROVE = Scope.COMPANIES_READ, Scope.IMPORTS_WRITE, Scope.IMPORTS_APPROVE

#: How often a stream asks whether this process is about to end.
DRAIN_SECONDS = 1.0
#: A stream goes no longer, so that a revoked key does not listen for ever; clients take it up again.
STREAM_SECONDS = 900.0

Expand = Annotated[
    list[Literal["report", "proposal"]],
    Query(alias="expand[]", description="Parts to show in full", max_length=2),
]


@router.get("/v1/runs", response_model=Page[RunBody], **op(READ, Code.NOT_FOUND))
def list_runs(
    here: Here,
    by: By,
    pages: Pages,
    company: Annotated[str | None, Query(max_length=60)] = None,
    plan: Annotated[str | None, Query(max_length=60)] = None,
    status: Annotated[list[RunStatus] | None, Query(max_length=6)] = None,
) -> Response:
    """Runs of all companies, newest first."""
    with here.database.begin() as c:
        return _listed(c, by, pages, company=company, plan=plan, status=status or [])


@router.get(
    "/v1/companies/{company_id}/imports", response_model=Page[RunBody], **op(READ, Code.NOT_FOUND)
)
def list_company_imports(
    company_id: str,
    here: Here,
    by: By,
    pages: Pages,
    status: Annotated[list[RunStatus] | None, Query(max_length=6)] = None,
) -> Response:
    """A company's runs, newest first."""
    with here.database.begin() as c:
        return _listed(c, by, pages, company=company_id, plan=None, status=status or [])


@router.get("/v1/runs/{run_id}", response_model=RunBody, **op(READ, Code.NOT_FOUND))
def get_run(
    run_id: str,
    request: Request,
    here: Here,
    by: By,
    expand: Expand = [],  # noqa: B006 - the framework copies it
    prefer: Prefer = None,
) -> Response:
    """Poll a run. With `If-None-Match` an unchanged one is 304; `Prefer: wait=N` waits for its end."""
    return _polled(run_id, request, here, by, expand=expand, prefer=prefer)


@router.get(
    "/v1/companies/{company_id}/imports/{run_id}",
    response_model=RunBody,
    **op(READ, Code.NOT_FOUND),
)
def get_company_import(
    company_id: str, run_id: str, request: Request, here: Here, by: By, prefer: Prefer = None
) -> Response:
    """Poll a run by its company, report and proposal included."""
    _belongs(here, by, company_id, run_id)
    return _polled(run_id, request, here, by, expand=["report", "proposal"], prefer=prefer)


@router.get("/v1/runs/{run_id}/proposal", response_model=ProposalBody, **op(READ, Code.NOT_FOUND))
def get_proposal(run_id: str, request: Request, here: Here, by: By) -> Response:
    """The revision a run waits for, or the last one; its ETag goes into the decision's If-Match."""
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
        if run.proposal is None:
            raise NotFound(f"run {run_id} has no proposal")
        record = proposals.get(c, by.partner, run.proposal)
    return shown(request, proposal_body(record), etag=record.proposal.etag)


@router.post(
    "/v1/runs/{run_id}/decisions",
    status_code=202,
    response_model=RunBody,
    **op(
        APPROVE,
        Code.NOT_FOUND,
        Code.PRECONDITION_REQUIRED,
        Code.PROPOSAL_CHANGED,
        Code.ALREADY_DECIDED,
        Code.CONFLICT,
        Code.CHANGE_CONFLICT,
    ),
)
def decide_run(
    run_id: str,
    body: DecisionBody,
    here: Here,
    by: By,
    once: OnlyOnce,
    if_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Accept, answer or reject exactly the proposal that was seen; the run goes on."""
    if body.scope == "source" and Scope.PLANS_APPROVE not in by.key.scopes:
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS,
            detail="a revision for all companies of the source needs the scope plans:approve",
            members={"missing_scope": str(Scope.PLANS_APPROVE)},
        )

    def effect(c: sqlalchemy.Connection) -> Response:
        run_of(c, by, run_id)
        decision = Decision(
            etag=_seen(if_match, body.proposal_etag),
            verdict=Verdict(body.decision),
            answers=dict(body.answers),
            without=body.without,
            actor=by.actor,
            reason=body.reason,
        )
        run = decisions.decide(
            c,
            by.partner,
            run_id,
            decision=decision,
            width=Width(body.scope),
            revise=revise,
            enqueue=here.work.enqueue,
        )
        return accepted(run_body(run))

    data = {"decision": body.decision, "scope": body.scope, "reason": body.reason}
    return once(effect, action="run.decided", target=run_id, data=data)


@router.post(
    "/v1/companies/{company_id}/imports/{run_id}/decisions",
    status_code=202,
    response_model=RunBody,
    **op(
        APPROVE,
        Code.NOT_FOUND,
        Code.PRECONDITION_REQUIRED,
        Code.PROPOSAL_CHANGED,
        Code.ALREADY_DECIDED,
        Code.CONFLICT,
        Code.CHANGE_CONFLICT,
    ),
)
def decide_company_import(
    company_id: str,
    run_id: str,
    body: DecisionBody,
    here: Here,
    by: By,
    once: OnlyOnce,
    if_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """The same decision, by the company's path."""
    _belongs(here, by, company_id, run_id)
    return decide_run(run_id, body, here, by, once, if_match)


@router.post(
    "/v1/runs/{run_id}/cancel",
    status_code=202,
    response_model=RunBody,
    **op(WRITE, Code.NOT_FOUND, Code.CONFLICT),
)
def cancel_run(run_id: str, here: Here, by: By, once: OnlyOnce) -> Response:
    """Stop a run; nothing of it is written. One that has ended is a conflict."""

    def effect(c: sqlalchemy.Connection) -> Response:
        run_of(c, by, run_id)
        enqueue = here.work.enqueue
        run = line.cancel(c, by.partner, run_id, actor=by.actor, enqueue=enqueue)
        return accepted(run_body(run))

    return once(effect, action="run.canceled", target=run_id)


def watched(run_id: str, here: Here, by: By) -> Run:
    """The run of a stream; found before the first byte, so that a missing one is a plain 404."""
    with here.database.begin() as c:
        return run_of(c, by, run_id)


@router.get(
    "/v1/runs/{run_id}/events/list", response_model=Page[EventBody], **op(READ, Code.NOT_FOUND)
)
def list_run_events(
    here: Here,
    by: By,
    run: Annotated[Run, Depends(watched)],
    after: Annotated[UrlCount, Query(description="Only events after this sequence number")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """A run's whole history, oldest first; go on with `after` = the last sequence."""
    with here.database.begin() as c:
        found = events.of_run(c, by.partner, run.id, after=after, limit=limit + 1)
    more = len(found) > limit
    page = Page[EventBody](
        data=[event_body(each) for each in found[:limit]], next_cursor=None, has_more=more
    )
    return Response(page.model_dump_json(), media_type="application/json")


@router.get("/v1/events", response_model=Page[EventBody], **op(READ, whole_partner=True))
def list_events(
    here: Here,
    by: By,
    pages: Pages,
    type: Annotated[list[EventType] | None, Query(max_length=50)] = None,
) -> Response:
    """What happened in all runs, newest first: to catch up without webhooks."""
    with here.database.begin() as c:
        return pages.answer(
            lambda limit, before: events.page(
                c, by.partner, limit=limit, before=before, kinds=type or ()
            ),
            event_body,
            key=lambda each: each.id,
        )


@router.get(
    "/v1/runs/{run_id}/events", response_class=EventSourceResponse, **op(READ, Code.NOT_FOUND)
)
async def stream_run_events(
    here: Here,
    by: By,
    run: Annotated[Run, Depends(watched)],
    after: Annotated[UrlCount, Query(description="Only events after this sequence number")] = 0,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,15}$")] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Follow a run as Server-Sent Events: each event once, in order, until the run has ended."""
    seen = int(last_event_id) if last_event_id else after
    yield ServerSentEvent(comment="reknit", retry=2_000)
    end = monotonic() + STREAM_SECONDS
    with here.watch.bell(run.id) as rung:
        while True:
            found, ended = await run_in_threadpool(_news, here, by, run.id, seen)
            for event in found:
                seen = event.sequence
                yield ServerSentEvent(data=event, event=event.type, id=str(event.sequence))
            if ended and not found:
                return
            while not found and not await rung(DRAIN_SECONDS):
                if here.draining.is_set() or monotonic() > end:
                    return


def _news(here: Services, by: Caller, run: str, after: int) -> tuple[list[EventBody], bool]:
    with here.database.begin() as c:
        # Asked first: what was written in between is then in the events.
        ended = runs.get(c, by.partner, run).status in ENDED
        found = events.of_run(c, by.partner, run, after=after, limit=200)
    return [event_body(each) for each in found], ended


def _listed(
    c: sqlalchemy.Connection,
    by: Caller,
    pages: Pages,
    *,
    company: str | None,
    plan: str | None,
    status: list[RunStatus],
) -> Response:
    if company is not None:
        company_of(c, by, company)
    elif by.key.companies:
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS,
            detail="this key is for single companies only: name one by `company`",
        )
    return pages.answer(
        lambda limit, before: runs.page(
            c,
            by.partner,
            limit=limit,
            before=before,
            company=company,
            status=status,
            plan=plan,
        ),
        run_body,
        key=lambda each: each.id,
    )


def _polled(
    run_id: str,
    request: Request,
    here: Services,
    by: Caller,
    *,
    expand: list[Literal["report", "proposal"]],
    prefer: str | None,
) -> Response:
    with here.database.begin() as c:
        run = run_of(c, by, run_id)
    seconds = wished(prefer)
    run, applied = waited(here, run, seconds=seconds)
    return told(shown(request, expanded(here, run, expand)), seconds, applied=applied)


def expanded(here: Services, run: Run, expand: list[Literal["report", "proposal"]]) -> RunBody:
    """The run with the parts wanted in full."""
    proposal, stands = None, None
    with here.database.begin() as c:
        if "proposal" in expand and run.proposal:
            proposal = proposals.get(c, run.partner, run.proposal)
        if run.status is RunStatus.COMPLETED and run.kind is RunKind.IMPORT and run.counts.invalid:
            stands = standing(c, run)
    report = report_of(here, run) if "report" in expand else None
    return run_body(run, proposal=proposal, report=report, standing=stands)


def report_of(here: Services, run: Run) -> dict[str, Any] | None:
    """The stored report of a run, if it has one yet."""
    if run.report is None:
        return None
    content: dict[str, Any] = json.loads(b"".join(here.files.get(run.report)))
    return content


def _belongs(here: Services, by: Caller, company_id: str, run_id: str) -> None:
    with here.database.begin() as c:
        import_of(c, by, company_id, run_id)


def _seen(if_match: str | None, in_body: str | None) -> str:
    """The ETag of the proposal that was seen: `*` would be any, and is none."""
    in_header = if_match.strip().removeprefix("W/").strip('"') if if_match is not None else None
    if in_header is None and in_body is None:
        raise ApiError(
            code=Code.PRECONDITION_REQUIRED,
            detail='say which proposal you saw: If-Match: "<etag>", or proposal_etag',
        )
    if in_header is not None and in_body not in (None, in_header):
        raise ApiError(
            code=Code.VALIDATION_ERROR, detail="If-Match and proposal_etag name two proposals"
        )
    return in_header or in_body or ""
