"""What Vern's migration API and GetSales can do, row by row of the partner guide's tables."""

import httpx
import pytest
from peers import (
    ERRORS,
    ROWS,
    SEMICOLONS,
    TAKE_VALID,
    ask,
    importing,
    imports,
    sent,
    stored,
    three,
)
from receivers import SECRET, http_endpoint
from serving import WAIT, company, post, uploaded


@pytest.fixture(scope="module")
def endpoint():
    with http_endpoint(lambda batch: (200, {}, {})) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(tmp_path_factory, endpoint):
    with importing(tmp_path_factory.mktemp("data"), endpoint) as made:
        yield made


@pytest.fixture(scope="module")
def done(client) -> dict:
    return three(client)


@pytest.fixture(scope="module")
def waiting(client) -> tuple[dict, dict]:
    """A run that needs attention, and its proposal."""
    rows = [*ROWS[:2], {"Name": "Cy", "Email": "cy@x.example", "Age": "forty"}]
    run = imports(client, {"rows": rows}, **WAIT)
    return run, client.get(run["proposal_url"]).json()


# Vern


def test_vern_sources(client):
    assert "crm" in {each["name"] for each in client.get("/v1/sources").json()["data"]}
    listed = client.get("/v1/templates").json()["data"]
    template = next(each for each in listed if each["name"] == "contacts")
    fields = {each["name"]: each for each in template["document"]["fields"]}
    assert fields["email"]["required"] is True


def test_vern_company(client):
    made = company(client, external_id="vern-1")
    again = {"name": "x", "source": "crm", "external_id": "vern-1"}

    assert made["workbook_id"].startswith("wb_")
    assert [each["template"] for each in made["sheets"]] == ["contacts"]
    assert "/m/" in made["magic_link_url"]
    assert client.post("/v1/companies", json=again).json()["code"] == "external_id_conflict"


def test_vern_find(client):
    made = company(client, external_id="vern-2")
    found = client.get("/v1/companies", params={"external_id": "vern-2"}).json()["data"]

    assert [each["id"] for each in found] == [made["id"]]


def test_vern_upload(client):
    ref = uploaded(client, company(client)["id"], SEMICOLONS, name="a.csv")

    assert client.get(f"/v1/uploads/{ref}").json()["status"] == "stored"


def test_vern_import(client):
    told = imports(client, {"rows": ROWS[:1], "idempotency_key": "vern-3"})

    assert {"run_id", "status", "poll_url"} <= set(told)
    assert told["status"] == "queued"
    assert ask(client, {"rows": ROWS, "csv": "a"}).status_code == 400


def test_vern_poll(client, done):
    told = client.get(f"/v1/companies/{done['company_id']}/imports/{done['id']}").json()

    assert told["status"] == "completed"
    assert told["report"]["accounting"]["valid"] == 1
    assert "progress_message" in told


def test_vern_attention(waiting):
    run, proposal = waiting
    question = next(q for q in proposal["questions"] if q["target"]["field"] == "age")

    assert run["status"] == "needs_attention"
    assert {"id", "prompt", "context", "target", "relevant_columns", "options", "allow_custom"} <= (
        set(question)
    )
    assert {"sheet", "column", "affected_count", "sample_values", "error"} <= set(
        question["target"]
    )
    assert {"summary", "actions"} == set(proposal["proposed_patch"])
    assert any(each["effect"] for each in question["options"])


def test_vern_decision(client):
    run = imports(client, {"csv": "Name,Email,Age\nAnn,ann@x.example,forty\n"}, **WAIT)
    proposal = client.get(run["proposal_url"]).json()
    answers = {each["id"]: each["options"][0]["id"] for each in proposal["questions"]}
    body = {"decision": "answer", "answers": answers, "proposal_etag": proposal["etag"]}
    post(client, f"/v1/companies/{run['company_id']}/imports/{run['id']}/decisions", body)
    ended = client.get(run["poll_url"], headers=WAIT).json()

    assert ended["status"] == "completed"
    versions = client.get(f"/v1/plans/{ended['plan_id']}/versions").json()["data"]
    assert versions[0]["run_id"] == run["id"]


def test_vern_one_run(client, waiting):
    run, _ = waiting
    body = {"rows": ROWS}
    second = client.post(f"/v1/companies/{run['company_id']}/imports", json=body)

    assert second.status_code == 409
    assert second.json()["active_run_id"] == run["id"]


def test_vern_export(client):
    run = imports(client, {"rows": ROWS, "policy": TAKE_VALID}, **WAIT)
    base = f"/v1/companies/{run['company_id']}"
    answers = [
        client.get(f"{base}/export.csv", params={"sheet": "contacts", "filter": which})
        for which in ("valid", "invalid", "all")
    ]

    assert [each.status_code for each in answers] == [200] * 3
    assert [each.headers["x-total-records"] for each in answers[:2]] == ["1", "1"]
    assert client.get(f"{base}/export.zip").headers["content-type"] == "application/zip"


def test_vern_cancel(client):
    run = imports(client, {"rows": ROWS[:2]}, **WAIT)

    assert client.post(f"{run['poll_url']}/cancel").json()["status"] == "canceled"


def test_vern_replay(client):
    run = imports(client, {"rows": ROWS[:2], "policy": TAKE_VALID}, **WAIT)
    base = f"/v1/companies/{run['company_id']}/imports/{run['id']}"
    left = client.get(f"{run['poll_url']}/files/contacts/rejected-rows.csv").content
    ref = sent(client, run["company_id"], left.replace(b"no mail", b"bob@x.example"), "a.csv")
    again = post(client, f"{base}/replay", {"files": [{"upload_ref": ref}]})
    ended = client.get(again["poll_url"], headers=WAIT).json()

    assert stored(ended) == {"created": 1}
    assert client.get(run["poll_url"]).json()["replayed"]["invalid"] == 0


def test_vern_undo(client):
    run = imports(client, {"rows": ROWS[:1]}, **WAIT)
    undo = f"/v1/companies/{run['company_id']}/imports/{run['id']}/undo"
    ended = client.get(post(client, undo)["poll_url"], headers=WAIT).json()

    assert stored(ended) == {"removed": 1}
    assert client.post(undo).json()["code"] == "not_undoable"


def test_vern_deliver(client, endpoint):
    done = imports(client, {"rows": ROWS, "policy": TAKE_VALID}, **WAIT)
    place = {"kind": "http", "url": endpoint.url, "secret": SECRET}
    to = post(client, "/v1/destinations", {"name": "ours", "destination": place})
    path = f"/v1/companies/{done['company_id']}/deliveries"
    sent = post(client, path, {"destination": to["id"], "run": done["id"]})
    told = client.get(f"{path}/{sent['id']}", headers=WAIT).json()

    assert (told["status"], told["rows_done"]) == ("completed", 1)
    assert endpoint.rows[0]["data"]["email"] == "ann@x.example"
    assert endpoint.rows[0]["source"]["run_id"] == done["id"]
    assert client.get(told["results_url"]).json()["data"][0]["ok"]


def test_vern_cells(client, done):
    told = client.get(f"{done['poll_url']}/cells", params=ERRORS).json()["data"]

    assert [each["code"] for each in told] == ["invalid_type"]


# GetSales


def test_getsales_upload(client):
    made = company(client)["id"]
    content = b"Name|Email\n" + b"Ann|ann@x.example\n" * 30
    body = {"files": [{"upload_ref": sent(client, made, content, "a.csv")}], "limit": 10}
    seen = post(client, f"/v1/companies/{made}/preview", body)

    assert seen["columns"] == ["Name", "Email"]
    assert len(seen["preview_rows"]) == 10


def test_getsales_columns(client):
    body = {"csv": "x,y\nann@x.example,Ann\n", "mapping": {"email": 0, "name": 1}}
    run = imports(client, {**body, "policy": TAKE_VALID}, **WAIT)

    assert run["counts"]["valid"] == 1


def test_getsales_identity(client):
    body = {"csv": "Name,Email,LinkedIn\n,ann@x.example,\n", "policy": TAKE_VALID}
    run = imports(client, body, **WAIT)

    codes = {each["code"] for each in client.get(f"{run['poll_url']}/cells").json()["data"]}
    assert "none_of_required" in codes


def test_getsales_async(client, done):
    assert client.get(done["poll_url"]).json()["status"] == "completed"
    text = client.get(f"{done['poll_url']}/events").text
    assert "event: run.completed" in text


def test_getsales_export(client, done):
    files = client.get(f"{done['poll_url']}/files").json()["data"]
    urls = {each["name"]: each["download_url"] for each in files}

    assert httpx.get(urls["contacts/valid.csv"], trust_env=False).text.startswith("name,email")

    made = f"/v1/companies/{done['company_id']}/exports"
    export = post(client, made, {"sheet": "contacts"})
    told = client.get(f"{made}/{export['id']}", headers=WAIT).json()
    assert httpx.get(told["download_url"], trust_env=False).text.startswith("name,email")


def test_getsales_filter(client):
    run = imports(client, {"rows": ROWS, "policy": TAKE_VALID, "tags": ["list-7"]}, **WAIT)
    made = f"/v1/companies/{run['company_id']}/exports"
    ann = {"field": "name", "op": "contains", "value": "ann"}
    for chosen, rows in (({"filter": ann}, 1), ({"tags": ["list-8"]}, 0), ({"ids": [1]}, 1)):
        export = post(client, made, {"sheet": "contacts", **chosen})
        told = client.get(f"{made}/{export['id']}", headers=WAIT).json()
        assert (told["status"], told["rows_total"]) == ("completed", rows)
