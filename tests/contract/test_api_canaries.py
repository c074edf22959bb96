"""One secret of each kind through success, refusal, fault and crash: it stays nowhere (S29)."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from receivers import http_endpoint, tcp_door
from serving import Deployment, company, deployment, planned, post, uploaded
from stored import fill

from api import logs
from engine.ids import Kind, new_id
from engine.outbound import Outbound
from engine.settings import Settings
from engine.store import keys
from engine.webhooks import Sender

RING = base64.b64encode(bytes(range(32))).decode()
GIVEN = {
    "secrets": f"canary:{RING}",
    "llm_key": "sk-canary0123456789",
    "s3_secret_key": "canary/s3/secret",
    "log_level": "DEBUG",
    "retry_seconds": 0.01,
}
ROWS = {"csv": "Name,Email\nAnn,ann@x.example\n"}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the process logs at the most talkative level, as `reknit serve` writes it."""
    root, out = logging.getLogger(), io.StringIO()
    before, level, heard = root.handlers[:], root.level, httpx_levels()
    logs.configure("DEBUG", known=Settings(**GIVEN).confidential, stream=out)
    yield out
    root.handlers[:] = before
    root.setLevel(level)
    for name, each in heard.items():
        logging.getLogger(name).setLevel(each)


def httpx_levels() -> dict[str, int]:
    names = ("httpx", "httpcore", "dbos", "alembic")
    return {name: logging.getLogger(name).level for name in names}


def test_a_secret_of_each_kind_is_nowhere_afterwards(
    tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        deployment(tmp_path, outbound_http=True, **GIVEN) as there,
        http_endpoint(lambda _: (204, {}, {})) as endpoint,
    ):
        object.__setattr__(there.services, "outbound", endpoint.policy)
        secrets, told = used(there, endpoint.url)
        told += broken(there, monkeypatch, secrets)
        deliver(there, endpoint.policy)
    places = {
        "log": log.getvalue().encode(),
        "problem bodies": b"".join(each.content for each in told),
        "webhooks": json.dumps(endpoint.batches).encode(),
        **{str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()},
    }
    hits = [
        (kind, place)
        for kind, secret in secrets.items()
        for place, content in places.items()
        if secret.encode() in content
    ]

    assert hits == []
    assert {401, 404, 500} <= {each.status_code for each in told}
    assert '"level": "error"' in log.getvalue()
    assert '"level": "debug"' in log.getvalue()


def used(there: Deployment, url: str) -> tuple[dict[str, str], list[httpx.Response]]:
    """Each secret in a request that succeeds and, where one can, in one that is refused."""
    key = there.key(there.partner())
    client = there.client(key)
    planned(client)
    made = company(client)
    minted = post(client, "/v1/keys", {"name": "k", "scopes": ["imports:write"]},
                  **{"Idempotency-Key": "mint"})  # fmt: skip
    hook = post(client, "/v1/webhooks", {"url": url}, **{"Idempotency-Key": "hook"})
    uploaded(client, made["id"], b"Name\nAnn\n", name="a.csv")
    ticket = post(client, f"/v1/companies/{made['id']}/uploads", {"name": "b.csv", "size": 3})
    magic, unknown = made["magic_link_url"], keys.new_text("live")
    refused = [
        httpx.get(f"{there.url}/v1/me", headers={"x-api-key": unknown}, trust_env=False),
        httpx.get(f"{there.url}/v1/me?api_key={key}", trust_env=False),
        httpx.get(f"{there.url}/nowhere/{key}", headers={"x-api-key": key}, trust_env=False),
        httpx.put(ticket["upload_url"] + "&x=1", content=b"abc", trust_env=False),
        httpx.get(magic.replace("/m/", "/nowhere/"), trust_env=False),
    ]
    assert httpx.get(magic, trust_env=False).is_success
    secrets = {
        "key": key, "minted key": minted["secret"], "unknown key": unknown,
        "webhook secret": hook["secret"], "magic link": magic.rpartition("/")[2],
        "signature": parse_qs(urlsplit(ticket["upload_url"]).query)["signature"][0],
        "ring": RING, "LLM key": GIVEN["llm_key"], "S3 secret": GIVEN["s3_secret_key"],
    }  # fmt: skip
    return secrets, refused


def broken(
    there: Deployment, monkeypatch: pytest.MonkeyPatch, secrets: dict[str, str]
) -> list[httpx.Response]:
    """Faults that repeat every secret, as a provider's error text does: in a request, in a run."""
    spelled = "; ".join(f"{kind.replace(' ', '_')}={each}" for kind, each in secrets.items())
    url = f"postgresql://reknit:{secrets['S3 secret']}@db/x?signature={secrets['signature']}"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(f"provider said: {spelled}; {url}")

    client = there.client(secrets["key"])
    made = company(client)["id"]
    with monkeypatch.context() as patch:
        patch.setattr("engine.store.sources.page", fail)
        answers = [client.get("/v1/sources")]
        patch.setattr("engine.turns._context", fail)
        run = post(client, f"/v1/companies/{made}/imports", ROWS)
        ended = client.get(run["poll_url"], headers={"Prefer": "wait=30"})
    assert ended.json()["status"] == "failed", ended.text
    assert ended.json()["error"]["code"] == "internal_error"
    return [*answers, ended, client.get(f"/v1/runs/{run['id']}/events/list")]


def deliver(there: Deployment, policy: Outbound) -> None:
    """Send every webhook that is due."""
    sender = Sender(
        there.services.database, keys=there.services.seals, policy=policy, base_url=there.url
    )
    while sender.step():
        pass
    sender.stop()


#: What opens a destination of each kind, and no pattern could tell from other text.
OPENS = {
    "postgresql": "canary-of-postgresql",
    "http": "whsec_" + base64.b64encode(b"canary-of-http-endpoints").decode(),
    "s3": "canary-of-the-bucket",
}


def test_credentials_of_destinations_are_nowhere_afterwards(
    tmp_path: Path, log: io.StringIO, monkeypatch: pytest.MonkeyPatch, postgresql: str
) -> None:
    """Taken, wrong, refused by the other side, repeated by a fault: PostgreSQL, HTTP, S3 (S35)."""
    monkeypatch.setattr("engine.courier.MOST_KNOCKS", 2)
    echo = (500, {}, {"error": " ".join(OPENS.values())})
    with http_endpoint(lambda _: echo) as endpoint, tcp_door(door(postgresql)) as port:
        ports = f"{urlsplit(endpoint.url).port},{port}"
        with deployment(
            tmp_path, outbound_http=True, outbound_cidrs="127.0.0.0/8,::1/128",
            outbound_ports=ports, poll_seconds=0.05, **GIVEN,
        ) as there:  # fmt: skip
            client = there.client()
            planned(client)
            made = company(client)
            fill(there, made, tmp_path / "in", run=new_id(Kind.RUN), rows=[{"email": "a@x.io"}])
            kinds = places(endpoint.url, port)
            told = sent(client, made["id"], kinds)
            told += failing(client, made["id"], kinds, monkeypatch)
            told += [client.get(f"/v1/{path}") for path in ("audit", "events", "destinations")]
    found = {
        "log": log.getvalue().encode(),
        "answers": b"".join(each.content for each in told),
        **{str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()},
    }

    assert [
        (kind, place)
        for kind, secret in OPENS.items()
        for place, content in found.items()
        if secret.encode() in content
    ] == []


def door(url: str) -> str:
    """The socket file of the PostgreSQL that the tests share."""
    query = parse_qs(urlsplit(url.format("postgres")).query)
    return next(str(each) for each in Path(query["host"][0]).glob(".s.PGSQL.*[0-9]"))


def places(url: str, port: int) -> list[dict[str, object]]:
    return [
        {"kind": "postgresql", "host": "localhost", "port": port, "database": "nowhere",
         "user": "nobody", "password": OPENS["postgresql"], "sslmode": "disable"},
        {"kind": "http", "url": url, "secret": OPENS["http"]},
        {"kind": "s3", "bucket": "b-b", "access_key": "a", "secret_key": OPENS["s3"],
         "endpoint": url.removesuffix("/rows")},
    ]  # fmt: skip


def sent(client: httpx.Client, home: str, kinds: list[dict[str, object]]) -> list[httpx.Response]:
    """Each destination made, made wrongly, replaced, shown, and delivered to without success."""
    answers = []
    for each in kinds:
        wrong = {name: OPENS[str(each["kind"])] for name in ("endpoint", "host", "url", "colour")}
        for body in (each, {**each, **wrong}, {**each, "secret": 7}, {**each, "kind": "x"}):
            made = client.post("/v1/destinations", json={"name": each["kind"], "destination": body})
            answers.append(made)
        to = f"/v1/destinations/{answers[-4].json()['id']}"
        answers += [client.put(to, json={"destination": each}), client.get(to)]
        body = {"destination": each["kind"]}
        path = f"/v1/companies/{home}/deliveries"
        run = post(client, path, body, **{"Idempotency-Key": str(each["kind"])})
        ended = over(client, f"{path}/{run['id']}")
        assert ended.json()["status"] == "failed", ended.text
        answers += [ended, client.get(f"{path}/{run['id']}/results")]
    assert {each.status_code for each in answers} == {200, 201, 400}
    return answers


def over(client: httpx.Client, url: str) -> httpx.Response:
    """The delivery once it has ended."""
    answer = client.get(url)
    while answer.json()["status"] in ("queued", "running"):
        answer = client.get(url, headers={"Prefer": "wait=20"})
    return answer


def failing(
    client: httpx.Client,
    home: str,
    kinds: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
) -> list[httpx.Response]:
    """Faults of our own that repeat all they were given, in a request and in a delivery."""

    def fail(*given: object, **named: object) -> None:
        raise RuntimeError(repr((given, named)))

    path = f"/v1/companies/{home}/deliveries"
    with monkeypatch.context() as patch:
        patch.setattr("engine.store.destinations.add", fail)
        answers = [
            client.post("/v1/destinations", json={"name": "b", "destination": each})
            for each in kinds
        ]
        patch.setattr("psycopg.connect", fail)
        run = post(client, path, {"destination": "postgresql"})
        answers.append(over(client, f"{path}/{run['id']}"))
    told = answers[-1].json()
    assert [each.status_code for each in answers] == [500, 500, 500, 200]
    assert (told["status"], told["error_code"]) == ("failed", "internal_error")
    return answers
