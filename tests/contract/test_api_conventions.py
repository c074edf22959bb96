"""The layer around every request: problems, request ids, versions, limits, cursors, log lines."""

import asyncio
import dataclasses
import io
import json
import logging
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Event

import http_sf
import httpx
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict
from starlette.types import Receive

import engine.errors
import plans.errors
from api import errors, logs
from api.cursors import cursor, place
from api.edge import Edge
from api.errors import EXCEPTIONS, STATUS, ApiError, Code, Problem, translated
from api.limits import BodyRefused, Rate, Windows, body_cap, guarded, refuse
from api.metrics import Metrics
from api.operations import Retirement, retiring
from engine.errors import (
    Conflict,
    EngineError,
    NotFound,
    SourceCode,
    SourceError,
    StorageError,
    gist,
)
from engine.settings import Secrets
from engine.store.keys import API_VERSIONS
from plans.errors import PlanError, PlanInvalid
from plans.errors import Problem as PlanProblem

RETIREMENT = Retirement(
    since=datetime(2027, 1, 1, tzinfo=UTC),
    sunset=datetime(2027, 8, 1, tzinfo=UTC),
    link="/docs#old",
)
SECRETS = Secrets(ring=(("new", b"n" * 32), ("old", b"o" * 32)))


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


def little_app() -> FastAPI:
    """Routes that fail in every way, behind the edge."""
    app = FastAPI(openapi_url=None)
    errors.install(app)

    @app.get("/v1/things/{name}")
    def thing(name: str, limit: int = 1) -> dict[str, str]:
        if name == "missing":
            raise NotFound("there is no thing")
        if name == "broken":
            raise RuntimeError("password=hunter2")
        return {"name": name}

    @app.post("/v1/things")
    def make(body: Body) -> Body:
        return body

    @app.get("/v1/limited")
    def limited(request: Request) -> None:
        left = Windows(Rate(requests=0, seconds=60)).take("k")
        request.scope["reknit.headers"] = left.headers(0)
        raise refuse(left)

    @app.get("/v1/old", **retiring(RETIREMENT))
    def old() -> None:
        return None

    app.add_middleware(Edge, metrics=Metrics(), upload_bytes=1 << 30, draining=Event())
    return app


def call(method: str, path: str, **sent: object) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(little_app(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **sent)

    return asyncio.run(once())


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(subclasses(each) for each in kind.__subclasses__()))


def test_every_exception_of_plans_and_engine_has_its_own_row():
    ours = {
        each
        for each in subclasses(PlanError) | subclasses(EngineError)
        if each.__module__ in (plans.errors.__name__, engine.errors.__name__)
    }

    assert ours <= set(EXCEPTIONS)


def test_every_code_has_a_status():
    assert set(STATUS) == set(Code)
    assert 422 not in STATUS.values()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("x"), 404, "not_found"),
        (Conflict("x"), 409, "conflict"),
        (engine.errors.ActiveRun("run_1"), 409, "import_already_running"),
        (engine.errors.AlreadyDecided("x"), 409, "already_decided"),
        (engine.errors.ProposalChanged("x"), 412, "proposal_changed"),
        (engine.errors.QuotaExceeded("files", limit=1), 429, "quota_exceeded"),
        (SourceError(SourceCode.EMPTY, "nothing in it"), 400, "source_unreadable"),
        (PlanInvalid("p", (PlanProblem(path="sheets", message="missing"),)), 400, "plan_invalid"),
        (RuntimeError("secret"), 500, "internal_error"),
        (StorageError("no route to http://secret:9000/bucket"), 503, "unavailable"),
    ],
)
def test_an_exception_becomes_its_status_and_code(error, status, code):
    found = translated(error)

    assert (STATUS[found.code], found.code) == (status, code)
    assert "secret" not in found.detail


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "code"),
    [
        ("GET", "/v1/things/missing", {}, 404, "not_found"),
        ("GET", "/v1/nothing", {}, 404, "not_found"),
        ("DELETE", "/v1/things", {}, 405, "method_not_allowed"),
        ("GET", "/v1/things/a?limit=many", {}, 400, "validation_error"),
        ("POST", "/v1/things", {"json": {"name": 1}}, 400, "validation_error"),
        ("POST", "/v1/things", {"json": {"name": "a", "more": 1}}, 400, "validation_error"),
        ("POST", "/v1/things", {"content": b"{", "headers": {"content-type": "application/json"}},
         400, "validation_error"),
        ("POST", "/v1/things", {"content": b" " * 1_000_001}, 413, "payload_too_large"),
        ("GET", "/v1/things/broken", {}, 500, "internal_error"),
        ("GET", "/v1/limited", {}, 429, "rate_limited"),
    ],
)  # fmt: skip
def test_every_refusal_is_one_problem_document(method, path, sent, status, code):
    answer = call(method, path, **sent)
    told = Problem.model_validate(answer.json())

    assert (answer.status_code, told.status, told.code) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told.request_id == answer.headers["x-request-id"]
    assert told.error == told.detail
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


def test_a_validation_error_points_at_the_member_and_hides_its_value():
    told = call("POST", "/v1/things", json={"name": ["rk_live_secret"]}).json()

    assert told["errors"][0]["pointer"] == "/name"
    assert "rk_live_secret" not in json.dumps(told)


def test_a_library_s_words_become_one_line_without_colours():
    told = RuntimeError(
        "403 Forbidden:\n  \x1b[31m↳\x1b[0m no such key\n\nDebug source:\nGeneric {}"
    )
    assert gist(told) == "403 Forbidden: no such key"


def test_at_most_a_hundred_findings_are_told():
    many = tuple(PlanProblem(path=f"sheets[{n}]", message="bad") for n in range(150))
    answer = errors.problem(translated(PlanInvalid("p", many)), path="/", request_id="r")
    told = json.loads(answer.body)

    assert len(told["errors"]) == 100
    assert told["errors_truncated"] is True


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-DEF_12345", True), ("short", False), ("a" * 65, False), ("new\nline-123", False)],
)
def test_a_sensible_request_id_is_kept_and_others_are_replaced(given, kept):
    async def once() -> str:
        told: list[dict] = []

        async def receive() -> dict:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict) -> None:
            told.append(message)

        headers = [(b"x-request-id", given.encode())]
        scope = {"type": "http", "method": "GET", "path": "/v1/things/a", "headers": headers,
                 "query_string": b"", "raw_path": b"/v1/things/a", "http_version": "1.1",
                 "scheme": "http", "root_path": ""}  # fmt: skip
        await little_app()(scope, receive, send)
        return dict(told[0]["headers"])[b"x-request-id"].decode()

    assert (asyncio.run(once()) == given) is kept


def test_the_api_version_is_echoed_and_an_unknown_date_refused():
    known = call("GET", "/v1/things/a", headers={"api-version": API_VERSIONS[0]})
    unknown = call("GET", "/v1/things/a", headers={"api-version": "1999-01-01"})

    assert known.headers["api-version"] == API_VERSIONS[0]
    assert unknown.json()["code"] == "unsupported_api_version"
    assert unknown.status_code == 400


def test_the_limit_headers_parse_as_structured_fields_and_agree():
    answer = call("GET", "/v1/limited")
    policy = http_sf.parse(answer.headers["ratelimit-policy"].encode(), tltype="list")
    left = http_sf.parse(answer.headers["ratelimit"].encode(), tltype="list")

    assert policy == [("default", {"q": 0, "w": 60})]
    assert left == [("default", {"r": 0, "t": 60})]
    assert answer.headers["x-ratelimit-limit"] == "0"
    assert int(answer.headers["retry-after"]) >= left[0][1]["t"]
    assert answer.json()["type"].endswith("#quota-exceeded")
    assert answer.json()["violated-policies"] == ["default"]


def test_an_operation_that_goes_says_so_in_every_answer():
    told = call("GET", "/v1/old").headers
    since = http_sf.parse(told["deprecation"].encode(), tltype="item")[0]

    assert since == RETIREMENT.since
    assert parsedate_to_datetime(told["sunset"]) == RETIREMENT.sunset
    assert told["link"] == '</docs#old>; rel="deprecation"'
    with pytest.raises(ValueError, match="180 days"):
        retiring(dataclasses.replace(RETIREMENT, sunset=RETIREMENT.since))


def test_a_window_refuses_what_is_too_much_and_opens_again():
    now = [0.0]
    windows = Windows(Rate(requests=100, seconds=60), clock=lambda: now[0])
    left = [windows.take("key").remaining for _ in range(101)]

    assert (left[0], left[99], left[100]) == (99, 0, -1)
    now[0] = 59.0
    assert windows.take("key").reset == pytest.approx(1.0)
    assert windows.take("other key").remaining == 99
    now[0] = 60.0
    assert windows.take("key").remaining == 99


def test_a_chunked_body_is_cut_at_the_cap():
    with pytest.raises(BodyRefused) as refused:
        asyncio.run(read_all(guarded(chunks(b"x" * 600, b"x" * 600), cap=1_000)))

    assert refused.value.error.code is Code.PAYLOAD_TOO_LARGE
    assert refused.value.error.members == {"max_bytes": 1_000}


def test_a_dribbled_body_is_cut(monkeypatch):
    monkeypatch.setattr("api.limits.BODY_GRACE_SECONDS", 0.05)
    monkeypatch.setattr("api.limits.BODY_BYTES_PER_SECOND", 1_000_000)

    with pytest.raises(BodyRefused) as refused:
        asyncio.run(read_all(guarded(chunks(*[b"x"] * 100, pause=0.01), cap=1_000)))

    assert refused.value.error.code is Code.REQUEST_TIMEOUT


def test_only_uploads_and_imports_take_more_than_a_megabyte():
    caps = [body_cap(path, upload_bytes=5) for path in
            ("/v1/uploads/up_1/content", "/v1/companies/co_1/imports", "/v1/companies")]  # fmt: skip

    assert caps == [5, 20_000_000, 1_000_000]


@pytest.mark.parametrize("change", ["partner", "query", "text"])
def test_a_cursor_is_good_for_one_partner_and_one_query(change):
    given = {"partner": "ptn_a", "query": {"status": "failed"}, "secrets": SECRETS}
    text = cursor("run_7", **given)
    assert place(text, **given) == "run_7"

    other = {**given, "partner": "ptn_b"} if change == "partner" else given
    other = {**given, "query": {}} if change == "query" else other
    with pytest.raises(ApiError) as refused:
        place(text[:-2] if change == "text" else text, **other)
    assert refused.value.code is Code.VALIDATION_ERROR


def test_a_cursor_outlives_a_rotation_of_the_secret():
    before = Secrets(ring=SECRETS.ring[1:])
    text = cursor("run_7", partner="p", query={}, secrets=before)

    assert place(text, partner="p", query={}, secrets=SECRETS) == "run_7"


def test_no_secret_and_no_control_character_reaches_a_log_line():
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.JsonLines())
    key = "rk_live_" + "a" * 39
    canaries = [key, "sk-abcdefgh12345678", "whsec_abcdef==", "hunter2"]
    record = logging.makeLogRecord(
        {
            "name": "t", "msg": "line\nbreak %s %s Bearer %s", "args": (key, canaries[1], canaries[2]),
            "url": "https://u:hunter2@host/x?signature=hunter2", "authorization": "hunter2",
            "levelname": "INFO", "body": "hunter2",
        }
    )  # fmt: skip
    handler.emit(record)

    assert not [each for each in canaries if each in out.getvalue()]
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue())["message"].startswith("line\nbreak")


def test_no_code_is_missing_in_the_partner_guide():
    guide = (Path(__file__).parents[2] / "api" / "README.md").read_text()

    assert [code for code in Code if f"`{code}`" not in guide] == []


def chunks(*parts: bytes, pause: float = 0.0) -> Receive:
    left = list(parts)

    async def receive() -> dict:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return receive


async def read_all(receive: Receive) -> int:
    total = 0
    while True:
        message = await receive()
        total += len(message["body"])
        if not message["more_body"]:
            return total
