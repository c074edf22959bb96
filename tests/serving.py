"""A real server on loopback for tests, and the first steps every partner takes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from api.app import Limits, create_app
from api.deps import Services
from api.limits import Rate
from api.server import Server, configured, opened, started_worker
from engine.model import Scope
from engine.settings import Settings
from engine.store import keys, partners

LAVISH = Limits(
    requests=Rate(requests=1_000_000, seconds=60), failures=Rate(requests=1_000_000, seconds=60)
)

CONTACTS = """
template: contacts
fields:
  - name: name
    required: true
  - name: email
    type: email
    required: true
  - name: age
    type: integer
identity: [email]
"""

#: A request that waits until the run ended or waits for a person.
WAIT = {"Prefer": "wait=60"}

PLAN = """
plan: crm
sheets:
  - template: contacts
    columns:
      - field: name
        from: Name
      - field: email
        from: Email
      - field: age
        from: Age
"""


@contextmanager
def running(services: Services, *, limits: Limits = LAVISH) -> Iterator[str]:
    """The API over these services, by its base URL."""
    server = Server(
        configured(create_app(services, limits=limits), host="127.0.0.1", port=0),
        draining=services.draining,
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        services.draining.set()
        server.should_exit = True
        thread.join(15)


@contextmanager
def deployment(
    folder: Path, *, worker: bool = True, limits: Limits = LAVISH, **said: Any
) -> Iterator["Deployment"]:
    """A server with its own database, files and, if wanted, worker."""
    settings = Settings(data_dir=folder, min_free_bytes=0, **said)
    with opened(settings) as services:
        stop = started_worker(services) if worker else (lambda: None)
        try:
            with running(services, limits=limits) as url:
                there = Deployment(services, url)
                yield there
                for client in there.clients:
                    client.close()
        finally:
            stop()


class Deployment:
    """A running server and a way to make partners and clients for it."""

    def __init__(self, services: Services, url: str) -> None:
        self.services, self.url = services, url
        self.clients: list[httpx.Client] = []
        # What signed URLs start with, which was not known before there was a port.
        object.__setattr__(
            services, "settings", services.settings.model_copy(update={"public_url": url})
        )

    def partner(self, name: str = "partner") -> str:
        """A new partner's id."""
        with self.services.database.begin() as c:
            return partners.add(c, name).id

    def key(self, partner: str, *, scopes: frozenset[Scope] = frozenset(Scope), **said: Any) -> str:
        """A new key's text."""
        with self.services.database.begin() as c:
            _, text = keys.mint(
                c, partner, secrets=self.services.secrets, name="test", scopes=scopes, **said
            )
        return text

    def client(self, key: str | None = None, **headers: str) -> httpx.Client:
        """A client with this key, or with every right of a new partner."""
        text = key or self.key(self.partner())
        sent = {"x-api-key": text, **headers}
        self.clients.append(
            httpx.Client(base_url=self.url, headers=sent, timeout=120, trust_env=False)
        )
        return self.clients[-1]


def planned(client: httpx.Client, *, plan: str = PLAN, template: str = CONTACTS) -> dict[str, Any]:
    """A source `crm` with a template and a published plan; the plan."""
    post(client, "/v1/sources", {"name": "crm"})
    post(client, "/v1/templates", {"document": template})
    made = post(client, "/v1/plans", {"source": "crm", "document": plan})
    return post(client, f"/v1/plans/{made['id']}/publish", {"number": 1})


def company(client: httpx.Client, **said: Any) -> dict[str, Any]:
    """A company of the source `crm`."""
    return post(client, "/v1/companies", {"name": "Acme", "source": "crm", **said})


def post(client: httpx.Client, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
    """The answer to a POST that must succeed."""
    answer = client.post(path, json=body, headers=headers)
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


def uploaded(client: httpx.Client, company_id: str, content: bytes, *, name: str) -> str:
    """The upload_ref of a file sent by its signed URL."""
    body = {"name": name, "content_type": "text/csv", "size": len(content)}
    told = post(client, f"/v1/companies/{company_id}/uploads", body)
    answer = httpx.put(
        told["upload_url"], content=content, headers=told["headers"], trust_env=False
    )
    assert answer.status_code == 200, answer.text
    return str(told["upload_ref"])


def start(client: httpx.Client, company_id: str, content: bytes, **said: Any) -> dict[str, Any]:
    """A run over the uploaded file."""
    upload = uploaded(client, company_id, content, name="contacts.csv")
    body = {"files": [{"upload_ref": upload}], **said}
    return post(client, f"/v1/companies/{company_id}/imports", body)


def imported(client: httpx.Client, company_id: str, content: bytes, **said: Any) -> dict[str, Any]:
    """The run over the uploaded file, when it has ended or waits."""
    run = start(client, company_id, content, **said)
    return settled(client, run["poll_url"])


def settled(client: httpx.Client, url: str) -> dict[str, Any]:
    """The run, export or delivery once nobody works on it, however slow the machine is."""
    while (told := client.get(url, headers=WAIT).json())["status"] in ("queued", "running"):
        pass
    return dict(told)
