"""Runs, events and result files as the API shows them."""

from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from api.schemas.bodies import Instant, Resource
from api.schemas.companies import CompanyId
from api.schemas.proposals import ProposalBody, RunId, proposal_body
from engine.accounting import Accounting
from engine.model import Artifact, Event, ProposalRecord, Run, RunKind, RunStatus
from engine.replays import Standing


class CountsBody(Resource):
    """Row accounting; read = valid + invalid + duplicate + skipped, always."""

    read: int = Field(examples=[100])
    valid: int = Field(examples=[97])
    invalid: int = Field(examples=[2])
    duplicate: int = Field(examples=[1])
    skipped: int = Field(examples=[0])


class RowsBody(Resource):
    """What a run did to the rows of a sheet; `skipped` is the sum of the reasons after it."""

    sheet: str = Field(examples=["contacts"])
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    excluded: int = Field(default=0, description="Skipped: on a suppression list")
    repeated: int = Field(default=0, description="Skipped: an earlier row is the same record")
    by_mode: int = Field(default=0, description="Skipped: known or unknown, as `mode` says")
    removed: int = Field(default=0, description="By an undo: rows the run had created")
    restored: int = Field(default=0, description="By an undo: rows the run had updated")
    kept: int = Field(default=0, description="By an undo: rows a later run edited; left alone")


class ReplayedBody(Resource):
    """How a run's rejected rows stand; its counts.invalid = valid + duplicate + invalid here."""

    runs: list[RunId] = Field(description="Completed replays that were not undone")
    valid: int = Field(examples=[2], description="Taken in by them")
    duplicate: int
    invalid: int = Field(description="Still rejected")


class ProgressBody(Resource):
    """How far a running run is."""

    phase: str = Field(examples=["checking rows"])
    rows_done: int = Field(description="Bytes while a file is being read")
    rows_total: int | None = Field(description="Likewise; null while nobody knows")
    message: str


class RunError(Resource):
    """Why a run failed."""

    code: str = Field(examples=["invalid_file_content"])
    message: str


class RunBody(Resource):
    """One execution of a plan version."""

    object: Literal["run"] = "run"
    id: RunId
    run_id: RunId = Field(description="The same as `id`")
    company_id: CompanyId
    kind: RunKind = Field(
        description="`undo` takes `origin_id` back, `replay` tries its rows again"
    )
    origin_id: RunId | None
    status: RunStatus
    waits: bool = Field(description="Queued until the company's active import has ended")
    poll_url: str = Field(examples=["/v1/runs/run_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    plan_id: str
    plan_version: int
    plan_digest: str
    uploads: list[str]
    dry_run: bool
    progress: ProgressBody
    progress_message: str
    counts: CountsBody
    rows: list[RowsBody] = Field(description="What the company's sheets took, once it completed")
    replayed: ReplayedBody | None = Field(description="Of an import with replays; null in lists")
    error: RunError | None
    failed_reason: str | None
    proposal_id: str | None
    proposal_url: str | None
    report_url: str | None
    needs_attention: ProposalBody | None = Field(description="With expand[]=proposal")
    report: dict[str, Any] | None = Field(description="With expand[]=report")
    metadata: dict[str, str]
    created_at: Instant
    updated_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


class EventBody(Resource):
    """One thing that happened to a run, an export, a delivery or a webhook endpoint."""

    object: Literal["event"] = "event"
    id: str = Field(examples=["evt_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    run_id: RunId | None
    export_id: str | None = Field(description="Instead of a run")
    delivery_id: str | None = Field(description="Instead of a run")
    webhook_id: str | None = Field(description="Instead of a run; of no company then")
    company_id: CompanyId | None
    sequence: int
    type: str = Field(examples=["run.completed"])
    data: dict[str, Any]
    actor: str
    at: Instant


class FileBody(Resource):
    """One result file of a run."""

    object: Literal["run_file"] = "run_file"
    name: str = Field(examples=["contacts/valid.csv"])
    content_type: str
    size: int
    records: int
    sha256: str
    url: str = Field(description="Needs a key")
    download_url: str = Field(description="Signed, needs no key, for 15 minutes")


class FilesBody(Resource):
    """Every result file of a run."""

    object: Literal["run_files"] = "run_files"
    data: list[FileBody]


class CellBody(Resource):
    """One value that failed one rule."""

    file: str
    sheet: str
    row_number: int = Field(description="1-based row in the customer's file")
    column: str | None = Field(description="Header in the customer's file")
    field: str | None
    code: str = Field(examples=["invalid_type"])
    message: str
    value: str | None
    severity: str


class ReportBody(Resource):
    """What a run did. New members may come."""

    object: Literal["report"] = "report"
    run_id: RunId
    counts: CountsBody
    content: dict[str, Any] = Field(description="The report: files, sheets, drift, heals, coverage")


def counts_body(counts: Accounting) -> CountsBody:
    """The accounting as the API shows it."""
    return CountsBody(
        read=counts.read,
        valid=counts.valid,
        invalid=counts.invalid,
        duplicate=counts.duplicate,
        skipped=counts.skipped,
    )


def run_body(
    run: Run,
    *,
    proposal: ProposalRecord | None = None,
    report: dict[str, Any] | None = None,
    standing: Standing | None = None,
) -> RunBody:
    """The run as the API shows it."""
    poll = f"/v1/runs/{run.id}"
    asks = run.status is RunStatus.NEEDS_ATTENTION
    failed = run.error_code is not None
    return RunBody(
        id=run.id,
        run_id=run.id,
        company_id=run.company,
        kind=run.kind,
        origin_id=run.origin,
        status=run.status,
        waits=run.waits and not run.ended,
        poll_url=poll,
        plan_id=run.plan,
        plan_version=run.plan_version,
        plan_digest=run.plan_digest,
        uploads=list(run.uploads),
        dry_run=run.dry_run,
        progress=ProgressBody(
            phase=run.progress.phase,
            rows_done=run.progress.done,
            rows_total=run.progress.total,
            message=run.progress.message,
        ),
        progress_message=run.progress.message or run.progress.phase,
        counts=counts_body(run.counts),
        rows=[RowsBody(sheet=name, **told) for name, told in run.rows.items()],
        replayed=ReplayedBody(**asdict(standing)) if standing and standing.runs else None,
        error=RunError(code=run.error_code or "", message=run.error_message or "")
        if failed
        else None,
        failed_reason=run.error_code,
        proposal_id=run.proposal,
        proposal_url=f"{poll}/proposal" if run.proposal else None,
        report_url=f"{poll}/report" if run.report else None,
        needs_attention=proposal_body(proposal) if proposal and asks else None,
        report=report,
        metadata=dict(run.metadata),
        created_at=run.created_at,
        updated_at=run.updated_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
    )


def event_body(event: Event) -> EventBody:
    """The event as the API shows it."""
    return EventBody(
        id=event.id,
        run_id=event.run,
        export_id=event.errand if event.type.startswith("export.") else None,
        delivery_id=event.errand if event.type.startswith("delivery.") else None,
        webhook_id=event.data["webhook_id"] if event.company is None else None,
        company_id=event.company,
        sequence=event.sequence,
        type=event.type,
        data=dict(event.data),
        actor=event.actor,
        at=event.at,
    )


def file_body(artifact: Artifact, *, run: str, download_url: str) -> FileBody:
    """The result file as the API shows it."""
    return FileBody(
        name=artifact.name,
        content_type=artifact.media_type,
        size=artifact.size,
        records=artifact.records,
        sha256=artifact.digest,
        url=f"/v1/runs/{run}/files/{artifact.name}",
        download_url=download_url,
    )
