"""From chosen files to a result: understand the columns, import, answer questions, take the rest back."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from api.console.guard import HEADERS, go
from api.console.guest_files import chosen_files
from api.console.guest_views import (
    ColumnsPage,
    ImportPage,
    PreviewColumn,
    PreviewField,
    PreviewTable,
)
from api.console.guests import ACTOR, Guest, Invited
from api.console.readings import reading_row, readings_of
from api.console.review import Fields, decision_of, seen
from api.console.runs import news
from api.console.shown import Names, headers_of, question_row, repair_row, run_row
from api.downloads import download
from api.quotas import run_allowed
from engine.binding.score import chosen
from engine.drift import DriftCode
from engine.errors import CompileError, NotFound, SourceError
from engine.files import content_key
from engine.model import FailureCode, Run, Upload, Width
from engine.pipeline import SheetInput
from engine.preview import Look, look
from engine.store import events, plans, proposals, runs
from engine.tables import Box, InputFile
from plans.plan import Read
from plans.versions import PlanVersion

router = APIRouter()

#: Rows shown of each table; larger files are understood by the import itself.
ROWS = 5
PREVIEW_BYTES = 256 << 20
PREVIEW_SECONDS = 60.0

#: Result files a customer may have.
_THEIRS = ("rejected-rows.xlsx", "rejected-rows.csv", "valid.csv")


@router.get("/{token}/columns")
def columns(by: Invited, request: Request, file: list[str] = Query(default=[])) -> Response:  # noqa: B008
    """How the chosen files are understood, with real rows; change a column and look again."""
    mapping = _mapping(request.query_params.multi_items())
    with by.here.database.begin() as c:
        files = chosen_files(c, by, file)
        plan = plans.effective(c, by.partner, source=by.company.source, company=by.company.id)
        version = plans.version(c, by.partner, plan.id).version
    tables: tuple[PreviewTable, ...] = ()
    problem = ""
    if sum(each.size for each in files) <= PREVIEW_BYTES:
        try:
            tables = _tables(_look(by, files, version, mapping), version)
        except (SourceError, CompileError) as error:
            problem = str(error)
    page = ColumnsPage(
        chosen=tuple(each.id for each in files), tables=tables, problem=problem, mapping=mapping
    )
    return by.page("guest_columns.html", page=page)


@router.post("/{token}/imports")
def start(by: Invited, fields: Fields) -> Response:
    """Import the chosen files with these columns, after the import that may be under way."""
    with by.here.database.begin() as c:
        files = chosen_files(c, by, [str(each) for each in fields.getlist("file")])
        run_allowed(c, by.partner)
        run = by.here.work.submit(
            c,
            by.partner,
            company=by.company.id,
            used=[each.id for each in files],
            options={"mapping": _mapping(fields.multi_items())},
            actor=ACTOR,
            queue=True,
        )
        by.note(c, "run.started", run.id)
    return go(f"{by.root}/runs/{run.id}")


@router.get("/{token}/runs/{run_id}")
def show(run_id: str, by: Invited) -> Response:
    """Progress, questions, or the result, whichever it is now."""
    with by.here.database.begin() as c:
        run = _run(c, by, run_id)
        record = proposals.open_of(c, by.partner, run.id)
        happened = events.of_run(c, by.partner, run.id)
        headers = headers_of(c, run)
        page = ImportPage(
            run=run_row(Names(c=c, partner=by.partner), run),
            proposal=record.id if record else "",
            etag=record.proposal.etag if record else "",
            repairs=tuple(
                repair_row(each, version=record.version) for each in record.proposal.repairs
            )
            if record
            else (),
            questions=tuple(
                question_row(each, version=record.version, headers=headers)
                for each in record.proposal.questions
            )
            if record
            else (),
            downloads=tuple(
                each
                for each in runs.artifacts_of(c, by.partner, run.id)
                if each.records and each.name.endswith(_THEIRS)
            ),
            # What the customer ended is no failure.
            error=None if run.error_code == FailureCode.REJECTED else run.error_message,
            sequence=happened[-1].sequence if happened else 0,
            readings=readings_of(c, run),
        )
    return by.page("guest_run.html", page=page)


@router.post("/{token}/runs/{run_id}/decision")
def decide(run_id: str, by: Invited, fields: Fields) -> Response:
    """The customer's answers; what they change holds for this customer only."""
    with by.here.database.begin() as c:
        run = _run(c, by, run_id)
        record = seen(run, proposals.of_run(c, by.partner, run.id), fields)
    decision = decision_of(record.proposal, fields, actor=ACTOR)
    by.here.work.decide(by.partner, run.id, decision, width=Width.COMPANY)
    with by.here.database.begin() as c:
        by.note(c, "run.decided", run.id, decision=decision.verdict, scope=Width.COMPANY)
    return go(f"{by.root}/runs/{run.id}")


@router.post("/{token}/runs/{run_id}/cancel")
def cancel(run_id: str, by: Invited) -> Response:
    """Stop the import; nothing of it is written."""
    with by.here.database.begin() as c:
        _run(c, by, run_id)
    by.here.work.cancel(by.partner, run_id, actor=ACTOR)
    with by.here.database.begin() as c:
        by.note(c, "run.canceled", run_id)
    return go(f"{by.root}/runs/{run_id}")


@router.get("/{token}/runs/{run_id}/files/{name:path}")
def take(run_id: str, name: str, by: Invited, request: Request) -> Response:
    """Rejected rows to correct and send again, or what was imported."""
    with by.here.database.begin() as c:
        run = _run(c, by, run_id)
        there = runs.artifacts_of(c, by.partner, run.id)
        by.note(c, "run.file.downloaded", f"{run.id}/{name}")
    found = next((each for each in there if each.name == name and name.endswith(_THEIRS)), None)
    if found is None:
        raise NotFound(f"there is no file {name!r}")
    return download(request, by.here.files, found, name=name.replace("/", "-"))


# A coroutine: it holds no thread while it waits for news.
@router.get("/{token}/runs/{run_id}/events")
async def follow(run_id: str, by: Invited, after: int = 0) -> Response:
    """Progress, and one event when the state of the import changed."""
    run = await run_in_threadpool(_found, by, run_id)
    headers = HEADERS | {"X-Accel-Buffering": "no"}
    return StreamingResponse(
        news(by.here, run, after), media_type="text/event-stream", headers=headers
    )


def _found(by: Guest, run_id: str) -> Run:
    with by.here.database.begin() as c:
        return _run(c, by, run_id)


def _run(c: sqlalchemy.Connection, by: Guest, run_id: str) -> Run:
    run = runs.get(c, by.partner, run_id)
    if run.company != by.company.id:
        raise NotFound(f"there is no run {run_id}")
    return run


def _mapping(pairs: Sequence[tuple[str, object]]) -> dict[str, int]:
    """`field:email=3` on a page means: column 3 feeds email."""
    return {
        name.removeprefix("field:"): int(value)
        for name, value in pairs
        if name.startswith("field:") and isinstance(value, str) and value.isdecimal()
    }


def _look(by: Guest, files: list[Upload], version: PlanVersion, mapping: dict[str, int]) -> Look:
    with TemporaryDirectory(prefix="reknit-") as name:
        folder = Path(name).resolve()
        given = tuple(
            InputFile(
                name=each.name,
                path=by.here.files.fetch(
                    content_key(each.partner, each.company, each.digest or ""),
                    folder,
                    digest=each.digest or "",
                ),
            )
            for each in files
        )
        work = folder / "work"
        work.mkdir()
        box = Box(folder=work, readable=tuple(each.path for each in given), seconds=PREVIEW_SECONDS)
        return look(
            version,
            given,
            given=Read(),
            mapping=dict(mapping),
            rows=ROWS,
            box=box,
            weights=chosen(by.here.settings),
        )


def _tables(seen: Look, version: PlanVersion) -> tuple[PreviewTable, ...]:
    wanted = {each.bound.table: each for each in seen.inputs}
    return tuple(
        _table(seen, number, wanted.get(number), version)
        for number in range(len(seen.tables.staged))
    )


def _table(
    seen: Look, number: int, wanted: SheetInput | None, version: PlanVersion
) -> PreviewTable:
    staged, profile = seen.tables.staged[number], seen.tables.profiles[number]
    headers = [each or f"{at + 1}" for at, each in enumerate(staged.source.columns)]
    binding = wanted.bound.binding if wanted else None
    drifts = wanted.drifts if wanted else ()
    fields: tuple[PreviewField, ...] = ()
    if binding is not None:
        template = version.template(version.plan.sheet(binding.sheet).template)
        likely = {each.field: each for each in reversed(binding.candidates)}
        fields = tuple(
            PreviewField(
                name=field.name,
                title=field.title or field.name,
                required=field.required,
                column=bound.columns[0] if bound and bound.columns else None,
                several=tuple(headers[at] for at in bound.columns)
                if bound and len(bound.columns) > 1
                else (),
                sure=binding.bound(field.name) is not None,
            )
            for field in template.fields
            for bound in (binding.bound(field.name) or likely.get(field.name),)
        )
    return PreviewTable(
        file=staged.source.file,
        sheet=binding.sheet if binding else None,
        total=staged.records + len(staged.broken),
        columns=tuple(
            PreviewColumn(index=each.index, header=headers[each.index], samples=each.samples[:3])
            for each in profile.columns
        ),
        fields=fields,
        rows=seen.rows[number],
        unused=tuple(headers[at] for at in binding.extra) if binding else (),
        reading=reading_row(staged.source),
        unlike=next((each.message for each in drifts if each.code is DriftCode.UNLIKE), ""),
    )
