"""What is let go of in time, and what is gone at once when a company is erased."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from buckets import Bucket
from objects import KEY, SECRET
from serving import Deployment, company, deployment, planned, post, uploaded
from stored import fill, place

from engine import retention
from engine.dataset.table import existing
from engine.desk import Desk
from engine.files import company_prefix
from engine.ids import Kind, new_id, utcnow
from engine.store import endpoints, runs
from engine.store.tables import deliveries

WAIT = {"Prefer": "wait=40"}
CANARY = "canary7f3a"


@pytest.fixture(scope="module", params=["folder", "s3"])
def there(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    said = {}
    if request.param == "s3":
        said = {
            "files_url": f"s3://reknit/{uuid4().hex}", "s3_access_key": KEY, "s3_secret_key": SECRET,
            "s3_endpoint": request.getfixturevalue("object_store"),
        }  # fmt: skip
    with deployment(tmp_path_factory.mktemp("data"), poll_seconds=0.05, **said) as running:
        yield running


@pytest.fixture
def client(there: Deployment) -> httpx.Client:
    made = there.client()
    planned(made)
    return made


def desk(there: Deployment) -> Desk:
    services = there.services
    return Desk(
        engine=services.database, files=services.files, settings=services.settings,
        executor="test", advance=lambda context: None, enqueue=services.work.enqueue,  # type: ignore[arg-type,return-value]
    )  # fmt: skip


def imported(client: httpx.Client, company_id: str, *, name: str = "Ann") -> dict[str, str]:
    rows = [{"Name": name, "Email": f"{name}@x.example", "Age": 7}]
    run = post(client, f"/v1/companies/{company_id}/imports", {"rows": rows}, **WAIT)
    assert run["status"] == "completed", run
    return run


def later(monkeypatch: pytest.MonkeyPatch, *, days: float) -> None:
    """Retention's clock jumps."""

    def now() -> datetime:
        return utcnow() + timedelta(days=days)

    monkeypatch.setattr(retention, "utcnow", now)


def test_a_runs_files_are_gone_in_time_and_every_way_to_them_says_so(
    there: Deployment, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = company(client)
    run = imported(client, made["id"])
    listed = client.get(f"/v1/runs/{run['id']}/files").json()["data"]
    valid = next(each for each in listed if each["name"] == "contacts/valid.csv")
    later(monkeypatch, days=31)
    retention.collect(desk(there))
    ways = (f"/v1/runs/{run['id']}/files", f"/v1/runs/{run['id']}/report", valid["url"],
            f"/v1/runs/{run['id']}/cells", valid["download_url"])  # fmt: skip
    for url in ways:
        answer = client.get(url)
        assert (answer.status_code, answer.json()["code"]) == (410, "expired"), url
    assert client.get(f"/v1/runs/{run['id']}").json()["status"] == "completed"
    rows = client.get(f"/v1/companies/{made['id']}/export.json")
    assert rows.status_code == 404
    assert len(client.get(f"/v1/companies/{made['id']}/sheets/contacts/export.json").json()) == 1


def test_uploads_in_use_do_not_keep_the_collector_from_those_that_are_not(
    there: Deployment, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = company(client)
    unused = [uploaded(client, made["id"], b"x", name=f"{n}.csv") for n in range(3)]
    run = imported(client, made["id"])
    refs = [*unused, *run["uploads"]]
    later(monkeypatch, days=2)
    monkeypatch.setattr(retention, "BATCH", 2)
    retention.collect(desk(there))
    states = [client.get(f"/v1/uploads/{each}").json()["status"] for each in refs]
    assert states == ["stored", "stored", "stored", "expired"]


def test_a_sheet_in_many_files_is_made_one_when_its_imports_can_be_undone_no_more(
    there: Deployment, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = company(client)
    imported(client, made["id"])
    for n in range(9):
        fill(there, made, tmp_path, run=new_id(Kind.RUN), rows=[{"email": f"{n}@x.io"}])
    table = existing(place(there, made))
    assert len(table.file_uris()) == 10
    retention.collect(desk(there))
    assert len(existing(place(there, made)).file_uris()) == 10
    later(monkeypatch, days=30.5)
    retention.collect(desk(there))
    assert len(existing(place(there, made)).file_uris()) == 1
    retention.tidy_sheet(desk(there), place(there, made), keep=timedelta(0))
    url = f"/v1/companies/{made['id']}/sheets/contacts/export.json"
    assert len(client.get(url).json()) == 10
    gone = client.get(url, params={"as_of": utcnow().replace(year=2020).isoformat()})
    assert gone.status_code == 404


def test_rows_vacuum_took_are_expired_and_not_missing(
    there: Deployment, client: httpx.Client, tmp_path: Path
) -> None:
    made, first = company(client), new_id(Kind.RUN)
    fill(there, made, tmp_path, run=first, rows=[{"email": "a@x.io", "name": "A"}])
    fill(there, made, tmp_path, run=new_id(Kind.RUN), rows=[{"email": "a@x.io", "name": "B"}])
    url = f"/v1/companies/{made['id']}/sheets/contacts/export.json"
    assert client.get(url, params={"as_of": first}).json()[0]["name"] == "A"
    retention.tidy_sheet(desk(there), place(there, made), keep=timedelta(0))
    gone = client.get(url, params={"as_of": first})
    assert (gone.status_code, gone.json()["code"]) == (410, "expired")


def test_what_webhooks_were_told_is_forgotten_in_time(
    there: Deployment, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = post(client, "/v1/webhooks", {"url": "https://partner.example/in"})["id"]
    run = imported(client, company(client)["id"])
    log = f"/v1/webhooks/{hook}/deliveries"
    count = len(client.get(log).json()["data"])
    assert count
    with there.services.database.begin() as c:
        partner = owner(c, run["id"])
        mine = (deliveries.c.partner == partner, deliveries.c.endpoint == hook)
        last = endpoints.deliveries_of(c, partner, hook)[0]
        given_up = deliveries.update().where(*mine, deliveries.c.id != last.id)
        c.execute(given_up.values(due_at=None))
    later(monkeypatch, days=31)
    retention.collect(desk(there))
    assert [each["id"] for each in client.get(log).json()["data"]] == [last.id]


def owner(c, run: str) -> str:
    from engine.store.tables import runs as table

    query = table.select().where(table.c.id == run).execution_options(across_partners=True)
    return str(c.execute(query).one().partner)


def test_an_erased_company_leaves_nothing_in_its_place(
    there: Deployment, client: httpx.Client
) -> None:
    made = company(client, name=CANARY)
    base = f"/v1/companies/{made['id']}"
    run = imported(client, made["id"], name=CANARY)
    assert client.get(f"{base}/export.csv").status_code == 200
    export = post(client, f"{base}/exports", {})
    assert (
        client.get(f"{base}/exports/{export['id']}", headers=WAIT).json()["status"] == "completed"
    )
    with there.services.database.begin() as c:
        partner = owner(c, run["id"])
        assert runs.get(c, partner, run["id"]).company == made["id"]
    prefix = company_prefix(partner, made["id"])
    assert len(there.services.files.keys(prefix)) > 5
    assert client.delete(base).status_code == 200
    assert there.services.files.keys(prefix) == []
    assert_no_canary(there)
    there.services.files.put_content(partner, made["id"], [CANARY.encode()])
    retention.collect(desk(there))
    assert_no_canary(there)


def assert_no_canary(there: Deployment) -> None:
    """Not one byte of it in the data folder, and none in the bucket."""
    settings = there.services.settings
    with there.services.database.connect() as c:
        c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    files = [each for each in settings.data_dir.rglob("*") if each.is_file()]
    contents = {str(each): each.read_bytes() for each in files}
    if settings.files_url:
        name = settings.files_url.rpartition("/")[2]
        contents |= Bucket(endpoint=settings.s3_endpoint, prefix=name).objects()
    assert [name for name, content in contents.items() if CANARY.encode() in content] == []
