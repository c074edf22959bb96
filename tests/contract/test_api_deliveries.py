"""Deliveries over HTTP: to a real endpoint, a real PostgreSQL and a real bucket."""

import csv
import threading
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import polars
import psycopg
import pytest
from buckets import Bucket
from objects import KEY
from objects import SECRET as STORE_SECRET
from receivers import SECRET, Answer, Endpoint, http_endpoint, tcp_door
from serving import Deployment, company, deployment, post, settled
from stored import fill

from engine.ids import Kind, new_id

RUN = new_id(Kind.RUN)
ROWS = 250
PEOPLE = [
    {"email": f"{n}@x.io", "name": "bad" if n == 100 else "good", "amount": Decimal(n) / 2}
    for n in range(ROWS)
]


class Receiver:
    """How the endpoint answers, which a test may change."""

    def __init__(self) -> None:
        self.status, self.gate = 200, threading.Event()
        self.gate.set()

    def __call__(self, batch: dict[str, Any]) -> Answer:
        self.gate.wait(20)
        said = [
            {"id": row["id"], "ok": row["data"].get("name") != "bad", "message": "no bad people"}
            for row in batch["rows"]
        ]
        return self.status, {}, {"results": said}


@pytest.fixture(scope="module")
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture(scope="module")
def endpoint(receiver: Receiver) -> Iterator[Endpoint]:
    with http_endpoint(receiver) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres(postgresql: str) -> Iterator[tuple[str, int]]:
    url = postgresql.format("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS api_contacts")
        port = connection.info.port
    with tcp_door(f"{parse_qs(urlsplit(url).query)['host'][0]}/.s.PGSQL.{port}") as door:
        yield url, door


@pytest.fixture(scope="module")
def there(
    endpoint: Endpoint, object_store: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    ports = [urlsplit(each).port for each in (endpoint.url, object_store)]
    with deployment(
        tmp_path_factory.mktemp("data"), poll_seconds=0.05, retry_seconds=0.1, outbound_http=True,
        outbound_cidrs="127.0.0.0/8,::1/128", outbound_ports=",".join(map(str, ports)),
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def filled(there: Deployment, client: httpx.Client, tmp_path: Path) -> dict[str, Any]:
    made = company(client)
    fill(there, made, tmp_path, run=RUN, rows=PEOPLE)
    return made


def destination(client: httpx.Client, kind: str, **settings: Any) -> str:
    """The id of a new destination."""
    name = f"to-{new_id(Kind.DESTINATION)[-8:].lower()}"
    body = {"name": name, "destination": {"kind": kind, **settings}}
    return str(post(client, "/v1/destinations", body)["id"])


def to_endpoint(client: httpx.Client, endpoint: Endpoint) -> str:
    return destination(client, "http", url=endpoint.url, secret=SECRET)


def delivered(client: httpx.Client, made: dict[str, Any], to: str, **body: Any) -> dict[str, Any]:
    """The delivery once it ended."""
    sent = post(client, f"/v1/companies/{made['id']}/deliveries", {"destination": to, **body})
    return ended(client, sent)


def ended(client: httpx.Client, delivery: dict[str, Any]) -> dict[str, Any]:
    return settled(client, url_of(delivery))


def url_of(delivery: dict[str, Any]) -> str:
    return f"/v1/companies/{delivery['company_id']}/deliveries/{delivery['id']}"


def test_rows_go_signed_in_batches_the_first_one_alone_and_each_is_answered(
    client: httpx.Client, filled: dict[str, Any], endpoint: Endpoint
) -> None:
    before = len(endpoint.batches)
    done = delivered(client, filled, to_endpoint(client, endpoint))
    assert (done["status"], done["rows_done"], done["rows_refused"]) == ("completed", ROWS, 1)
    assert [len(each["rows"]) for each in endpoint.batches[before:]] == [1, 100, 100, 49]
    found, url = [], done["results_url"]
    while url:
        page = client.get(url, params={"limit": 120} if "?" not in url else None)
        found += page.json()["data"]
        url = page.links.get("next", {}).get("url")
    assert [each["row_id"] for each in found] == list(range(1, ROWS + 1))
    (refused,) = client.get(done["results_url"], params={"refused": True}).json()["data"]
    assert (refused["row_id"], refused["ok"], refused["message"]) == (101, False, "no bad people")
    file = client.get(f"{url_of(done)}/results.csv")
    rows = list(csv.DictReader(StringIO(file.text)))
    assert (len(rows), file.headers["x-total-records"]) == (ROWS, str(ROWS))
    assert rows[100] == {
        "sheet": "contacts", "row_id": "101", "ok": "false", "message": "no bad people",
    }  # fmt: skip


def test_only_what_was_selected_goes(
    client: httpx.Client, filled: dict[str, Any], endpoint: Endpoint
) -> None:
    to, low = to_endpoint(client, endpoint), {"field": "amount", "op": "<", "value": 5}
    before = len(endpoint.rows)
    chosen = {"sheets": ["contacts"], "filter": low, "columns": ["email"]}
    assert delivered(client, filled, to, **chosen)["rows_total"] == 10
    assert endpoint.rows[before]["data"] == {"email": "0@x.io"}
    assert delivered(client, filled, to, run=new_id(Kind.RUN))["rows_total"] == 0
    answer = client.post(
        f"/v1/companies/{filled['id']}/deliveries", json={"destination": to, "filter": low}
    )
    assert answer.status_code == 400


def test_a_refused_canary_stops_everything_until_it_is_tried_again(
    client: httpx.Client, filled: dict[str, Any], endpoint: Endpoint, receiver: Receiver
) -> None:
    before = len(endpoint.rows)
    to, bad = to_endpoint(client, endpoint), {"field": "name", "op": "=", "value": "bad"}
    failed = delivered(client, filled, to, sheets=["contacts"], filter=bad)
    assert (failed["status"], failed["error_code"]) == ("failed", "canary_refused")
    assert len(endpoint.rows) == before + 1
    forced = {"sheets": ["contacts"], "filter": bad, "canary": False}
    assert delivered(client, filled, to, **forced)["rows_refused"] == 1


def test_a_destination_that_is_gone_for_a_while_is_tried_again_from_where_it_stood(
    client: httpx.Client, filled: dict[str, Any], endpoint: Endpoint, receiver: Receiver
) -> None:
    to = to_endpoint(client, endpoint)
    receiver.status = 401
    failed = delivered(client, filled, to)
    assert (failed["status"], failed["error_code"]) == ("failed", "delivery_failed")
    receiver.status = 200
    assert client.post(f"{url_of(failed)}/cancel").status_code == 409
    again = post(client, f"{url_of(failed)}/retry")
    assert ended(client, again)["rows_done"] == ROWS
    assert client.post(f"{url_of(failed)}/retry").status_code == 409


def test_a_running_delivery_is_canceled_and_its_destination_cannot_go_before(
    client: httpx.Client, filled: dict[str, Any], endpoint: Endpoint, receiver: Receiver
) -> None:
    to = to_endpoint(client, endpoint)
    receiver.gate.clear()
    body = {"destination": to}
    sent = post(client, f"/v1/companies/{filled['id']}/deliveries", body)
    assert client.delete(f"/v1/destinations/{to}").status_code == 409
    assert post(client, f"{url_of(sent)}/cancel")["status"] in ("running", "queued", "canceled")
    receiver.gate.set()
    assert ended(client, sent)["status"] == "canceled"
    assert client.delete(f"/v1/destinations/{to}").status_code == 200
    assert client.post(f"{url_of(sent)}/retry").status_code == 404


def test_rows_arrive_in_postgresql_and_are_updated_by_the_next_delivery(
    there: Deployment, client: httpx.Client, filled: dict[str, Any], postgres: tuple[str, int],
    tmp_path: Path,
) -> None:  # fmt: skip
    url, port = postgres
    to = destination(
        client, "postgresql", host="localhost", port=port, database="postgres", user="postgres",
        password="s3cr3t", sslmode="disable", prefix="api_",
    )  # fmt: skip
    assert delivered(client, filled, to)["status"] == "completed"
    fill(there, filled, tmp_path, run=new_id(Kind.RUN), rows=[{**PEOPLE[0], "name": "Zoë"}])
    assert delivered(client, filled, to)["rows_done"] == ROWS
    with psycopg.connect(url) as connection:
        query = "SELECT count(*), max(name) FILTER (WHERE _id = 1) FROM api_contacts"
        assert connection.execute(query).fetchall() == [(ROWS, "Zoë")]


def test_a_bucket_gets_one_object_a_sheet(
    client: httpx.Client, filled: dict[str, Any], object_store: str
) -> None:
    bucket = Bucket(endpoint=object_store, prefix="delivered")
    to = destination(
        client, "s3", bucket="reknit", prefix=bucket.prefix, access_key=KEY,
        secret_key=STORE_SECRET, endpoint=bucket.endpoint,
    )  # fmt: skip
    done = delivered(client, filled, to)
    assert (done["status"], done["rows_done"]) == ("completed", ROWS)
    ((name, content),) = bucket.objects().items()
    assert name == f"contacts/{done['id']}.parquet"
    assert len(polars.read_parquet(BytesIO(content))) == ROWS


def test_credentials_go_in_and_never_come_out(there: Deployment, client: httpx.Client) -> None:
    secret = "hunter2-hunter2"
    body = {"host": "db.example", "database": "d", "user": "u", "password": secret}
    to = destination(client, "postgresql", **body)
    told = client.get(f"/v1/destinations/{to}")
    assert told.json()["settings"]["host"] == "db.example"
    changed = {"destination": {**body, "kind": "postgresql", "host": "db2.example"}}
    replaced = client.put(f"/v1/destinations/{to}", json=changed)
    assert replaced.json()["settings"]["host"] == "db2.example"
    for answer in (told, replaced, client.get("/v1/destinations"), client.get("/v1/audit")):
        assert secret not in answer.text
    state = there.services.settings.data_dir / "reknit.db"
    for file in (state, state.with_name("reknit.db-wal")):
        assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "http", "url": "ftp://partner.example/", "secret": SECRET},
        {"kind": "http", "url": "https://user:pass@partner.example/", "secret": SECRET},
        {"kind": "http", "url": "https://partner.example/", "secret": "whsec_short"},
        {
            "kind": "s3",
            "bucket": "b-b",
            "access_key": "a",
            "secret_key": "b",
            "endpoint": "file:///",
        },
        {"kind": "postgresql", "host": "/var/run", "database": "d", "user": "u"},
        {"kind": "kafka"},
    ],
)
def test_what_can_be_no_destination_is_refused(client: httpx.Client, wrong: dict[str, str]) -> None:
    answer = client.post("/v1/destinations", json={"name": "wrong", "destination": wrong})
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_error")


def test_nothing_is_sent_into_our_own_network(
    there: Deployment, client: httpx.Client, filled: dict[str, Any]
) -> None:
    port = there.services.settings.outbound_ports.split(",")[0]
    to = destination(client, "http", url=f"http://10.0.0.1:{port}/", secret=SECRET)
    done = delivered(client, filled, to)
    assert (done["status"], done["error_code"]) == ("failed", "address_refused")


def test_a_name_is_taken_once(client: httpx.Client, endpoint: Endpoint) -> None:
    place = {"kind": "http", "url": endpoint.url, "secret": SECRET}
    body = {"name": "twice", "destination": place}
    assert post(client, "/v1/destinations", body)["name"] == "twice"
    answer = client.post("/v1/destinations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "name_conflict")
