from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars
import psycopg
import pytest
from buckets import Bucket
from objects import KEY
from objects import SECRET as STORE_SECRET
from pydantic import SecretStr, TypeAdapter, ValidationError
from receivers import SECRET, Answer, http_endpoint, tcp_door
from sheets import bring

from engine.dataset import Location
from engine.delivery import (
    Destination,
    HttpDestination,
    Load,
    PostgresDestination,
    S3Destination,
    deliver,
    open_destination,
    seal_destination,
)
from engine.delivery import http as http_delivery
from engine.errors import DeliveryFailed, StorageError
from engine.export import Format, Selection, Shape, write
from engine.outbound import Outbound, Refused
from engine.secrets import Keys

ROWS = 250


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """250 people, the 100th named `bad`."""
    sheet = Location(url=str(tmp_path / "sheet"))
    people = [
        {"email": f"{n}@x.io", "name": "bad" if n == 100 else "good", "amount": Decimal(n) / 2}
        for n in range(ROWS)
    ]
    bring(sheet, tmp_path, "r1", people)
    to = tmp_path / "contacts.parquet"
    shape = Shape(format=Format.PARQUET, lineage=True)
    rows = write(sheet, Selection(), to=to, shape=shape, scratch=tmp_path)
    return Load(sheet="contacts", file=to, rows=rows)


@pytest.fixture
def database(postgresql: str) -> Iterator[tuple[str, PostgresDestination, Outbound]]:
    """A URL to look, a destination to deliver to over TCP, and the policy that allows it."""
    url = postgresql.format("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS crm_contacts")
        port = connection.info.port
    folder = parse_qs(urlsplit(url).query)["host"][0]
    with tcp_door(f"{folder}/.s.PGSQL.{port}") as door:
        destination = PostgresDestination(
            host="localhost", port=door, database="postgres", user="postgres", sslmode="disable",
            prefix="crm_",
        )  # fmt: skip
        yield url, destination, Outbound(allow_cidrs=("127.0.0.0/8", "::1/128"))


def looked(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def test_rows_arrive_in_postgresql_once_however_often_they_are_delivered(
    load: Load, database: tuple[str, PostgresDestination, Outbound]
) -> None:
    url, destination, policy = database
    for _ in range(2):
        steps = list(deliver([load], destination, delivery="d1", policy=policy))
        assert [step.cursor for step in steps] == [1, ROWS]
        assert all(result.ok for step in steps for result in step.results)
    found = looked(url, "SELECT count(*), sum(amount), max(_id) FROM crm_contacts")
    assert found == [(ROWS, sum(Decimal(n) / 2 for n in range(ROWS)), ROWS)]


def test_rows_postgresql_refuses_are_named_and_the_others_arrive(
    load: Load, database: tuple[str, PostgresDestination, Outbound]
) -> None:
    url, destination, policy = database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE crm_contacts (email text PRIMARY KEY, name text CHECK (name <> 'bad'),"
            " amount numeric, linkedin text, more int DEFAULT 7)"
        )
    mine = destination.model_copy(update={"keys": ("email",)})
    results = [
        r for step in deliver([load], mine, delivery="d", policy=policy) for r in step.results
    ]
    assert len(results) == ROWS
    (refused,) = [each for each in results if not each.ok]
    assert refused.id == 101
    assert "violates check constraint" in refused.message
    assert looked(url, "SELECT count(*), min(more) FROM crm_contacts") == [(ROWS - 1, 7)]


def test_a_canary_that_is_refused_stops_the_delivery(
    load: Load, database: tuple[str, PostgresDestination, Outbound]
) -> None:
    url, destination, policy = database
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE crm_contacts (_id bigint PRIMARY KEY, email text, name text,"
            " amount numeric CHECK (amount > 0), linkedin text)"
        )
    with pytest.raises(
        DeliveryFailed, match=r"first row of sheet contacts .*nothing else was sent"
    ):
        list(deliver([load], destination, delivery="d", policy=policy))
    assert looked(url, "SELECT count(*) FROM crm_contacts") == [(0,)]


def test_a_database_inside_our_network_is_refused(load: Load) -> None:
    inside = PostgresDestination(host="127.0.0.1", database="d", user="u")
    with pytest.raises(Refused, match="not on the public internet"):
        list(deliver([load], inside, delivery="d", policy=Outbound()))


def accept(batch: dict[str, Any]) -> Answer:
    return 200, {}, {}


def test_http_batches_are_signed_and_go_on_from_the_cursor(load: Load) -> None:
    with http_endpoint(accept) as endpoint:
        destination = HttpDestination(url=endpoint.url, secret=SecretStr(SECRET), batch=100)
        steps = deliver([load], destination, delivery="d1", policy=endpoint.policy)
        cursor = [next(steps).cursor, next(steps).cursor][-1]
        assert cursor == 101
        steps.close()
        list(
            deliver([load], destination, delivery="d1", policy=endpoint.policy,
                    cursors={"contacts": cursor})
        )  # fmt: skip
        assert [len(batch["rows"]) for batch in endpoint.batches] == [1, 100, 100, 49]
        assert [row["id"] for row in endpoint.rows] == list(range(1, ROWS + 1))
        assert endpoint.rows[3] == {
            "id": 4,
            "data": {"email": "3@x.io", "name": "good", "amount": "1.5", "linkedin": None},
            "source": {"run_id": "r1", "file": "r1.csv", "row": 5},
        }


def test_the_receiver_judges_single_rows(load: Load) -> None:
    def judge(batch: dict[str, Any]) -> Answer:
        bad = [row["id"] for row in batch["rows"] if row["data"]["name"] == "bad"]
        return 200, {}, {"results": [{"id": i, "ok": False, "message": "bad name"} for i in bad]}

    with http_endpoint(judge) as endpoint:
        destination = HttpDestination(url=endpoint.url, secret=SecretStr(SECRET))
        steps = deliver([load], destination, delivery="d1", policy=endpoint.policy)
        results = [result for step in steps for result in step.results]
    assert [(r.id, r.message) for r in results if not r.ok] == [(101, "bad name")]
    assert len(results) == ROWS


def test_a_failing_endpoint_is_tried_again_under_the_same_id(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_delivery, "WAITS", (0.0, 0.0))
    answers = iter([(503, {"Retry-After": "0"}, {}), (429, {}, {}), *[(200, {}, {})] * 9])
    with http_endpoint(lambda batch: next(answers)) as endpoint:
        destination = HttpDestination(url=endpoint.url, secret=SecretStr(SECRET), batch=1_000)
        steps = list(deliver([load], destination, delivery="d1", policy=endpoint.policy))
        assert [step.cursor for step in steps] == [1, ROWS]
        assert len(endpoint.ids) == 4
        assert len(set(endpoint.ids[:3])) == 1


@pytest.mark.parametrize(
    ("status", "message"), [(401, "status 401"), (302, "302"), (500, "after 1 ")]
)
def test_an_endpoint_that_does_not_take_rows_ends_the_delivery(
    load: Load, monkeypatch: pytest.MonkeyPatch, status: int, message: str
) -> None:
    monkeypatch.setattr(http_delivery, "WAITS", ())
    with http_endpoint(lambda batch: (status, {"Location": "/"}, {})) as endpoint:
        destination = HttpDestination(url=endpoint.url, secret=SecretStr(SECRET))
        with pytest.raises(DeliveryFailed, match=message):
            list(deliver([load], destination, delivery="d1", policy=endpoint.policy))
        assert len(endpoint.batches) == 1


def test_an_s3_prefix_gets_one_whole_file_a_sheet(load: Load, bucket: Bucket) -> None:
    port = urlsplit(bucket.endpoint).port or 0
    policy = Outbound(allow_cidrs=("127.0.0.0/8",), allow_http=True, ports=(port,))
    destination = S3Destination(
        bucket="reknit", prefix=f"{bucket.prefix}/in", access_key=KEY, endpoint=bucket.endpoint,
        secret_key=SecretStr(STORE_SECRET),
    )  # fmt: skip
    for cursors in ({}, {"contacts": ROWS}):
        steps = list(deliver([load], destination, delivery="d1", policy=policy, cursors=cursors))
        assert [step.cursor for step in steps] == ([] if cursors else [ROWS])
    ((name, body),) = bucket.objects().items()
    assert name == "in/contacts/d1.parquet"
    assert polars.read_parquet(body).height == ROWS
    wrong = destination.model_copy(update={"secret_key": SecretStr("no")})
    with pytest.raises(DeliveryFailed, match="bucket reknit took no file"):
        list(deliver([load], wrong, delivery="d2", policy=policy))
    with pytest.raises(Refused):
        list(deliver([load], destination, delivery="d3", policy=Outbound()))


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "postgresql", "host": "/var/run", "database": "d", "user": "u"},
        {"kind": "postgresql", "host": "a b", "database": "d", "user": "u"},
        {"kind": "postgresql", "host": "h", "database": "d", "user": "u", "sslkey": "/etc/key"},
        {"kind": "s3", "bucket": "../x", "access_key": "a", "secret_key": "b"},
        {"kind": "ftp"},
    ],
)
def test_what_is_no_destination_is_refused_as_a_document(document: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Destination).validate_python(document)


def test_credentials_are_sealed_at_rest_and_never_told() -> None:
    keys = Keys({"k1": b"k" * 32}, "k1")
    destination = PostgresDestination(
        host="h", database="d", user="u", password=SecretStr("hunter2")
    )
    assert "hunter2" not in repr(destination) + destination.model_dump_json()
    sealed = seal_destination(destination, keys=keys, owner="dest_1")
    assert b"hunter2" not in sealed
    assert open_destination(sealed, keys=keys, owner="dest_1") == destination
    with pytest.raises(StorageError):
        open_destination(sealed, keys=keys, owner="dest_2")
