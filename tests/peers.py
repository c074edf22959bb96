"""What the tests of other products' imports share: a plan, rows, and a client that may deliver."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from receivers import Endpoint
from serving import WAIT, company, deployment, planned, post

ERRORS = {"severity": "error"}
TAKE_VALID = {"when_invalid": "take_valid"}

ROWS = [
    {"Name": "Ann", "Email": "ann@x.example", "Age": 31},
    {"Name": "Bob", "Email": "no mail", "Age": 44},
    {"Name": "Ann again", "Email": "ann@x.example", "Age": 31},
]
SEMICOLONS = b"Name;E-mail;Age\r\nAnn;ann@x.example;31\r\nBob;no mail;44\r\n"

TEMPLATE = """
template: contacts
fields:
  - {name: name}
  - {name: email, type: email, required: true}
  - {name: age, type: integer}
  - {name: website, type: domain}
  - {name: linkedin, type: url}
identity: [email]
rules:
  - {rule: require_any, fields: [name, linkedin]}
"""
PLAN = """
plan: crm
sheets:
  - template: contacts
    columns:
      - {field: name, from: Name}
      - {field: email, from: Email}
      - {field: age, from: Age}
      - {field: website, from: Website, transforms: [domain], optional: true}
      - {field: linkedin, from: LinkedIn, transforms: [url], optional: true}
"""


@contextmanager
def importing(folder: Path, endpoint: Endpoint | None = None) -> Iterator[httpx.Client]:
    """A client with a planned source; the deployment may deliver to the endpoint."""
    said: dict[str, object] = {}
    if endpoint is not None:
        ports = f"443,{urlsplit(endpoint.url).port}"
        said = {"outbound_http": True, "outbound_cidrs": "127.0.0.0/8", "outbound_ports": ports}
    with deployment(folder, **said) as there:
        made = there.client()
        planned(made, plan=PLAN, template=TEMPLATE)
        yield made


def three(client: httpx.Client) -> dict:
    """A completed import of three rows: one valid, one invalid, one a duplicate."""
    body = {"rows": ROWS, "policy": TAKE_VALID, "metadata": {"list": "7"}}
    return imports(client, body, **WAIT, **{"Idempotency-Key": "peers-1"})


def imports(client, body: dict, **headers: str) -> dict:
    return post(client, f"/v1/companies/{company(client)['id']}/imports", body, **headers)


def ask(client, body: dict) -> httpx.Response:
    return client.post(f"/v1/companies/{company(client)['id']}/imports", json=body)


def preview(client, body: dict) -> dict:
    return post(client, f"/v1/companies/{company(client)['id']}/preview", body)


def sent(client, made: str, content: bytes, name: str) -> str:
    files = {"file": (name, content)}
    answer = client.post(f"/v1/companies/{made}/files", files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()["upload_ref"]


def stored(run: dict) -> dict[str, int]:
    """What the run did to its only sheet, without the zeros."""
    (sheet,) = run["rows"]
    return {name: count for name, count in sheet.items() if count and name != "sheet"}
