"""What a repeated request does, and a key for it that lives as long as it is needed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest
from serving import company, deployment, post, running

ME = "/v1/me"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as made:
        yield made


def test_the_same_request_again_gives_the_same_bytes(client):
    body, key = {"name": "once"}, {"Idempotency-Key": "source-1"}
    first = client.post("/v1/sources", json=body, headers=key)
    again = client.post("/v1/sources", content=b' {"name" : "once"}',
                        headers={**key, "content-type": "application/json"})  # fmt: skip

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]


def test_another_request_with_the_same_key_is_a_conflict(client):
    key = {"Idempotency-Key": "source-2"}
    client.post("/v1/sources", json={"name": "a1"}, headers=key)
    other = client.post("/v1/sources", json={"name": "a2"}, headers=key)

    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_a_refused_request_leaves_its_key_free(client):
    key = {"Idempotency-Key": "source-3"}
    refused = client.post("/v1/companies", json={"name": "x", "source": "later"}, headers=key)
    assert refused.status_code == 404
    post(client, "/v1/sources", {"name": "later"})
    body = {"name": "x", "source": "later", "templates": ["contacts"]}
    assert client.post("/v1/companies", json=body, headers=key).status_code == 201


def test_of_many_equal_requests_at_once_one_makes_the_run(there, client):
    made = company(client)["id"]
    body = {"csv": "Name,Email\nA,a@x.example\n", "idempotency_key": "storm"}
    with running(there.services) as elsewhere, ThreadPoolExecutor(16) as pool:
        there.services.draining.clear()
        urls = [there.url, elsewhere] * 32

        def send(url: str) -> httpx.Response:
            return httpx.post(
                f"{url}/v1/companies/{made}/imports", json=body, headers=client.headers, timeout=60,
                trust_env=False,
            )  # fmt: skip

        answers = list(pool.map(send, urls))
    there.services.draining.clear()

    assert {each.status_code for each in answers} == {201}
    assert len({each.content for each in answers}) == 1
    assert sum("idempotent-replayed" in each.headers for each in answers) == 63
    assert len(client.get(f"/v1/companies/{made}/imports").json()["data"]) == 1


def test_of_many_different_imports_at_once_one_company_takes_one(client):
    made = company(client)["id"]

    def send(number: int) -> httpx.Response:
        body = {"csv": f"Name,Email\nA,a{number}@x.example\n"}
        return client.post(f"/v1/companies/{made}/imports", json=body)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(100)))
    won = [each for each in answers if each.status_code == 201]
    lost = [each.json() for each in answers if each.status_code == 409]

    assert (len(won), len(lost)) == (1, 99)
    assert {each["active_run_id"] for each in lost} == {won[0].json()["id"]}


def test_an_import_key_lives_as_long_as_the_run_and_others_a_week(there, client):
    made = company(client)["id"]
    body = {"csv": "Name,Email\nA,a@x.example\n"}
    client.post(f"/v1/companies/{made}/imports", json=body, headers={"Idempotency-Key": "long-1"})
    client.post("/v1/sources", json={"name": "short"}, headers={"Idempotency-Key": "short-1"})
    with there.services.database.connect() as c:
        found = dict(
            c.exec_driver_sql(
                "select key, expires_at - created_at from idempotency where key like '%-1'"
            ).all()
        )

    days = {key: timedelta(microseconds=found[key]).days for key in ("long-1", "short-1")}
    assert days == {"long-1": 30, "short-1": 7}


def test_an_idempotency_key_has_to_be_one(client):
    for key in ("", "x" * 256, "with space"):
        answer = client.post("/v1/sources", json={"name": "z"}, headers={"Idempotency-Key": key})
        assert answer.status_code == 400, key


def test_a_key_may_stand_in_the_body_of_an_import_and_must_be_the_one_of_the_header(client):
    path = f"/v1/companies/{company(client)['id']}/imports"
    body = {"csv": "Name,Email\nA,a@x.example\n", "idempotency_key": "body-1"}
    first = client.post(path, json=body)
    again = client.post(path, json={"csv": body["csv"]}, headers={"Idempotency-Key": "body-1"})
    other = client.post(path, json={**body, "csv": "Name,Email\nB,b@x.example\n"})
    differs = client.post(path, json=body, headers={"Idempotency-Key": "body-2"})

    assert (first.status_code, again.content) == (201, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert (differs.status_code, differs.json()["code"]) == (400, "validation_error")


def test_where_keys_are_required_a_post_without_one_is_refused_first(there):
    client = there.client()
    settings = there.services.settings
    wanting = settings.model_copy(update={"require_idempotency_keys": True})
    object.__setattr__(there.services, "settings", wanting)
    refused = client.post("/v1/sources", json={"name": "strict"})
    made = client.post("/v1/sources", json={"name": "strict"}, headers={"Idempotency-Key": "k"})
    object.__setattr__(there.services, "settings", settings)

    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_required")
    assert made.status_code == 201


def test_an_answer_of_500_is_not_kept(client, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    key = {"Idempotency-Key": "fault-1"}
    with monkeypatch.context() as patch:
        patch.setattr("engine.store.sources.add", fail)
        assert client.post("/v1/sources", json={"name": "f1"}, headers=key).status_code == 500
    assert client.post("/v1/sources", json={"name": "f1"}, headers=key).status_code == 201
