"""Imports: start a run over files, rows or CSV text, or only look at what would happen."""

import json

import sqlalchemy
from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import created, done
from api.auth import Caller
from api.deps import By, Here, company_of, plan_of, upload_of
from api.errors import ApiError, Code, ProblemItem
from api.inputs import on_disk, ready
from api.once import OnlyOnce
from api.operations import op
from api.previews import preview_body
from api.quotas import run_allowed
from api.routes.runs import expanded
from api.schemas.imports import MAX_WAITED_ROWS, Data, NewImport, OnConflict, Preview, PreviewBody
from api.schemas.runs import RunBody
from api.waiting import Prefer, told, waited, wished
from engine.binding.score import chosen
from engine.errors import Conflict, NotFound
from engine.files import Stored
from engine.ids import utcnow
from engine.model import PlanVersionRecord, Run, Scope, Upload
from engine.policy import Policy
from engine.preview import look
from engine.store import plans, uploads
from engine.tables import Box
from plans.plan import Read

router = APIRouter(tags=["imports"])

WRITE = Scope.IMPORTS_WRITE


@router.post(
    "/v1/companies/{company_id}/imports",
    status_code=201,
    response_model=RunBody,
    **op(
        WRITE,
        Code.NOT_FOUND,
        Code.INVALID_MAPPING,
        Code.IMPORT_ALREADY_RUNNING,
        Code.CONFLICT,
        Code.EXPIRED,
        Code.TOO_MANY_CONCURRENT_RUNS,
        Code.QUOTA_EXCEEDED,
    ),
)
def create_import(
    company_id: str,
    body: NewImport,
    here: Here,
    by: By,
    once: OnlyOnce,
    prefer: Prefer = None,
) -> Response:
    """Start a run. With `Prefer: wait=N` and 500 inline rows or fewer its result is in the answer."""
    lasting = once.lasting(days=here.settings.run_days, key=body.idempotency_key)
    with here.database.begin() as c:
        company_of(c, by, company_id)
    inline = None
    if (given := _inline(body)) is not None:
        stored = here.files.put_content(by.partner, company_id, [given[2]])
        inline = (given[0], given[1], stored)
    started: list[Run] = []

    def effect(c: sqlalchemy.Connection) -> Response:
        company = company_of(c, by, company_id)
        if company.archived_at is not None:
            raise Conflict(f"company {company_id} is archived and takes no imports")
        run_allowed(c, by.partner)
        version = version_of(c, by, company_id, plan=body.plan_id, number=body.plan_version)
        _check_mapping(version, body)
        if inline is not None:
            files: tuple[Upload, ...] = (_announced(c, by, company_id, inline),)
        else:
            files = _given(c, by, company_id, body)
        run = here.work.submit(
            c,
            by.partner,
            company=company_id,
            plan=version.plan,
            version=version.number,
            used=[each.id for each in files],
            options=_options(body),
            policy=Policy(**body.policy.model_dump()),
            dry_run=body.dry_run,
            metadata=body.metadata,
            actor=by.actor,
            queue=body.on_conflict is OnConflict.QUEUE,
        )
        started.append(run)
        return created(expanded(here, run, []), location=f"/v1/runs/{run.id}")

    answer = lasting(effect, action="run.started")
    seconds = wished(prefer)
    small = len(body.rows or ()) <= MAX_WAITED_ROWS and body.files is None
    if not started or not seconds or not small:
        return answer
    run, applied = waited(here, started[0], seconds=seconds)
    whole = created(expanded(here, run, ["report", "proposal"]), location=f"/v1/runs/{run.id}")
    return told(lasting.revise(whole), seconds, applied=applied)


@router.post(
    "/v1/companies/{company_id}/preview",
    response_model=PreviewBody,
    **op(
        WRITE,
        Code.NOT_FOUND,
        Code.SOURCE_UNREADABLE,
        Code.PLAN_DOES_NOT_FIT,
        Code.INVALID_MAPPING,
        Code.EXPIRED,
        Code.CONFLICT,
    ),
)
def preview_import(company_id: str, body: Preview, here: Here, by: By, once: OnlyOnce) -> Response:
    """See how data would be read and mapped; nothing is written. Repeat it as often as you like."""
    with here.database.begin() as c:
        version = version_of(c, by, company_id, plan=body.plan_id, number=body.plan_version)
        _check_mapping(version, body)
        given = _given(c, by, company_id, body)
    with on_disk(here, given, inline=_inline(body)) as (files, folder):
        seen = look(
            version.version,
            files,
            given=Read.model_validate(_options(body)["read"]),
            mapping=dict(body.mapping),
            rows=body.limit,
            box=Box(folder=folder, readable=tuple(each.path for each in files), seconds=60.0),
            weights=chosen(here.settings),
        )
    return once(
        lambda c: done(preview_body(seen, version.version)),
        action="import.previewed",
        target=company_id,
    )


def version_of(
    c: sqlalchemy.Connection, by: Caller, company: str, *, plan: str | None, number: int | None
) -> PlanVersionRecord:
    """The version the call names, else the company's published one."""
    there = company_of(c, by, company)
    if plan is None:
        used = plans.effective(c, by.partner, source=there.source, company=company)
        return plans.version(c, by.partner, used.id)
    named = plan_of(c, by, plan)
    if named.source != there.source or named.company not in (None, company):
        raise Conflict(f"plan {named.id} is not of this company's source")
    return plans.version(c, by.partner, named.id, number=number)


def _check_mapping(record: PlanVersionRecord, body: Data) -> None:
    """Every field of the mapping is a field of a template, and the sheet is one of the plan."""
    version = record.version
    fields = {field.name for template in version.templates for field in template.fields}
    named = [(name, "/mapping") for name in body.mapping]
    if isinstance(body, NewImport):
        named += [(each.field, f"/exclude/{n}/field") for n, each in enumerate(body.exclude)]
    items = tuple(
        ProblemItem(
            code="unknown_field", message=f"no template has a field {name!r}", pointer=pointer
        )
        for name, pointer in named
        if name not in fields
    )
    if items:
        raise ApiError(code=Code.INVALID_MAPPING, detail=items[0].message, errors=items)
    if body.sheet is not None and body.sheet not in {each.name for each in version.plan.sheets}:
        raise ApiError(code=Code.INVALID_MAPPING, detail=f"the plan has no sheet {body.sheet!r}")


def _options(body: Data) -> dict[str, object]:
    read = body.read.model_dump(mode="json", exclude_defaults=True)
    if body.has_header is not None:
        read["has_header"] = body.has_header
    options: dict[str, object] = {"mapping": dict(body.mapping), "read": read}
    if isinstance(body, NewImport):
        options |= body.model_dump(
            mode="json", include={"mode", "keep_existing", "exclude", "tags"}
        )
        if body.plan_id is not None:
            options["plan_id"] = body.plan_id
    return options


def _inline(body: Data) -> tuple[str, str, bytes] | None:
    """Name, type and bytes of inline data; the name carries the sheet, as plans match by name."""
    if body.rows is not None:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in body.rows)
        return f"{body.sheet or 'rows'}.ndjson", "application/x-ndjson", text.encode()
    if body.csv is not None:
        return f"{body.sheet or 'rows'}.csv", "text/csv", body.csv.encode()
    return None


def _announced(
    c: sqlalchemy.Connection, by: Caller, company: str, inline: tuple[str, str, Stored]
) -> Upload:
    """Inline data becomes a file like any other, so that a run can be repeated and explained."""
    name, content_type, stored = inline
    upload = uploads.add(
        c,
        by.partner,
        company=company,
        name=name,
        content_type=content_type,
        size=stored.size,
        valid_until=utcnow(),
    )
    return uploads.stored(c, by.partner, upload.id, digest=stored.digest, size=stored.size)


def _given(c: sqlalchemy.Connection, by: Caller, company: str, body: Data) -> tuple[Upload, ...]:
    """The uploads the call names: of this company, and complete."""
    given = tuple(ready(upload_of(c, by, each.upload_ref)) for each in body.files or ())
    for each in given:
        if each.company != company:
            raise NotFound(f"company {company} has no upload {each.id}")
    return given
