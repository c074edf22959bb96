"""The document, a page that shows it, and a page about every error; nothing from another host."""

import json
import re
import threading
from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from html import escape
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.concurrency import run_in_threadpool

from api.errors import STATUS, Code
from api.openapi import operations

router = APIRouter()

_ERRORS = Path(__file__).parents[1] / "errors.py"

_POLICY = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; frame-ancestors 'none'"

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}code,pre{font:14px ui-monospace,monospace}"
    "summary{cursor:pointer;padding:.4rem 0}td,th{text-align:left;padding:.2rem .8rem .2rem 0;"
    "vertical-align:top}pre{overflow:auto;padding:.5rem;border:1px solid}"
)


#: The document is written out once, however many ask for it at first.
_WRITING = threading.Lock()


@router.get("/v1/openapi.json")
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    state = request.app.state
    if not hasattr(state, "document"):
        state.document = await run_in_threadpool(_document, request.app)
    return Response(state.document, media_type="application/json")


# Anybody may ask, and to write it out takes seconds.
def _document(app: FastAPI) -> bytes:
    with _WRITING:
        return _text(app)


@lru_cache(maxsize=1)
def _text(app: FastAPI) -> bytes:
    return json.dumps(app.openapi(), ensure_ascii=False, separators=(",", ":")).encode()


@router.get("/docs")
def docs(request: Request) -> Response:
    """Every operation, readable without a script."""
    with _WRITING:
        return _page(_operations(request.app))


@lru_cache(maxsize=1)
def _operations(app: FastAPI) -> str:
    document = app.openapi()
    parts = [f"<h1>{escape(document['info']['title'])}</h1>"]
    parts += [f"<p>{escape(each)}</p>" for each in document["info"]["description"].split("\n\n")]
    parts.append(
        '<p><a href="/v1/openapi.json">OpenAPI 3.1</a> · <a href="/docs/errors">Errors</a></p>'
    )
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        parts += [
            _operation(path, method, each)
            for path, method, each in operations(document)
            if tag["name"] in each["tags"]
        ]
    return "".join(parts)


@router.get("/docs/errors")
def errors_page() -> Response:
    """What every code means; the `type` of a problem leads here."""
    rows = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{STATUS[code]}</td>'
        f"<td>{escape(text)}</td></tr>"
        for code, text in meanings().items()
    )
    head = "<tr><th>code</th><th>status</th><th>meaning</th></tr>"
    return _page(f"<h1>Errors</h1><table>{head}{rows}</table>")


def meanings() -> dict[Code, str]:
    """Each code with the comment beside it, the one place where it is explained."""
    found = dict(
        re.findall(r'^    [A-Z_]+ = "([a-z_]+)"  #: (.+)$', _ERRORS.read_text(), re.MULTILINE)
    )
    return {code: found[code] for code in Code}


def _operation(path: str, method: str, operation: dict[str, object]) -> str:
    responses = operation["responses"]
    codes = ", ".join(responses) if isinstance(responses, dict) else ""
    return (
        f'<details id="{operation["operationId"]}"><summary><code>{method.upper()} {escape(path)}'
        f"</code> {escape(str(operation['summary']))}</summary>"
        f"<p>{escape(str(operation.get('description', '')))}</p><p>Answers: {codes}</p></details>"
    )


def _page(body: str) -> Response:
    digest = b64encode(sha256(_STYLE.encode()).digest()).decode()
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Reknit API</title>'
        f"<style>{_STYLE}</style>{body}"
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY.format(digest)})
