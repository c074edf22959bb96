"""The OpenAPI 3.1 document: what FastAPI knows, plus errors, headers, webhooks and examples."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.errors import STATUS, ApiError, Code, Problem, problem
from api.limits import Rate
from api.links import link
from api.schemas.webhooks import Message
from engine.model import RunStatus
from engine.store.errands import Kind, Status

METHODS = ("get", "put", "post", "delete", "patch", "head")
REF = "#/components/schemas/"

DESCRIPTION = """Import customers' messy files and heal the import plan when the files change.

Provision a company, upload its files, start an import, poll the run, decide where it asks, download
the valid rows. Clients ignore members they do not know; enumerations may grow."""

_DESCRIPTIONS = {
    200: "Done",
    201: "Created; `Location` says where",
    202: "Accepted; it will happen",
    204: "Done, without a body",
}

_HEADERS: Mapping[str, tuple[str, str]] = {
    "X-Request-ID": ("string", "Quote it when you ask us about this request"),
    "Api-Version": ("string", "Date of the behaviour that answered"),
    "RateLimit-Policy": ("string", "The quota: q requests in w seconds"),
    "RateLimit": ("string", "r requests are left, for t seconds"),
    "X-RateLimit-Limit": ("integer", "Requests in a window"),
    "X-RateLimit-Remaining": ("integer", "Requests left in this window"),
    "X-RateLimit-Reset": ("integer", "Unix time at which the window ends"),
    "Retry-After": ("integer", "Seconds to wait before trying again"),
    "Location": ("string", "Where the new thing is"),
    "ETag": ("string", "This version of it"),
    "Idempotent-Replayed": ("string", "`true` when this answer was given before"),
    "WWW-Authenticate": ("string", "How to authenticate"),
}
_ALWAYS = ("X-Request-ID", "Api-Version")
_COUNTED = ("RateLimit-Policy", "RateLimit", *(n for n in _HEADERS if n.startswith("X-RateLimit")))


def install_document(app: FastAPI, *, rate: Rate) -> None:
    """Make `app.openapi()` give the whole document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = whole(app, rate=rate)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def whole(app: FastAPI, *, rate: Rate) -> dict[str, Any]:
    """The document of this application."""
    made = get_openapi(
        title=app.title,
        version=app.version,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=app.routes,
        servers=[{"url": "/", "description": "This deployment"}],
    )
    made["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    made["tags"] = [{"name": each} for each in _tags(made)]
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _models()
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    made["components"]["headers"] = {
        name: {"description": text, "schema": {"type": kind}}
        for name, (kind, text) in _HEADERS.items()
    }
    made["components"]["responses"] = _refusals()
    made["components"]["securitySchemes"] = {
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    for path, method, operation in operations(made):
        _complete(operation, path=path, method=method, schemas=schemas, rate=rate)
    link(list(operations(made)), schemas)
    made["webhooks"] = _webhooks()
    return made


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of everything the document describes."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def example(schema: Any, schemas: Mapping[str, Any], depth: int = 0) -> Any:
    """A value of the schema, made of the examples, constants and defaults it has."""
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        return example(schemas[schema["$ref"].removeprefix(REF)], schemas, depth + 1)
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            null = {"type": "null"} in schema[word]
            return None if null else example(schema[word][0], schemas, depth + 1)
    return _of_type(schema, schemas, depth)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int) -> Any:
    match schema.get("type"):
        case "object":
            members = schema.get("properties", {})
            wanted = members if depth < 12 else schema.get("required", ())
            return {name: example(members[name], schemas, depth + 1) for name in wanted}
        case "array":
            items = schema.get("items", {})
            few = max(schema.get("minItems", 0), 1 if "$ref" in items and depth < 6 else 0)
            return [example(items, schemas, depth + 1) for _ in range(few)]
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return "text"[: schema.get("maxLength", 4)]


def _complete(
    operation: dict[str, Any],
    *,
    path: str,
    method: str,
    schemas: Mapping[str, Any],
    rate: Rate,
) -> None:
    name = operation["operationId"]
    operation["summary"] = _words(name)
    keyed = bool(operation.get("security"))
    if keyed:
        operation["x-ratelimit"] = {"requests": rate.requests, "seconds": rate.seconds}
    codes = _codes(operation.pop("x-codes", []), operation, path=path, method=method)
    responses = operation["responses"]
    responses.pop("422", None)
    for status, response in responses.items():
        response["description"] = _DESCRIPTIONS.get(int(status), response["description"])
        response["headers"] = _headers(int(status), keyed=keyed, method=method)
        _content(response, path, schemas)
    if method == "get" and keyed and "ETag" in responses.get("200", {}).get("headers", {}):
        responses["304"] = {
            "description": "Not changed since the version of `If-None-Match`",
            "headers": _headers(304, keyed=keyed, method=method),
        }
    if _is_file(path) and not path.endswith((".zip", "results.csv")):
        responses["206"] = {**responses["200"], "description": "The part that `Range` asked for"}
        responses["304"] = {
            "description": "Not changed",
            "headers": _headers(304, keyed=keyed, method=method),
        }
    for status, words in sorted(codes.items()):
        told = " | ".join(f"`{each}`" for each in words)
        responses[str(status)] = {"$ref": f"#/components/responses/{status}", "description": told}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "examples" not in content and content["schema"].get("format") != "binary":
            content["examples"] = {"example": {"value": example(content["schema"], schemas)}}


def _codes(
    words: list[str], operation: Mapping[str, Any], *, path: str, method: str
) -> dict[int, list[str]]:
    codes = [Code(each) for each in words]
    if "requestBody" in operation or method == "post":
        codes += [Code.PAYLOAD_TOO_LARGE, Code.REQUEST_TIMEOUT]
    if method == "post":
        codes += [
            Code.IDEMPOTENCY_KEY_REQUIRED,
            Code.IDEMPOTENCY_CONFLICT,
            Code.IDEMPOTENCY_IN_PROGRESS,
        ]
    found = defaultdict(list)
    for code in dict.fromkeys(codes):
        found[STATUS[code]].append(str(code))
    return dict(found)


def _refusals() -> dict[str, Any]:
    """The answer of each status that refuses; operations refer to it and name their codes."""
    first: dict[int, Code] = {}
    for code, status in STATUS.items():
        first.setdefault(status, code)
    return {str(status): _refusal(status, code) for status, code in sorted(first.items())}


def _refusal(status: int, code: Code) -> dict[str, Any]:
    told = problem(
        ApiError(code=code, detail="what happened, and what to do"),
        path="/v1/companies",
        request_id="req_7b1e9f0c2a",
    )
    headers = [*_ALWAYS, *(() if status == 401 else _COUNTED)]
    headers += ["Retry-After"] if status in (429, 503) else []
    headers += ["WWW-Authenticate"] if status == 401 else []
    return {
        "description": HTTPStatus(status).phrase,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        "content": {
            "application/problem+json": {
                "schema": {"$ref": f"{REF}Problem"},
                "examples": {"example": {"value": json.loads(bytes(told.body))}},
            }
        },
    }


def _headers(status: int, *, keyed: bool, method: str) -> dict[str, Any]:
    names = list(_ALWAYS)
    names += _COUNTED if keyed else ()
    names += ["Location"] if status == 201 else []
    names += ["Idempotent-Replayed"] if method == "post" else []
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


#: What a file can be, beside JSON: reports, result files, exports, downloads.
_FILES = (
    "text/csv", "application/octet-stream", "application/zip", "application/gzip",
    "application/x-ndjson", "application/vnd.apache.parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
)  # fmt: skip


def _content(response: dict[str, Any], path: str, schemas: Mapping[str, Any]) -> None:
    """An example for each representation; files are bytes of their own type."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    if _is_file(path) and not path.endswith(".zip"):
        nothing = {"examples": {"example": {"value": ""}}}
        response["content"] = dict.fromkeys(_FILES, binary | nothing)
        response["content"]["application/json"] = {"schema": {}, **nothing}
    elif path.endswith(".zip"):
        response["content"] = {"application/zip": binary}
    for media, content in response.get("content", {}).items():
        if media == "application/json" and content.get("schema"):
            content["examples"] = {"example": {"value": example(content["schema"], schemas)}}


def _is_file(path: str) -> bool:
    """Whether the operation answers with the bytes of a file."""
    ends = path.endswith((".csv", ".zip", "/file", "/export.{format}", "/files/{name}"))
    return ends or "/downloads/" in path


def _models() -> dict[str, Any]:
    _, definitions = models_json_schema(
        [(Problem, "serialization"), (Message, "serialization")], ref_template=REF + "{model}"
    )
    found: dict[str, Any] = definitions["$defs"]
    return found


def _webhooks() -> dict[str, Any]:
    """A message for each state a run, export or delivery can enter, and for an endpoint's end."""
    told = {f"run.{status}": "A run" for status in RunStatus}
    for kind, name in ((Kind.EXPORT, "An export"), (Kind.DELIVERY, "A delivery")):
        told |= {f"{kind}.{each}": name for each in Status if each is not Status.RUNNING}
    told["endpoint.disabled"] = "An endpoint"
    return {type_: {"post": _message(type_, name)} for type_, name in told.items()}


def _message(type_: str, name: str) -> dict[str, Any]:
    state = type_.partition(".")[2]
    return {
        "operationId": "on" + "".join(w.capitalize() for w in re.split("[._]", type_)),
        "summary": f"{name} is {state.replace('_', ' ')}",
        "description": "Signed by Standard Webhooks 1.0.0; answer with any 2xx status.",
        "tags": ["webhooks"],
        "security": [],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": f"{REF}Message"}}}},
        "responses": {"204": {"description": "Received"}},
    }


def _tags(document: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(tag for _, _, each in operations(document) for tag in each["tags"]))


def _words(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", lambda found: " " + found[1].lower(), name).capitalize()
