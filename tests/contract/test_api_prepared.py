"""Exports that a worker prepares, over HTTP: polled, downloaded by signed URL, expired, deleted."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import polars
import pytest
from databases import fresh_url
from serving import Deployment, company, deployment, post, settled
from stored import fill

from engine.desk import Desk
from engine.ids import Kind, new_id, utcnow
from engine.retention import collect
from engine.store import errands, events, keys
from engine.store.tables import errands as table

RUN = new_id(Kind.RUN)
PEOPLE = [{"email": f"p{n}@x.io", "name": f"P {n}", "amount": Decimal(n)} for n in range(500)]


@pytest.fixture(scope="module")
def there(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("data")
    # The deliveries and the command line are tested over SQLite.
    url = fresh_url(request, "postgresql", folder)
    with deployment(folder, database_url=url, poll_seconds=0.05) as running:
        yield running


@pytest.fixture
def filled(there: Deployment, client: httpx.Client, tmp_path: Path) -> dict[str, Any]:
    made = company(client)
    fill(there, made, tmp_path, run=RUN, rows=PEOPLE)
    return made


def asked(client: httpx.Client, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    """The export once it ended."""
    export = post(client, f"/v1/companies/{made['id']}/exports", body)
    assert (export["status"], export["object"]) == ("queued", "export")
    answer = client.get(url_of(export), headers={"Prefer": "wait=30"})
    assert answer.headers["preference-applied"] == "wait=30"
    return settled(client, url_of(export))


def desk(there: Deployment) -> Desk:
    """What retention works with."""
    services = there.services
    return Desk(
        engine=services.database, files=services.files, settings=services.settings,
        executor="test", advance=lambda context: None, enqueue=services.work.enqueue,  # type: ignore[arg-type,return-value]
    )  # fmt: skip


def url_of(export: dict[str, Any]) -> str:
    return f"/v1/companies/{export['company_id']}/exports/{export['id']}"


def test_an_export_is_prepared_and_fetched_without_a_key(
    there: Deployment, client: httpx.Client, filled: dict[str, Any]
) -> None:
    some = {"field": "amount", "op": "<", "value": 100}
    export = asked(client, filled, sheet="contacts", format="parquet", filter=some)
    assert (export["status"], export["rows_done"], export["rows_total"]) == ("completed", 100, 100)
    signed = httpx.get(export["download_url"], trust_env=False)
    assert polars.read_parquet(BytesIO(signed.content))["amount"].sum() == 4_950
    assert signed.headers["x-total-records"] == "100"
    assert client.get(export["file_url"]).content == signed.content
    part = client.get(export["file_url"], headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"PAR1")
    assert client.get(url_of(export)).headers["etag"] == client.get(url_of(export)).headers["etag"]
    listed = client.get(f"/v1/companies/{filled['id']}/exports").json()["data"]
    assert [each["id"] for each in listed] == [export["id"]]
    with there.services.database.begin() as c:
        told = [
            each for each in events.page(c, owner(there, client)) if each.errand == export["id"]
        ]
    assert [each.type for each in told] == ["export.completed", "export.queued"]


def owner(there: Deployment, client: httpx.Client) -> str:
    with there.services.database.begin() as c:
        key = keys.find(c, client.headers["x-api-key"], secrets=there.services.secrets)
    assert key is not None
    return key.partner


def test_a_whole_workbook_is_a_zip(client: httpx.Client, filled: dict[str, Any]) -> None:
    export = asked(client, filled)
    book = ZipFile(BytesIO(client.get(export["file_url"]).content))
    assert book.namelist() == ["contacts.csv"]
    assert len(book.read("contacts.csv").splitlines()) == 501


def test_the_same_key_gives_the_same_export(client: httpx.Client, filled: dict[str, Any]) -> None:
    url, body = f"/v1/companies/{filled['id']}/exports", {"sheet": "contacts"}
    first = post(client, url, body, **{"Idempotency-Key": "one"})
    assert post(client, url, body, **{"Idempotency-Key": "one"})["id"] == first["id"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"sheet": "deals"}, 404),
        ({"sheet": "contacts", "as_of": "2001-01-01T00:00:00Z"}, 404),
        ({"sheet": "contacts", "format": "xml"}, 400),
        ({"ids": [1]}, 400),
        ({"sheet": "contacts", "sort": "name"}, 400),
    ],
)
def test_what_cannot_be_exported_is_refused_at_once(
    client: httpx.Client, filled: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    answer = client.post(f"/v1/companies/{filled['id']}/exports", json=body)
    assert answer.status_code == status, answer.text


def test_what_only_the_rows_can_tell_fails_with_a_code(
    client: httpx.Client, filled: dict[str, Any]
) -> None:
    export = asked(client, filled, sheet="contacts", columns=["salary"])
    assert (export["status"], export["error_code"]) == ("failed", "selection_invalid")
    assert "salary" in export["error_message"]
    assert client.get(f"{url_of(export)}/file").status_code == 404


def test_after_some_days_the_file_is_gone_and_the_export_says_so(
    there: Deployment, client: httpx.Client, filled: dict[str, Any]
) -> None:
    export = asked(client, filled, sheet="contacts")
    with there.services.database.begin() as c:
        days = there.services.settings.export_days
        kept = errands.get(c, owner(there, client), export["id"])
        assert kept.expires_at is not None
        assert kept.file is not None
        assert timedelta(days=days) > kept.expires_at - utcnow() > timedelta(days=days - 0.1)
        past = utcnow() - timedelta(seconds=1)
        statement = table.update().where(table.c.partner == kept.partner, table.c.id == kept.id)
        c.execute(statement.values(expires_at=past))
    for url in (export["file_url"], export["download_url"]):
        gone = client.get(url)
        assert (gone.status_code, gone.json()["code"]) == (410, "expired")
    assert client.get(url_of(export)).json()["expired"]
    collect(desk(there))
    assert not there.services.files.exists(kept.file.key)
    assert client.get(export["file_url"]).status_code == 410


def test_a_deleted_export_leaves_nothing(
    there: Deployment, client: httpx.Client, filled: dict[str, Any]
) -> None:
    before = set(there.services.files.keys(""))
    export = asked(client, filled, sheet="contacts")
    assert client.delete(url_of(export)).json()["deleted"]
    assert client.get(url_of(export)).status_code == 404
    assert set(there.services.files.keys("")) == before
