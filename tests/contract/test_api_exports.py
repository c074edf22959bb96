"""Stored rows over HTTP: formats, filters, resuming, caching."""

import gzip
import json
import random
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import polars
import pytest
from serving import Deployment, company, deployment, planned
from stored import fill

from engine.ids import Kind, new_id

FIRST, SECOND = new_id(Kind.RUN), new_id(Kind.RUN)
PEOPLE = [
    {"email": f"p{n}@x.io", "name": "=1+1" if n == 7 else f"Person {n}", "amount": Decimal(n)}
    for n in range(300)
]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as running:
        yield running


@pytest.fixture(scope="module")
def client(there: Deployment) -> httpx.Client:
    made = there.client(**{"accept-encoding": "identity"})
    planned(made)
    return made


@pytest.fixture(scope="module")
def export(
    there: Deployment, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """The URL of a filled sheet's export, up to its format."""
    made = company(client, name="Acmé")
    fill(there, made, tmp_path_factory.mktemp("in"), run=FIRST, rows=PEOPLE, tags=("gold",))
    return f"/v1/companies/{made['id']}/sheets/contacts/export"


def test_every_format_holds_every_row(client: httpx.Client, export: str) -> None:
    answers = {
        each: client.get(f"{export}.{each}") for each in ("csv", "parquet", "json", "ndjson")
    }
    assert {each.headers["x-total-records"] for each in answers.values()} == {"300"}
    assert len(answers["csv"].text.splitlines()) == 301
    assert polars.read_parquet(BytesIO(answers["parquet"].content))["amount"].sum() == 44_850
    assert [row["name"] for row in answers["json"].json()][:2] == ["Person 0", "Person 1"]
    assert len(answers["ndjson"].text.splitlines()) == 300
    head = answers["csv"].headers
    assert head["content-type"] == "text/csv; charset=utf-8; header=present"
    assert head["cache-control"] == "no-store"
    assert head["content-disposition"].endswith("UTF-8''Acm%C3%A9-contacts.csv")


def test_a_download_resumes_anywhere(client: httpx.Client, export: str) -> None:
    whole = client.get(f"{export}.csv")
    etag, size = whole.headers["etag"], len(whole.content)
    for offset in random.Random(6).sample(range(1, size), 100):
        head = client.get(f"{export}.csv", headers={"Range": f"bytes=0-{offset - 1}"})
        asked = {"Range": f"bytes={offset}-", "If-Range": etag}
        tail = client.get(f"{export}.csv", headers=asked)
        assert (head.status_code, tail.status_code) == (206, 206)
        assert tail.headers["content-range"] == f"bytes {offset}-{size - 1}/{size}"
        assert head.content + tail.content == whole.content
    changed = client.get(f"{export}.csv", headers={"Range": "bytes=5-", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    beyond = client.get(f"{export}.csv", headers={"Range": f"bytes={size}-"})
    assert beyond.status_code == 416


def test_what_the_caller_has_is_not_made_again(client: httpx.Client, export: str) -> None:
    etag = client.get(f"{export}.ndjson").headers["etag"]
    again = client.get(f"{export}.ndjson", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_an_import_gives_another_etag_and_as_of_the_old_rows(
    there: Deployment, client: httpx.Client, tmp_path: Path
) -> None:
    made = company(client)
    url = f"/v1/companies/{made['id']}/sheets/{made['sheets'][0]['id']}/export.json"
    fill(there, made, tmp_path, run=FIRST, rows=PEOPLE[:2])
    before = client.get(url)
    fill(there, made, tmp_path, run=SECOND, rows=[{**PEOPLE[0], "name": "Zoë"}])
    after = client.get(url)
    assert before.headers["etag"] != after.headers["etag"]
    assert [row["name"] for row in after.json()] == ["Zoë", "Person 1"]
    then = client.get(url, params={"as_of": FIRST})
    assert then.json() == before.json()
    assert client.get(url, params={"as_of": "2001-01-01T00:00:00Z"}).status_code == 404
    assert client.get(url, params={"as_of": "yesterday"}).status_code == 400
    assert client.get(url, params={"as_of": new_id(Kind.RUN)}).status_code == 404


def test_gzip_comes_when_it_is_accepted_or_asked_for(client: httpx.Client, export: str) -> None:
    plain = client.get(f"{export}.csv").content
    packed = client.get(f"{export}.csv", headers={"Accept-Encoding": "br, gzip;q=0.8"})
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == (
        "gzip",
        "Accept-Encoding",
    )
    assert packed.content == plain
    refused = client.get(f"{export}.csv", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    asked = client.get(f"{export}.csv", params={"compress": "gzip"})
    assert asked.headers["content-type"] == "application/gzip"
    assert "Acm_-contacts.csv.gz" in asked.headers["content-disposition"]
    assert gzip.decompress(asked.content) == plain


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ({"where": json.dumps({"field": "amount", "op": ">=", "value": 298})}, 2),
        ({"tag": ["gold", "none"]}, 300),
        ({"tag": "none"}, 0),
        ({"run": FIRST}, 300),
        ({"run": SECOND}, 0),
        ({"id": [1, 2, 9_999]}, 2),
        ({"column": ["name", "_id"]}, 300),
    ],
)
def test_rows_are_selected(client: httpx.Client, export: str, query: Any, rows: int) -> None:
    answer = client.get(f"{export}.json", params=query)
    assert (answer.headers["x-total-records"], len(answer.json())) == (str(rows), rows)
    if "column" in query:
        assert set(answer.json()[0]) == {"name", "_id"}


def test_a_spreadsheet_runs_nothing_and_lineage_comes_when_asked(
    client: httpx.Client, export: str
) -> None:
    row = "p7@x.io,{}=1+1,7,".format
    assert row("") in client.get(f"{export}.csv").text
    assert row("'") in client.get(f"{export}.csv", params={"safe": "spreadsheet"}).text
    header = client.get(f"{export}.csv", params={"lineage": "true"}).text.splitlines()[0]
    assert header.endswith("_id,_run,_file,_row,_plan_version,_tags,_created_run")


DEEP = '{"all":[' * 30 + '{"field":"name","op":"is_empty"}' + "]}" * 30


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("contacts/export.xml", {}, 400),
        ("contacts/export.csv", {"where": "name = 1"}, 400),
        ("contacts/export.csv", {"where": DEEP}, 400),
        ("contacts/export.csv", {"where": '{"field": "salary", "op": "is_empty"}'}, 400),
        ("contacts/export.csv", {"column": "salary"}, 400),
        ("contacts/export.csv", {"sort": "name"}, 400),
        ("deals/export.csv", {}, 404),
    ],
)
def test_what_cannot_be_meant_is_refused(
    client: httpx.Client, export: str, path: str, query: dict[str, str], status: int
) -> None:
    url = export.replace("contacts/export", path)
    assert client.get(url, params=query).status_code == status


def test_a_sheet_nothing_was_imported_into_has_nothing_to_export(client: httpx.Client) -> None:
    made = company(client)
    answer = client.get(f"/v1/companies/{made['id']}/sheets/contacts/export.csv")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
