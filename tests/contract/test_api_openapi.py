"""The OpenAPI document: complete, committed, its examples true."""

import json
import os
import re
from pathlib import Path

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator
from starlette.routing import Match

from api.app import create_app
from api.deps import Services
from api.openapi import METHODS, operations
from api.server import opened
from engine.settings import Settings

COMMITTED = Path(__file__).parents[2] / "api" / "openapi.json"


@pytest.fixture(scope="module")
def app(tmp_path_factory) -> FastAPI:
    with opened(Settings(data_dir=tmp_path_factory.mktemp("data"))) as services:
        return create_app(services)


@pytest.fixture(scope="module")
def document(app) -> dict:
    return json.loads(json.dumps(app.openapi()))


def test_the_committed_document_is_the_one_that_is_served(document):
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        COMMITTED.write_text(text)

    assert json.loads(COMMITTED.read_text()) == document, "review it: UPDATE_GOLDEN=1 writes it"


def test_no_request_has_to_build_its_route(app, monkeypatch):
    monkeypatch.delattr("fastapi.dependencies.utils.create_model_field")
    scope = {"type": "http", "method": "GET", "path": "/v1/runs", "headers": []}

    assert [each for each in app.routes if each.matches(scope)[0] is Match.FULL]


def test_every_operation_is_described(document):
    for path, method, each in operations(document):
        where = f"{method} {path}"
        assert re.fullmatch(r"[a-z][a-zA-Z]+", each["operationId"]), where
        assert each["tags"], where
        assert each["summary"], where
        assert each["description"], where
        assert "security" in each, where
        assert each["responses"], where


def test_operation_ids_are_unique(document):
    names = [each["operationId"] for _, _, each in operations(document)]

    assert len(names) == len(set(names))


def test_every_post_with_a_key_takes_an_idempotency_key(document):
    lacking = [
        path
        for path, methods in document["paths"].items()
        if "post" in methods
        and "Idempotency-Key".lower()
        not in {each["name"].lower() for each in methods["post"].get("parameters", [])}
    ]

    assert lacking == []


def test_nothing_answers_422(document):
    assert '"422"' not in json.dumps(document)
    assert "HTTPValidationError" not in json.dumps(document)


def test_every_operation_with_a_key_names_one_scope_for_both_headers(document):
    for path, method, each in operations(document):
        if not each["security"]:
            assert "/content" in path or "/downloads/" in path, (method, path)
            continue
        scopes = {scope for way in each["security"] for names in way.values() for scope in names}
        assert len(scopes) == 1, (method, path)
        assert {name for way in each["security"] for name in way} == {"apiKey", "bearer"}
        assert each["x-ratelimit"] == {"requests": 100, "seconds": 60}


def test_every_refusal_is_a_problem_and_every_answer_has_a_request_id(document):
    for path, method, each in operations(document):
        for status, response in resolved(document, each):
            assert "X-Request-ID" in response["headers"], (method, path, status)
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
            if status in ("429", "503"):
                assert "Retry-After" in response["headers"]


def test_every_body_has_an_example_and_every_example_is_valid(document):
    wrong = []
    for path, method, each in operations(document):
        bodies = [each.get("requestBody", {}), *(body for _, body in resolved(document, each))]
        for media, told in (c for body in bodies for c in body.get("content", {}).items()):
            if not media.endswith("json"):
                continue
            schema = {**told["schema"], "components": document["components"]}
            values = [example["value"] for example in told.get("examples", {}).values()]
            errors = [
                e.message for v in values for e in Draft202012Validator(schema).iter_errors(v)
            ]
            wrong += [(method, path, media, errors)] if errors or not values else []

    assert wrong == []


def resolved(document: dict, operation: dict) -> list[tuple[str, dict]]:
    found = []
    for status, response in operation["responses"].items():
        name = response.get("$ref", "").rpartition("/")[2]
        found.append((status, document["components"]["responses"][name] if name else response))
    return found


def test_every_route_under_v1_is_in_the_document(app, document):
    described = {(path, method) for path, method, _ in operations(document)}
    served = set()
    for router in app.state.routers:
        for route in router.routes:
            path = re.sub(r":path}", "}", route.path)
            served |= {(path, method.lower()) for method in route.methods}

    assert {each for each in served if each[1] in METHODS} == described


def test_the_document_and_its_page_name_no_other_host(app):
    assert isinstance(app.state.services, Services)
    text = json.dumps(app.openapi())

    assert not re.findall(r"https?://(?!reknit\.example|partner\.example|iana\.org)[\w.]+", text)


def test_what_is_made_is_linked_to_its_own_operations(document):
    linked = {
        each["operationId"]: set(response.get("links", {}))
        for _, _, each in operations(document)
        for status, response in each["responses"].items()
        if status in ("201", "202")
    }

    assert {"getExport", "deleteExport", "downloadExport"} <= linked["createExport"]
    assert {"getDelivery", "retryDelivery", "listDeliveryResults"} <= linked["createDelivery"]
    assert {"getRun", "decideRun", "undoImport"} <= linked["createImport"]
    assert {"getUpload", "completeUpload"} <= linked["createUpload"]
    assert "resendDelivery" not in linked["createDelivery"]
