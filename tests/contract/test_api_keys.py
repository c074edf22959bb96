"""Keys, and what a key's request leaves behind: limits, lists, the audit log."""

import hmac
import logging
import random
import re
import string
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy
from serving import LAVISH, Deployment, company, deployment, planned, post, running

from api.app import Limits
from api.limits import Rate
from api.logs import JsonLines
from engine.model import Scope
from engine.store import keys

ME = "/v1/me"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as made:
        yield made


def get(there: Deployment, path: str = ME, **headers: str) -> httpx.Response:
    return httpx.get(there.url + path, headers=headers, trust_env=False)


def test_a_key_may_come_in_any_of_three_headers(there):
    key = there.key(there.partner())

    for headers in ({"x-api-key": key}, {"anx-api-key": key}, {"Authorization": f"Bearer {key}"},
                    {"x-api-key": key, "Authorization": f"bearer {key}"}):  # fmt: skip
        assert get(there, **headers).status_code == 200


def test_two_different_keys_in_one_request_are_ambiguous(there):
    one, two = there.key(there.partner()), there.key(there.partner())
    answer = get(there, **{"x-api-key": one, "Authorization": f"Bearer {two}"})

    assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous_credentials")


def test_a_key_in_the_query_opens_nothing_and_is_not_logged(there, caplog):
    key = there.key(there.partner())
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.DEBUG):
        answer = get(there, f"{ME}?api_key={key}")

    assert answer.status_code == 401
    assert key not in caplog.text


def test_every_key_that_does_not_work_gets_the_same_answer(there):
    partner = there.partner()
    with there.services.database.begin() as c:
        said = {"secrets": there.services.secrets, "name": "k", "scopes": frozenset(Scope)}
        revoked, revoked_text = keys.mint(c, partner, **said)
        keys.revoke(c, partner, revoked.id)
        _, expired_text = keys.mint(c, partner, **said, days=-1)
    unknown = keys.new_text("live")
    tampered = unknown[:-1] + ("a" if unknown[-1] != "a" else "b")
    answers = [get(there)] + [
        get(there, **{"x-api-key": text})
        for text in (revoked_text, expired_text, unknown, tampered, "nonsense")
    ]
    bodies = {re.sub(r'"request_id":"[^"]+"', "", each.text) for each in answers}

    assert {each.status_code for each in answers} == {401}
    assert len(bodies) == 1
    assert all(each.headers["www-authenticate"].startswith("Bearer") for each in answers)


def test_every_key_that_does_not_work_costs_the_same_work(there, monkeypatch):
    """Equal work takes equal time; `tests/bench/bench_keys.py` shows the times."""
    partner = there.partner()
    said = {"secrets": there.services.secrets, "name": "k", "scopes": frozenset(Scope)}
    with there.services.database.begin() as c:
        revoked, revoked_text = keys.mint(c, partner, **said)
        keys.revoke(c, partner, revoked.id)
        _, expired_text = keys.mint(c, partner, **said, days=-1)
    work: list[str] = []
    digest = hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda *given: work.append("hash") or digest(*given))
    engine = there.services.database
    sqlalchemy.event.listen(engine, "before_cursor_execute", lambda *given: work.append(given[2]))
    done = []
    for text in (keys.new_text("live"), expired_text, revoked_text):
        work.clear()
        assert get(there, **{"x-api-key": text}).status_code == 401
        # A dead key's line in the audit log is written beside, and the answer waits for a fixed time.
        done.append(tuple(each for each in work if "audit" not in each))

    assert len(set(done)) == 1
    assert len(done[0]) == 4


def test_the_pattern_for_secret_scanners_finds_keys_and_nothing_else():
    minted = [keys.new_text("live") for _ in range(10_000)]
    letters = random.Random(1)
    noise = "".join(letters.choices(string.ascii_letters + string.digits, k=1_000_000))

    assert all(keys.PATTERN.fullmatch(each) and keys.well_formed(each) for each in minted)
    assert not keys.PATTERN.search(noise)


def test_the_text_of_a_key_is_nowhere_on_disk(there, client):
    body = {"name": "k", "scopes": ["imports:write"]}
    secret = post(client, "/v1/keys", body, **{"Idempotency-Key": "mint-1"})["secret"]
    get(there, **{"x-api-key": secret})
    stored = b"".join(
        path.read_bytes()
        for path in Path(there.services.settings.data_dir).rglob("*")
        if path.is_file()
    )

    assert secret.encode() not in stored
    assert secret[:12].encode() in stored


def test_a_revoked_key_is_dead_everywhere_within_a_second(there, client):
    made = post(client, "/v1/keys", {"name": "k", "scopes": ["companies:read"]})
    with running(there.services) as elsewhere:
        header = {"x-api-key": made["secret"]}
        assert httpx.get(elsewhere + ME, headers=header, trust_env=False).status_code == 200
        client.delete(f"/v1/keys/{made['id']}")
        time.sleep(1.05)
        assert httpx.get(elsewhere + ME, headers=header, trust_env=False).status_code == 401
        there.services.draining.clear()


def test_a_rotated_key_and_its_twin_both_work(there, client):
    old = post(client, "/v1/keys", {"name": "k", "scopes": ["companies:read"]})
    new = post(client, f"/v1/keys/{old['id']}/rotate")

    assert new["scopes"] == old["scopes"]
    for made in (old, new):
        assert get(there, **{"x-api-key": made["secret"]}).json()["id"] == made["id"]


def test_a_key_cannot_give_away_more_than_it_has(there):
    weak = there.client(there.key(there.partner(), scopes=frozenset({Scope.KEYS_ADMIN})))
    answer = weak.post("/v1/keys", json={"name": "k", "scopes": ["imports:write"]})

    assert (answer.status_code, answer.json()["missing_scope"]) == (403, "imports:write")


def test_a_key_for_other_addresses_is_refused_here(there):
    key = there.key(there.partner(), addresses=("203.0.113.0/24",))

    assert get(there, **{"x-api-key": key}).status_code == 403


def test_last_use_is_kept_to_the_minute(there, client):
    made = post(client, "/v1/keys", {"name": "k", "scopes": ["companies:read"]})
    get(there, **{"x-api-key": made["secret"]})

    assert client.get(f"/v1/keys/{made['id']}").json()["last_used_at"]


def test_after_ten_wrong_keys_an_address_has_to_wait(tmp_path):
    limits = Limits(requests=LAVISH.requests, failures=Rate(requests=10, seconds=60))
    with deployment(tmp_path, worker=False, limits=limits) as there:
        statuses = [get(there, **{"x-api-key": "wrong"}).status_code for _ in range(12)]

    assert statuses == [401] * 10 + [429] * 2


def test_the_request_after_the_last_one_has_to_wait(tmp_path):
    limits = Limits(requests=Rate(requests=3, seconds=60))
    with deployment(tmp_path, worker=False, limits=limits) as there:
        client = there.client()
        answers = [client.get(ME) for _ in range(4)]
        other = client.get("/v1/sources")

    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert [each.headers["x-ratelimit-remaining"] for each in answers] == ["2", "1", "0", "0"]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60
    assert other.status_code == 200


# Lists


def test_a_list_is_walked_without_gap_or_repeat_while_it_grows(client):
    before = [post(client, "/v1/sources", {"name": f"walk-{n}"})["id"] for n in range(30)]
    seen, path = [], "/v1/sources?limit=7"
    while path:
        answer = client.get(path)
        seen += [each["id"] for each in answer.json()["data"]]
        post(client, "/v1/sources", {"name": f"new-{len(seen)}"})
        path = answer.links.get("next", {}).get("url")

    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=x", "typo=1"])
def test_a_list_refuses_what_it_does_not_understand(client, query):
    assert client.get(f"/v1/sources?{query}").status_code == 400


# What stays


def test_the_audit_log_is_a_chain_and_an_edit_breaks_it(tmp_path):
    with deployment(tmp_path, worker=False) as there:
        client = there.client()
        planned(client)
        made = company(client)
        lines = client.get("/v1/audit").json()["data"]
        assert client.get("/v1/audit/verdict").json()["intact"]
        with there.services.database.begin() as c:
            guards = "select name from sqlite_master where type = 'trigger' and tbl_name = 'audit'"
            for (name,) in c.exec_driver_sql(guards).all():
                c.exec_driver_sql(f"drop trigger {name}")
            c.exec_driver_sql("update audit set action = 'nothing' where sequence = 2")
        told = client.get("/v1/audit/verdict").json()

    assert lines[0]["action"] == "company.created"
    assert lines[0]["target"] == made["id"]
    assert lines[0]["request_id"]
    assert (told["intact"], told["first_bad"]) == (False, 2)


def test_a_refused_scope_is_in_the_audit_log(there):
    partner = there.partner()
    weak = there.client(there.key(partner, scopes=frozenset({Scope.COMPANIES_READ})))
    weak.post("/v1/sources", json={"name": "x"})
    admin = there.client(there.key(partner))

    assert admin.get("/v1/audit").json()["data"][0]["action"] == "access.refused"


def test_a_dead_key_that_is_used_is_in_its_partners_audit_log(there):
    partner = there.partner()
    dead = there.key(partner, days=-1)
    assert there.client(dead).get("/v1/me").json()["code"] == "invalid_key"
    admin = there.client(there.key(partner))
    for _ in range(100):
        if lines := admin.get("/v1/audit").json()["data"]:
            break
        time.sleep(0.05)
    (line,) = lines
    assert (line["action"], line["target"]) == ("access.refused", "/v1/me")
    assert line["data"] == {"reason": "expired or revoked key"}
    assert dead not in str(line)


@pytest.mark.parametrize("depth", [32, 33, 1_000, 100_000])
def test_a_body_nests_at_most_32_deep(client, depth):
    body = '{"document":' + '{"a":' * (depth - 1) + "1" + "}" * depth
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/plans/validate", content=body, headers=headers)
    assert answer.status_code == (200 if depth == 32 else 400), answer.text
    if depth == 33:
        assert "nested deeper than 32 levels" in answer.json()["detail"]


def test_nothing_read_only_can_be_written(client):
    made = company(client)
    for name, value in made.items():
        answer = client.patch(f"/v1/companies/{made['id']}", json={name: value})
        writable = name in ("name", "external_id", "metadata")
        assert answer.status_code == (200 if writable else 400), name


def test_the_database_away_is_a_503_that_says_when_to_try_again(there: Deployment, monkeypatch):
    def away(*args: object, **said: object) -> None:
        raise sqlalchemy.exc.OperationalError("SELECT secret", {}, Exception("no"))

    client = there.client()
    client.get(ME)
    monkeypatch.setattr("engine.store.sources.page", away)
    answer = client.get("/v1/sources")

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert "secret" not in answer.text
    assert answer.json()["retryable"] is True
