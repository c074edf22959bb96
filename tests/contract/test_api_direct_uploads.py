"""Uploads straight into the bucket (A16): bounded by the form, counted only once checked."""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
from objects import KEY, SECRET
from serving import Deployment, company, deployment, planned, post
from sqlalchemy import update

from engine.ids import utcnow
from engine.store.tables import uploads

CONTENT = b"Name,Email,Age\nAnn,ann@x.example,31\n"


@pytest.fixture(scope="module")
def there(tmp_path_factory, object_store):
    said = {
        "files_url": "s3://reknit/direct", "s3_endpoint": object_store, "s3_access_key": KEY,
        "s3_secret_key": SECRET, "s3_direct_url": f"{object_store}/reknit",
    }  # fmt: skip
    with deployment(tmp_path_factory.mktemp("data"), worker=False, **said) as running:
        yield running


@pytest.fixture
def home(client) -> str:
    return company(client)["id"]


def announced(client: httpx.Client, home: str, **said: Any) -> dict[str, Any]:
    body = {"name": "a.csv", "content_type": "text/csv", "size": len(CONTENT), "direct": True}
    told = post(client, f"/v1/companies/{home}/uploads", {**body, **said})
    assert told["method"] == "POST"
    return told


def send(told: dict[str, Any], content: bytes = CONTENT, **fields: str) -> httpx.Response:
    form = {**told["fields"], **fields}
    return httpx.post(told["upload_url"], data=form, files={"file": content}, trust_env=False)


def complete(client: httpx.Client, told: dict[str, Any]) -> httpx.Response:
    return client.post(f"/v1/uploads/{told['id']}/complete")


def lying(there: Deployment, told: dict[str, Any]) -> list[str]:
    """Keys of bytes that wait to be checked."""
    key = told["fields"]["key"].removeprefix("direct/")
    return [each for each in there.services.files.keys("0/") if each == key]


def test_the_bytes_count_once_they_are_checked(there, client, home):
    told = announced(client, home, sha256=sha256(CONTENT).hexdigest())
    assert send(told).status_code == 204
    early = client.post(
        f"/v1/companies/{home}/preview", json={"files": [{"upload_ref": told["upload_ref"]}]}
    )
    first, again = complete(client, told), complete(client, told)

    assert (early.status_code, early.json()["code"]) == (409, "conflict")
    assert first.json()["status"] == "stored", first.text
    assert first.json()["sha256"] == sha256(CONTENT).hexdigest()
    assert (again.status_code, again.json()) == (200, first.json())
    assert lying(there, told) == []
    seen = post(client, f"/v1/companies/{home}/preview", {"files": [{"upload_ref": told["id"]}]})
    assert seen["total_rows"] == 1


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        (CONTENT + b"x", {}, 400),
        (CONTENT[:-1], {}, 400),
        (CONTENT, {"Content-Type": "text/html"}, 403),
        (CONTENT, {"key": "direct/0/" + "0" * 32}, 403),
        (CONTENT, {"policy": "e30="}, 403),
        (CONTENT, {"x-amz-signature": "0" * 64}, 403),
    ],
)
def test_the_bucket_takes_nothing_but_what_was_announced(client, home, content, fields, status):
    told = announced(client, home)
    refused = complete(client, told)

    assert send(told, content, **fields).status_code == status
    assert (refused.status_code, refused.json()["code"]) == (409, "upload_conflict")


def test_other_bytes_than_the_announced_digest_do_not_count(there, client, home):
    told = announced(client, home, sha256="0" * 64)
    send(told)
    refused = complete(client, told)

    assert (refused.status_code, refused.json()["code"]) == (400, "validation_error")
    assert lying(there, told) == []
    assert client.get(f"/v1/uploads/{told['id']}").json()["status"] == "waiting"


def test_bytes_of_another_size_do_not_count_even_in_the_bucket(there, client, home):
    told = announced(client, home)
    key = told["fields"]["key"].removeprefix("direct/")
    there.services.files.put(key, [CONTENT, b"more"])

    assert complete(client, told).json()["code"] == "validation_error"


def test_bytes_sent_after_the_check_change_nothing(there, client, home):
    told = announced(client, home)
    send(told)
    complete(client, told)
    assert send(told, CONTENT[::-1]).status_code == 204

    assert complete(client, told).json()["sha256"] == sha256(CONTENT).hexdigest()
    assert lying(there, told) == []


def test_another_partner_cannot_complete_it(there, client, home):
    told = announced(client, home)
    send(told)

    assert complete(there.client(), told).status_code == 404
    other = there.key(there.partner(), companies=[home])
    assert complete(there.client(other), told).status_code == 404


def test_a_form_ends_after_its_hour(there, client, home):
    told = announced(client, home)
    form = there.services.files.direct(
        told["id"],
        size=len(CONTENT),
        content_type="text/csv",
        until=utcnow() - timedelta(seconds=5),
    )
    late = send({"upload_url": form.url, "fields": form.fields})
    with there.services.database.begin() as c:
        c.execute(
            update(uploads).where(uploads.c.id == told["id"]).values(status="expired")
            .execution_options(across_partners=True)
        )  # fmt: skip
    gone = complete(client, told)

    assert (late.status_code, gone.status_code, gone.json()["code"]) == (403, 410, "expired")


def test_erasing_the_company_takes_what_came_for_it(there, client, home):
    told = announced(client, home)
    send(told)
    assert lying(there, told)
    client.delete(f"/v1/companies/{home}")

    assert lying(there, told) == []


def test_without_a_bucket_to_show_the_bytes_come_here(tmp_path):
    with deployment(tmp_path, worker=False) as there:
        client = there.client()
        planned(client)
        body = {"name": "a.csv", "size": 1, "direct": True}
        told = post(client, f"/v1/companies/{company(client)['id']}/uploads", body)

    assert (told["method"], told["fields"]) == ("PUT", {})
    assert told["upload_url"].startswith(there.url)
