"""Runs: the list, one run with its evidence, its progress as it happens, its files."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from time import monotonic
from typing import Any

import sqlalchemy
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.console.guard import HEADERS, Visit, Who, go, needs
from api.console.readings import noticed, readings_of
from api.console.shown import (
    Names,
    drift_row,
    exchange_rows,
    group_row,
    heal_row,
    moments,
    run_row,
    sheet_counts,
)
from api.console.views import RunPage, RunsPage
from api.deps import Services, note, run_of
from api.downloads import download as sent
from api.routes.runs import DRAIN_SECONDS, report_of
from engine.errors import NotFound
from engine.model import ENDED, Run, RunKind, RunStatus, Scope
from engine.replays import standing
from engine.store import events, findings, proposals, runs
from engine.store.database import transaction
from engine.store.findings import Finding

router = APIRouter(dependencies=[needs(Scope.COMPANIES_READ)])

PAGE = 50
#: So many of a run's events stand in its timeline.
TIMELINE = 200
#: After how long without news the live page is told so.
PING_SECONDS = 15.0

#: Files of a run that are not for people.
_INTERNAL = "staging/"


@router.get("/runs")
def list_runs(who: Who, status: RunStatus | None = None, before: str | None = None) -> Response:
    """Runs, newest first."""
    by = who.by
    with who.here.database.begin() as c:
        wanted = (status,) if status else ()
        only = by.key.companies or (None,)
        found = [
            run
            for company in only
            for run in runs.page(
                c, by.partner, limit=PAGE + 1, before=before, company=company, status=wanted
            )
        ]
        found = sorted(found, key=lambda each: each.id, reverse=True)
        names = Names(c=c, partner=by.partner)
        rows = tuple(run_row(names, each) for each in found[:PAGE])
        page = RunsPage(
            runs=rows,
            status=status or "",
            counts={},
            older=_older(status, rows[-1].id) if len(found) > PAGE else None,
        )
        return who.page(c, "runs.html", "runs", page=page)


@router.get("/runs/{run_id}")
def show_run(run_id: str, who: Who) -> Response:
    """Everything about one run."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        return who.page(c, "run.html", "runs", page=run_page(c, who, run))


def run_page(c: sqlalchemy.Connection, who: Visit, run: Run) -> RunPage:
    """The page's values; the report is read from the file store."""
    by = who.by
    names = Names(c=c, partner=by.partner)
    found = {
        kind: findings.of_run(c, by.partner, run.id, kind=kind)
        for kind in (Finding.DRIFT, Finding.HEAL, Finding.GROUP)
    }
    happened = events.of_run(c, by.partner, run.id, limit=TIMELINE)
    waiting = proposals.open_of(c, by.partner, run.id)
    files = runs.artifacts_of(c, by.partner, run.id)
    report = report_of(who.here, run)
    undone = runs.of_origin(c, by.partner, run.id, kind=RunKind.UNDO)
    stands = standing(c, run) if run.kind is RunKind.IMPORT else None
    readings = readings_of(c, run)
    return RunPage(
        run=run_row(names, run),
        sheets=sheet_counts(report),
        drifts=tuple(map(drift_row, found[Finding.DRIFT])),
        heals=tuple(map(heal_row, found[Finding.HEAL])),
        groups=tuple(map(group_row, found[Finding.GROUP])),
        moments=moments(names, happened),
        downloads=tuple(each for each in files if not each.name.startswith(_INTERNAL)),
        questions=len(waiting.proposal.questions) if waiting else 0,
        summary=waiting.proposal.summary if waiting else "",
        error=run.error_message,
        sequence=happened[-1].sequence if happened else 0,
        can_cancel=who.may(Scope.IMPORTS_WRITE) and not run.ended,
        exchanges=exchange_rows(report),
        kind=run.kind,
        origin=run.origin,
        undone_by=undone[0].id if undone else None,
        can_undo=_can_undo(run) and not undone and who.may(Scope.IMPORTS_WRITE),
        stored=run.rows,
        standing=stands if stands and stands.runs else None,
        readings=readings,
        noticed=noticed(readings),
    )


@router.post("/runs/{run_id}/cancel", dependencies=[needs(Scope.IMPORTS_WRITE)])
def cancel_run(run_id: str, who: Who) -> Response:
    """Stop a run; nothing of it is written."""
    with who.here.database.begin() as c:
        run_of(c, who.by, run_id)
    who.here.work.cancel(who.by.partner, run_id, actor=who.by.actor)
    with who.here.database.begin() as c:
        note(c, who.by, "run.canceled", run_id)
    return go(f"/console/runs/{run_id}")


@router.post("/runs/{run_id}/undo", dependencies=[needs(Scope.IMPORTS_WRITE)])
def undo_run(run_id: str, who: Who) -> Response:
    """Take back what a run wrote; the page of the run that does it."""
    with transaction(who.here.database, "request") as c:
        run_of(c, who.by, run_id)
        made = who.here.work.undo(c, who.by.partner, run_id, actor=who.by.actor)
        note(c, who.by, "run.undone", run_id)
    return go(f"/console/runs/{made.id}")


@router.get("/runs/{run_id}/files/{name:path}", dependencies=[needs(Scope.EXPORTS_READ)])
def download(run_id: str, name: str, request: Request, who: Who) -> Response:
    """One result file."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        files = runs.artifacts_of(c, who.by.partner, run.id)
    found = next((each for each in files if each.name == name), None)
    if found is None or name.startswith(_INTERNAL):
        raise NotFound(f"this run has no file {name!r}")
    return sent(request, who.here.files, found, name=name.replace("/", "-"))


@router.get("/runs/{run_id}/events")
async def follow(run_id: str, request: Request, who: Who, after: int = 0) -> Response:
    """Progress while the run is going, and one event when its state changed."""
    run = await run_in_threadpool(_run, who, run_id)
    headers = HEADERS | {"X-Accel-Buffering": "no"}
    return StreamingResponse(
        news(who.here, run, after), media_type="text/event-stream", headers=headers
    )


async def news(here: Services, run: Run, after: int) -> AsyncIterator[str]:
    """Server-sent events: progress as it comes, then one that the state changed."""
    said: dict[str, Any] = {}
    quiet = monotonic()
    yield "retry: 2000\n\n"
    with here.watch.bell(run.id) as rung:
        while True:
            now, moved = await run_in_threadpool(_look, here, run, after)
            if moved:
                yield f"event: changed\ndata: {now.status}\n\n"
                return
            progress = asdict(now.progress)
            if progress != said:
                said, quiet = progress, monotonic()
                yield f"event: progress\ndata: {json.dumps(progress)}\n\n"
            while not await rung(DRAIN_SECONDS):
                if here.draining.is_set():
                    return
                if monotonic() - quiet > PING_SECONDS:
                    quiet = monotonic()
                    yield ": still here\n\n"


def _look(here: Services, run: Run, after: int) -> tuple[Run, bool]:
    with here.database.begin() as c:
        now = runs.get(c, run.partner, run.id)
        moved = events.of_run(c, run.partner, run.id, after=after, limit=20)
    waits = now.status in ENDED or now.status is RunStatus.NEEDS_ATTENTION
    return now, waits or any(each.type == f"run.{now.status}" for each in moved)


def _run(who: Visit, run_id: str) -> Run:
    with who.here.database.begin() as c:
        return run_of(c, who.by, run_id)


def _can_undo(run: Run) -> bool:
    """Whether it has written anything that could be taken back."""
    return run.status is RunStatus.COMPLETED and run.kind is not RunKind.UNDO and bool(run.rows)


def _older(status: RunStatus | None, last: str) -> str:
    return f"/console/runs?before={last}" + (f"&status={status}" if status else "")
