"""One body for every error (RFC 9457), and the one table from exceptions to statuses and codes."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

import engine.errors
import engine.outbound
import plans.errors
from api.logs import redacted
from engine.store.database import is_busy

log = logging.getLogger("reknit.http")

#: So many of `errors` are told; more only set `errors_truncated`.
TOLD = 100

QUOTA_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"


class Code(StrEnum):
    """Every code an error may have; clients decide by it. New ones may come."""

    VALIDATION_ERROR = "validation_error"  #: the request is not what this operation takes
    INVALID_MAPPING = "invalid_mapping"  #: the mapping names a column or field that is not there
    PLAN_INVALID = "plan_invalid"  #: the document is not a plan or template
    SOURCE_UNREADABLE = "source_unreadable"  #: the file is not readable as a table
    UNSUPPORTED_API_VERSION = "unsupported_api_version"  #: no behaviour of that date
    AMBIGUOUS_CREDENTIALS = "ambiguous_credentials"  #: two different keys in one request
    INVALID_KEY = "invalid_key"  #: no key, or not one that opens anything
    INSUFFICIENT_PERMISSIONS = "insufficient_permissions"  #: the key lacks a scope
    INVALID_SIGNATURE = "invalid_signature"  #: the signed URL was changed
    NOT_FOUND = "not_found"  #: no such thing for this partner
    METHOD_NOT_ALLOWED = "method_not_allowed"  #: the path does not know the method
    NOT_ACCEPTABLE = "not_acceptable"  #: no representation of the wanted kind
    REQUEST_TIMEOUT = "request_timeout"  #: the body came too slowly
    CONFLICT = "conflict"  #: the thing moved on; read it again
    CHANGE_CONFLICT = "change_conflict"  #: the change does not fit the plan
    PLAN_DOES_NOT_FIT = "plan_does_not_fit"  #: plan and file do not fit together
    IMPORT_ALREADY_RUNNING = "import_already_running"  #: one active run per company
    IDEMPOTENCY_KEY_REQUIRED = "idempotency_key_required"  #: this deployment wants one
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"  #: same key, another request
    IDEMPOTENCY_IN_PROGRESS = "idempotency_in_progress"  #: the first one is not done yet
    NAME_CONFLICT = "name_conflict"  #: the name is taken
    EXTERNAL_ID_CONFLICT = "external_id_conflict"  #: the external_id is taken
    NOT_UNDOABLE = "not_undoable"  #: undone already, wrote nothing, or the undo window is over
    ALREADY_DECIDED = "already_decided"  #: somebody decided before
    UPLOAD_CONFLICT = "upload_conflict"  #: other bytes are there, or the offset is another
    EXPIRED = "expired"  #: it was there, and its time is over
    PROPOSAL_CHANGED = "proposal_changed"  #: not the proposal that was seen
    PRECONDITION_FAILED = "precondition_failed"  #: not the version that was seen
    PAYLOAD_TOO_LARGE = "payload_too_large"  #: more bytes than `max_bytes`
    UNSUPPORTED_FILE_TYPE = "unsupported_file_type"  #: a Content-Type nobody declared
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"  #: no such bytes
    PRECONDITION_REQUIRED = "precondition_required"  #: say which version you saw
    HEADERS_TOO_LARGE = "headers_too_large"  #: too many bytes before the body
    RATE_LIMITED = "rate_limited"  #: too many requests; see Retry-After
    QUOTA_EXCEEDED = "quota_exceeded"  #: a quota of the partner is used up
    TOO_MANY_CONCURRENT_RUNS = "too_many_concurrent_runs"  #: too many of the partner's runs
    CANCELED = "canceled"  #: it was canceled meanwhile
    INTERNAL_ERROR = "internal_error"  #: our fault; the request id helps us
    EXECUTION_FAILED = "execution_failed"  #: a child process failed
    MAPPING_FAILED = "mapping_failed"  #: the model gave no usable answer
    MODEL_UNAVAILABLE = "model_unavailable"  #: the model cannot be reached now
    UNAVAILABLE = "unavailable"  #: a part of ours cannot be reached now
    STORAGE_FULL = "storage_full"  #: no room for the bytes now


STATUS: Mapping[Code, int] = {
    Code.VALIDATION_ERROR: 400,
    Code.INVALID_MAPPING: 400,
    Code.PLAN_INVALID: 400,
    Code.SOURCE_UNREADABLE: 400,
    Code.UNSUPPORTED_API_VERSION: 400,
    Code.AMBIGUOUS_CREDENTIALS: 400,
    Code.INVALID_KEY: 401,
    Code.INSUFFICIENT_PERMISSIONS: 403,
    Code.INVALID_SIGNATURE: 403,
    Code.NOT_FOUND: 404,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_ACCEPTABLE: 406,
    Code.REQUEST_TIMEOUT: 408,
    Code.CONFLICT: 409,
    Code.CHANGE_CONFLICT: 409,
    Code.PLAN_DOES_NOT_FIT: 409,
    Code.IMPORT_ALREADY_RUNNING: 409,
    Code.IDEMPOTENCY_KEY_REQUIRED: 400,
    Code.IDEMPOTENCY_CONFLICT: 409,
    Code.IDEMPOTENCY_IN_PROGRESS: 409,
    Code.NAME_CONFLICT: 409,
    Code.EXTERNAL_ID_CONFLICT: 409,
    Code.ALREADY_DECIDED: 409,
    Code.NOT_UNDOABLE: 409,
    Code.UPLOAD_CONFLICT: 409,
    Code.CANCELED: 409,
    Code.EXPIRED: 410,
    Code.PROPOSAL_CHANGED: 412,
    Code.PRECONDITION_FAILED: 412,
    Code.PAYLOAD_TOO_LARGE: 413,
    Code.UNSUPPORTED_FILE_TYPE: 415,
    Code.RANGE_NOT_SATISFIABLE: 416,
    Code.PRECONDITION_REQUIRED: 428,
    Code.RATE_LIMITED: 429,
    Code.QUOTA_EXCEEDED: 429,
    Code.TOO_MANY_CONCURRENT_RUNS: 429,
    Code.HEADERS_TOO_LARGE: 431,
    Code.INTERNAL_ERROR: 500,
    Code.EXECUTION_FAILED: 500,
    Code.MAPPING_FAILED: 502,
    Code.MODEL_UNAVAILABLE: 503,
    Code.UNAVAILABLE: 503,
    Code.STORAGE_FULL: 503,
}

#: Exactly one row for each exception of plans and engine; a test holds it against the trees.
EXCEPTIONS: Mapping[type[Exception], Code] = {
    plans.errors.PlanError: Code.PLAN_INVALID,
    plans.errors.PlanInvalid: Code.PLAN_INVALID,
    plans.errors.ChangeConflict: Code.CHANGE_CONFLICT,
    engine.errors.EngineError: Code.INTERNAL_ERROR,
    engine.errors.SourceError: Code.SOURCE_UNREADABLE,
    engine.errors.CompileError: Code.PLAN_DOES_NOT_FIT,
    engine.errors.ExecutionError: Code.EXECUTION_FAILED,
    engine.errors.ChildCrashed: Code.EXECUTION_FAILED,
    engine.errors.ChildTimeout: Code.EXECUTION_FAILED,
    engine.errors.Canceled: Code.CANCELED,
    engine.errors.MappingError: Code.MAPPING_FAILED,
    engine.errors.ModelUnavailable: Code.MODEL_UNAVAILABLE,
    engine.errors.NotFound: Code.NOT_FOUND,
    engine.errors.Expired: Code.EXPIRED,
    engine.errors.Conflict: Code.CONFLICT,
    engine.errors.ActiveRun: Code.IMPORT_ALREADY_RUNNING,
    engine.errors.AlreadyDecided: Code.ALREADY_DECIDED,
    engine.errors.NotUndoable: Code.NOT_UNDOABLE,
    engine.errors.ProposalDrift: Code.CONFLICT,
    engine.errors.RowsChanged: Code.CONFLICT,
    engine.errors.GivenUp: Code.CONFLICT,
    engine.errors.ProposalChanged: Code.PROPOSAL_CHANGED,
    engine.errors.QuotaExceeded: Code.QUOTA_EXCEEDED,
    engine.errors.Superseded: Code.CONFLICT,
    engine.errors.DecisionInvalid: Code.VALIDATION_ERROR,
    engine.errors.StorageError: Code.UNAVAILABLE,
    engine.errors.UploadMismatch: Code.VALIDATION_ERROR,
    engine.errors.SignatureInvalid: Code.INVALID_SIGNATURE,
    engine.outbound.Refused: Code.VALIDATION_ERROR,
    engine.errors.SelectionInvalid: Code.VALIDATION_ERROR,
    engine.errors.DeliveryFailed: Code.UNAVAILABLE,
    engine.errors.CanaryRefused: Code.UNAVAILABLE,
}

#: Trying the same request again later may help.
RETRYABLE = frozenset({408, 429, 502, 503})

#: What the framework raises by itself, by status.
_FRAMEWORK: Mapping[int, Code] = {
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    406: Code.NOT_ACCEPTABLE,
    408: Code.REQUEST_TIMEOUT,
    413: Code.PAYLOAD_TOO_LARGE,
    415: Code.UNSUPPORTED_FILE_TYPE,
}


class ProblemItem(BaseModel):
    """One thing wrong: which member (JSON Pointer), parameter or row, and what about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str = Field(examples=["missing"])
    message: str = Field(examples=["Field required"])
    pointer: str | None = Field(default=None, examples=["/name"])
    parameter: str | None = None
    row_number: int | None = None
    column: str | None = None
    value_excerpt: str | None = None


class Problem(BaseModel):
    """The body of every answer that is not 2xx or 3xx (RFC 9457); codes may add members."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(examples=["/docs/errors#not_found"], description="Page about the code")
    title: str = Field(examples=["Not found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(examples=["no such company"])
    instance: str = Field(examples=["/v1/companies/co_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    code: Code = Field(examples=["not_found"], description="Stable word; new ones may come")
    error: str = Field(examples=["no such company"], description="The same as `detail`")
    request_id: str = Field(examples=["req_7b1e9f0c2a"])
    retryable: bool = Field(examples=[False], description="The same request may succeed later")
    errors: list[ProblemItem] = Field(default_factory=list, max_length=TOLD)
    errors_truncated: bool = False


@dataclass(kw_only=True)
class ApiError(Exception):
    """A request that cannot be done, in the words of the API."""

    code: Code
    detail: str
    errors: Sequence[ProblemItem] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class ProblemResponse(JSONResponse):
    """JSON that says it is a problem document."""

    media_type = "application/problem+json"


class BodyRefused(HTTPException):
    """Too many bytes or too few a second. The framework lets only its own exception pass there."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(STATUS[error.code])
        self.error = error


def problem(error: ApiError, *, path: str, request_id: str) -> ProblemResponse:
    """The answer for an error, complete but for the headers that every answer has."""
    status = STATUS[error.code]
    body = Problem(
        type=QUOTA_TYPE if status == 429 else f"/docs/errors#{error.code}",
        title=error.code.replace("_", " ").capitalize(),
        status=status,
        detail=error.detail,
        instance=redacted(path),
        code=error.code,
        error=error.detail,
        request_id=request_id,
        retryable=status in RETRYABLE or error.code is Code.IDEMPOTENCY_IN_PROGRESS,
        errors=list(error.errors[:TOLD]),
        errors_truncated=len(error.errors) > TOLD,
        **error.members,
    )
    headers = dict(error.headers)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="reknit"'
    if status in (429, 503):
        headers.setdefault("Retry-After", "1")
    return ProblemResponse(body.model_dump(mode="json", exclude_none=True), status, headers)


def translated(error: Exception) -> ApiError:
    """Any exception as an ApiError, by the most specific row; an unknown one tells nothing."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, BodyRefused):
        return error.error
    if isinstance(error, HTTPException):
        return _from_framework(error)
    if is_busy(error):
        return ApiError(code=Code.UNAVAILABLE, detail="the database cannot be reached now")
    if type(error) is engine.errors.StorageError:
        # Where the bytes lie and who answers there is the operator's: it stands in the log.
        log.error("the file store failed: %s", error)
        return ApiError(code=Code.UNAVAILABLE, detail="the file store cannot be used now")
    code = next((EXCEPTIONS[each] for each in type(error).__mro__ if each in EXCEPTIONS), None)
    if code is None or code is Code.INTERNAL_ERROR:
        return ApiError(code=Code.INTERNAL_ERROR, detail="something went wrong on our side")
    items = _problems(error) if isinstance(error, plans.errors.PlanInvalid) else ()
    return ApiError(code=code, detail=str(error), errors=items, members=_members(error))


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    # A coroutine, because a plain function would wait for a free thread.
    async def answer(request: Request, error: Exception) -> ProblemResponse:
        request_id = request.scope.get("reknit.request_id", "")
        told = translated(error)
        if told.code is Code.METHOD_NOT_ALLOWED:
            told.headers = {"Allow": ", ".join(_allowed(request))}
        return problem(told, path=request.url.path, request_id=request_id)

    for kind in (ApiError, RequestValidationError, HTTPException, DBAPIError, *EXCEPTIONS):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> list[str]:
    """Every method of the path; the framework names only those of its first route."""
    routers = getattr(request.app.state, "routers", ())
    routes = [route for router in routers for route in router.routes]
    path = request.url.path
    # `/v1/plans/infer` is not the plan named `infer`.
    matching = [each for each in routes if each.path == path] or [
        each for each in routes if each.path_regex.match(path)
    ]
    return sorted({method for each in matching for method in each.methods})


def _invalid(error: RequestValidationError) -> ApiError:
    items = tuple(_item(each) for each in error.errors())
    first = items[0]
    place = first.pointer or first.parameter or "the body"
    return ApiError(code=Code.VALIDATION_ERROR, detail=f"{place}: {first.message}", errors=items)


def _item(found: Mapping[str, Any]) -> ProblemItem:
    """One finding of pydantic; never its input, which may hold a secret."""
    where, *path = found["loc"]
    message = str(found["msg"]).removeprefix("Value error, ")
    if where != "body":
        return ProblemItem(
            code=found["type"], message=message, parameter=str(path[0] if path else where)
        )
    if found["type"] == "json_invalid":
        path = []
    pointer = "".join(f"/{str(each).replace('~', '~0').replace('/', '~1')}" for each in path)
    return ProblemItem(code=found["type"], message=message, pointer=pointer)


def _from_framework(error: HTTPException) -> ApiError:
    code = _FRAMEWORK.get(error.status_code, Code.VALIDATION_ERROR)
    if error.status_code >= 500:
        code = Code.INTERNAL_ERROR
    detail = {404: "there is nothing at this path"}.get(error.status_code, str(error.detail))
    return ApiError(code=code, detail=detail, headers=error.headers or {})


def _members(error: Exception) -> dict[str, Any]:
    if isinstance(error, engine.errors.ActiveRun):
        return {"active_run_id": error.run, "poll_url": f"/v1/runs/{error.run}"}
    if isinstance(error, engine.errors.SourceError):
        return {"source_code": error.code}
    return {}


def _problems(error: plans.errors.PlanInvalid) -> tuple[ProblemItem, ...]:
    return tuple(
        ProblemItem(code="plan_invalid", message=str(each), pointer=each.path or None)
        for each in error.problems
    )
