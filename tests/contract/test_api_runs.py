"""Runs over HTTP: start, wait, poll, follow, decide, cancel."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import WAIT, company, deployment, imported, planned, post, uploaded

from api.magic import opened
from engine.ids import utcnow

DRIFTED = b"Name,E-mail address,Age\nAnn,ann@x.example,3\nBob,notmail,4\nCy,cy@x.example,forty\n"
GOOD = b"Name,Email,Age\nAnn,ann@x.example,3\nBob,bob@x.example,4\n"
VALID = "name,email,age\r\nAnn,ann@x.example,3\r\n"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def finished(client) -> dict:
    """A run of two valid rows and two invalid ones that took the valid rows."""
    return imported(client, company(client)["id"], DRIFTED, policy={"when_invalid": "take_valid"})


def proposed(client) -> tuple[dict, str]:
    """A run that waits for a decision, and its proposal's ETag."""
    run = imported(client, company(client)["id"], DRIFTED)
    assert run["status"] == "needs_attention", run
    return run, client.get(run["proposal_url"]).headers["etag"]


def decide(client, run: dict, etag: str | None, **said) -> httpx.Response:
    headers = {} if etag is None else {"If-Match": etag}
    return client.post(f"{run['poll_url']}/decisions", json=said, headers=headers)


def test_an_import_is_a_run_at_once(client):
    made = company(client)["id"]
    upload = uploaded(client, made, GOOD, name="contacts.csv")
    body = {"files": [{"upload_ref": upload}], "metadata": {"ticket": "42"}}
    answer = client.post(f"/v1/companies/{made}/imports", json=body)
    run = answer.json()

    assert answer.status_code == 201
    assert answer.headers["location"] == run["poll_url"]
    assert (run["status"], run["metadata"]) == ("queued", {"ticket": "42"})
    assert client.get(run["poll_url"]).status_code == 200


def test_few_inline_rows_are_answered_in_the_same_call(client):
    rows = [{"Name": f"n{n}", "Email": f"n{n}@x.example", "Age": n} for n in range(500)]
    rows[7] = {"Name": "bad", "Email": "no", "Age": 1}
    body = {"rows": rows, "policy": {"when_invalid": "take_valid"}}
    answer = client.post(f"/v1/companies/{company(client)['id']}/imports", json=body, headers=WAIT)
    told = answer.json()

    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "wait=60"
    assert told["status"] == "completed"
    assert told["counts"] == {"read": 500, "valid": 499, "invalid": 1, "duplicate": 0, "skipped": 0}
    assert told["report"]["accounting"]["invalid"] == 1


def test_csv_text_with_a_mapping_by_header_and_by_number_and_without_a_header(client):
    body = {"csv": "Ann;ann@x.example;3\n", "has_header": False,
            "mapping": {"name": 0, "email": 1, "age": 2}}  # fmt: skip
    numbered = client.post(
        f"/v1/companies/{company(client)['id']}/imports", json=body, headers=WAIT
    ).json()
    body = {
        "csv": "Who,Where,Age\nAnn,ann@x.example,3\n",
        "mapping": {"name": "Who", "email": "Where"},
    }
    named = client.post(
        f"/v1/companies/{company(client)['id']}/imports", json=body, headers=WAIT
    ).json()

    assert (numbered["status"], numbered["counts"]["valid"]) == ("completed", 1)
    assert (named["status"], named["counts"]["valid"]) == ("completed", 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "validation_error"),
        ({"csv": "a\n1\n", "rows": [{"a": 1}]}, "validation_error"),
        ({"rows": []}, "validation_error"),
        ({"csv": "a\n1\n", "mapping": {"nonsense": "a"}}, "invalid_mapping"),
        ({"csv": "a\n1\n", "sheet": "nonsense"}, "invalid_mapping"),
        ({"csv": "a\n1\n", "dry_run": "yes"}, "validation_error"),
        ({"csv": "a\n1\n", "created_at": "now"}, "validation_error"),
    ],
)
def test_a_request_that_makes_no_sense_is_a_400(client, body, code):
    answer = client.post(f"/v1/companies/{company(client)['id']}/imports", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_preview_shows_the_mapping_and_writes_nothing(client):
    made = company(client)["id"]
    upload = uploaded(client, made, DRIFTED, name="contacts.csv")
    body = {"files": [{"upload_ref": upload}], "limit": 2}
    seen = post(client, f"/v1/companies/{made}/preview", body)

    assert seen["columns"] == ["Name", "E-mail address", "Age"]
    assert seen["auto_mapping"]["email"] == "E-mail address"
    assert seen["preview_rows"][0] == {"Name": "Ann", "E-mail address": "ann@x.example", "Age": "3"}
    assert (len(seen["preview_rows"]), seen["total_rows"]) == (2, 3)
    assert seen["existing_columns"] == ["name", "email", "age"]
    assert "column_renamed" in {each["code"] for each in seen["tables"][0]["drift"]}
    assert client.get("/v1/runs", params={"company": made}).json()["data"] == []


def test_an_unchanged_run_is_not_sent_again(client, finished):
    tag = client.get(finished["poll_url"]).headers["etag"]
    again = client.get(finished["poll_url"], headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")


def test_runs_are_listed_by_company_and_status(client, finished):
    where = {"company": finished["company_id"], "status": "completed"}
    assert [run["id"] for run in client.get("/v1/runs", params=where).json()["data"]] == [
        finished["id"]
    ]
    where["status"] = "failed"
    assert client.get("/v1/runs", params=where).json()["data"] == []


def test_a_second_import_is_refused_and_names_the_active_run(client):
    run, etag = proposed(client)
    body = {"csv": "Name,Email\nA,a@x.example\n"}
    second = client.post(f"/v1/companies/{run['company_id']}/imports", json=body)

    assert (second.status_code, second.json()["code"]) == (409, "import_already_running")
    assert second.json()["active_run_id"] == run["id"]
    assert second.json()["poll_url"] == run["poll_url"]
    assert decide(client, run, etag, decision="reject").json()["status"] == "failed"


def test_a_queued_import_starts_by_the_present_plan_when_the_one_before_it_ends(client):
    run, etag = proposed(client)
    body = {"csv": "Name,E-mail address,Age\nDi,di@x.example,5\n", "on_conflict": "queue"}
    path = f"/v1/companies/{run['company_id']}/imports"
    second, third = post(client, path, body), post(client, path, body)
    assert (second["status"], second["waits"]) == ("queued", True)
    assert "active import" in second["progress_message"]
    assert post(client, f"/v1/runs/{second['id']}/cancel")["status"] == "canceled"

    assert decide(client, run, etag, decision="accept").status_code == 202
    ended = client.get(f"/v1/runs/{third['id']}", headers=WAIT).json()
    assert (ended["status"], ended["waits"]) == ("completed", False)
    first = client.get(f"/v1/runs/{run['id']}").json()
    assert ended["plan_id"] == first["plan_id"] != third["plan_id"]
    assert first["finished_at"] <= ended["started_at"]


def test_a_decision_needs_exactly_the_proposal_that_was_seen(client):
    run, etag = proposed(client)

    assert decide(client, run, None, decision="accept").status_code == 428
    for stale in ('"0000"', "*", '"0000", ' + etag):
        refused = decide(client, run, stale, decision="accept")
        assert (refused.status_code, refused.json()["code"]) == (412, "proposal_changed"), stale
    assert decide(client, run, etag, decision="take_valid").status_code == 202
    late = decide(client, run, etag, decision="take_valid")
    assert (late.status_code, late.json()["code"]) == (409, "already_decided")
    ended = client.get(run["poll_url"], headers=WAIT).json()
    assert (ended["status"], ended["counts"]["valid"]) == ("completed", 1)


def test_a_decided_run_that_comes_out_otherwise_than_shown_stops(there, client):
    run, etag = proposed(client)
    with there.services.database.begin() as c:
        shown = {"read": 3, "valid": 2, "invalid": 1, "duplicate": 0, "skipped": 0}
        changed = "update runs set counts = ? where id = ?"
        c.exec_driver_sql(changed, (json.dumps(shown), run["id"]))
    decide(client, run, etag, decision="take_valid")
    ended = client.get(run["poll_url"], headers=WAIT).json()

    assert (ended["status"], ended["failed_reason"]) == ("failed", "proposal_drift")
    assert "showed 2 valid rows and now there are 1" in ended["error"]["message"]
    assert client.get(f"/v1/companies/{run['company_id']}/export.csv").status_code == 404


def test_of_many_decisions_at_once_exactly_one_wins(client):
    run, etag = proposed(client)

    def act(number: int) -> int:
        verdict = "take_valid" if number % 2 else "reject"
        return decide(client, run, etag, decision=verdict).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(act, range(32)))
    assert statuses == [202, *[409] * 31]


def test_questions_carry_what_a_person_needs(client):
    run, etag = proposed(client)
    told = client.get(run["poll_url"], params={"expand[]": "proposal"}).json()["needs_attention"]
    question = next(each for each in told["questions"] if each["target"]["field"] == "age")
    option = question["options"][0]["id"]

    assert etag == f'"{told["etag"]}"'
    assert question["target"]["sample_values"] == ["forty"]
    assert question["target"]["affected_count"] == 1
    answers = {each["id"]: each["options"][0]["id"] for each in told["questions"]}
    assert option in answers.values()
    answered = decide(client, run, etag, decision="answer", answers=answers, reason="agreed")
    assert answered.status_code == 202, answered.text
    ended = client.get(run["poll_url"], headers=WAIT).json()
    assert ended["status"] in ("completed", "needs_attention")
    assert ended["plan_id"] != run["plan_id"]


def test_a_run_can_be_canceled_and_an_ended_one_cannot(client, finished):
    run, _ = proposed(client)
    answer = client.post(f"{run['poll_url']}/cancel")

    assert (answer.status_code, answer.json()["status"]) == (202, "canceled")
    refused = client.post(f"{finished['poll_url']}/cancel")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")


def test_a_dry_run_counts_the_same_as_the_real_one(client):
    made = company(client)["id"]
    policy = {"when_invalid": "take_valid"}
    dry = imported(client, made, DRIFTED, policy=policy, dry_run=True)
    real = imported(client, made, DRIFTED, policy=policy)

    assert dry["dry_run"]
    assert dry["counts"] == real["counts"]


def test_an_unreadable_file_fails_with_its_reason(client):
    run = imported(client, company(client)["id"], b"\x00\x01\x02" * 100)

    assert run["status"] == "failed"
    assert run["error"]["code"] == run["failed_reason"] != "internal_error"


def test_an_event_stream_gives_each_event_once_from_any_place(client, finished):
    whole = events(client, f"{finished['poll_url']}/events")
    ids = [each["id"] for each in whole]

    assert ids == [str(n) for n in range(1, len(ids) + 1)]
    assert whole[0]["event"] == "run.queued"
    assert whole[-1]["event"] == "run.completed"
    for cut in range(len(ids)):
        rest = events(client, f"{finished['poll_url']}/events", **{"Last-Event-ID": str(cut)})
        assert [each["id"] for each in rest] == ids[cut:]
    listed = client.get(f"{finished['poll_url']}/events/list", params={"limit": 200}).json()["data"]
    assert [str(each["sequence"]) for each in listed] == ids


def events(client, path: str, **headers: str) -> list[dict[str, str]]:
    text = client.get(path, headers=headers).text
    blocks = [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
              for block in text.strip().split("\n\n")]  # fmt: skip
    return [each for each in blocks if "event" in each]


def test_a_draft_is_inferred_from_a_sample(client):
    made = company(client)["id"]
    upload = uploaded(client, made, GOOD, name="people.csv")
    body = {"uploads": [upload], "templates": ["contacts"]}
    draft = post(client, "/v1/plans/infer", body)

    assert {each["field"] for each in draft["document"]["sheets"][0]["columns"]} >= {
        "name",
        "email",
    }
    checked = post(client, "/v1/plans/validate", {"document": draft["yaml"]})
    assert checked["valid"], checked


def test_a_version_is_replayed_on_past_files_before_it_is_used(there):
    fresh = there.client()
    plan = planned(fresh)
    made = company(fresh)["id"]
    run = imported(fresh, made, DRIFTED, policy={"when_invalid": "take_valid"})
    document = fresh.get(f"/v1/plans/{plan['id']}/versions/1").json()["document"]
    (age,) = (each for each in document["sheets"][0]["columns"] if each["field"] == "age")
    age["transforms"] = [{"op": "value_map", "values": {"forty": "40", "3": "three"}}]
    body = {"document": document, "reason": "say it in digits"}
    number = post(fresh, f"/v1/plans/{plan['id']}/versions", body)["number"]
    told = post(fresh, f"/v1/plans/{plan['id']}/replay", {"number": number})

    assert (told["fixed"], told["broken"]) == (1, 1)
    (row,) = told["runs"]
    assert (row["run_id"], row["status"]) == (run["id"], "replayed")
    assert row["fixed_rows"] == [{"file": "contacts.csv", "row_number": 4}]
    assert row["broken_rows"] == [{"file": "contacts.csv", "row_number": 2}]
    assert row["before"] == run["counts"]
    assert fresh.get(f"/v1/plans/{plan['id']}").json()["published"] == 1


def test_events_of_all_runs_are_listed_by_type(client, finished):
    told = client.get("/v1/events", params={"type": "run.completed", "limit": 200}).json()["data"]

    assert {each["type"] for each in told} == {"run.completed"}
    assert finished["id"] in {each["run_id"] for each in told}


def test_a_new_magic_link_revokes_the_old_one(there, client):
    made = company(client)
    new = post(client, f"/v1/companies/{made['id']}/magic-link")
    secrets = there.services.secrets
    epochs = [
        opened(each["magic_link_url"].rpartition("/")[2], secrets=secrets, now=utcnow()).epoch
        for each in (made, new)
    ]

    assert epochs == [0, 1]


def test_erasing_a_company_leaves_no_byte_of_it(there, client):
    canary = "canary7f3a"
    made = company(client, name=canary)["id"]
    rows = f"Name,Email,Age\n{canary},x@x.example,1\n{canary}2,bad,2\n".encode()
    imported(client, made, rows, policy={"when_invalid": "take_valid"})
    assert client.delete(f"/v1/companies/{made}").status_code == 200
    with there.services.database.connect() as c:
        c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    left = [
        path
        for path in there.services.settings.data_dir.rglob("*")
        if path.is_file() and canary.encode() in path.read_bytes()
    ]

    assert left == []
