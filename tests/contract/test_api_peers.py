"""What five public import APIs can do, row by row of the tables in the partner guide."""

import io
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import openpyxl
import pytest
from receivers import SECRET, http_endpoint
from serving import company, deployment, planned, post, uploaded

GUIDE = (Path(__file__).parents[2] / "api" / "README.md").read_text()
ERRORS = {"severity": "error"}
WAIT = {"Prefer": "wait=60"}
TAKE_VALID = {"when_invalid": "take_valid"}

ROWS = [
    {"Name": "Ann", "Email": "ann@x.example", "Age": 31},
    {"Name": "Bob", "Email": "no mail", "Age": 44},
    {"Name": "Ann again", "Email": "ann@x.example", "Age": 31},
]
SEMICOLONS = b"Name;E-mail;Age\r\nAnn;ann@x.example;31\r\nBob;no mail;44\r\n"

TEMPLATE = """
template: contacts
fields:
  - {name: name}
  - {name: email, type: email, required: true}
  - {name: age, type: integer}
  - {name: website, type: domain}
  - {name: linkedin, type: url}
identity: [email]
rules:
  - {rule: require_any, fields: [name, linkedin]}
"""
PLAN = """
plan: crm
sheets:
  - template: contacts
    columns:
      - {field: name, from: Name}
      - {field: email, from: Email}
      - {field: age, from: Age}
      - {field: website, from: Website, transforms: [domain], optional: true}
      - {field: linkedin, from: LinkedIn, transforms: [url], optional: true}
"""


@pytest.fixture(scope="module")
def endpoint():
    with http_endpoint(lambda batch: (200, {}, {})) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(tmp_path_factory, endpoint):
    reachable = {"outbound_http": True, "outbound_cidrs": "127.0.0.0/8"}
    ports = f"443,{urlsplit(endpoint.url).port}"
    with deployment(tmp_path_factory.mktemp("data"), outbound_ports=ports, **reachable) as there:
        made = there.client()
        planned(made, plan=PLAN, template=TEMPLATE)
        yield made


@pytest.fixture(scope="module")
def done(client) -> dict:
    """A completed import of three rows: one valid, one invalid, one a duplicate."""
    body = {"rows": ROWS, "policy": TAKE_VALID, "metadata": {"list": "7"}}
    return imports(client, body, **WAIT, **{"Idempotency-Key": "peers-1"})


@pytest.fixture(scope="module")
def waiting(client) -> tuple[dict, dict]:
    """A run that needs attention, and its proposal."""
    rows = [*ROWS[:2], {"Name": "Cy", "Email": "cy@x.example", "Age": "forty"}]
    run = imports(client, {"rows": rows}, **WAIT)
    return run, client.get(run["proposal_url"]).json()


def imports(client, body: dict, **headers: str) -> dict:
    return post(client, f"/v1/companies/{company(client)['id']}/imports", body, **headers)


def ask(client, body: dict) -> httpx.Response:
    return client.post(f"/v1/companies/{company(client)['id']}/imports", json=body)


def preview(client, body: dict) -> dict:
    return post(client, f"/v1/companies/{company(client)['id']}/preview", body)


def sent(client, made: str, content: bytes, name: str) -> str:
    files = {"file": (name, content)}
    answer = client.post(f"/v1/companies/{made}/files", files=files)
    assert answer.status_code == 201, answer.text
    return answer.json()["upload_ref"]


def named_rows() -> dict[str, bool]:
    """Rows of the tables, and whether each waits for stored rows."""
    found = re.findall(r"^\| ([a-z]+-[a-z-]+) \|(.*)\|$", GUIDE, re.MULTILINE)
    return {name: "*stored rows*" in text for name, text in found}


def test_every_row_of_the_tables_has_its_test():
    tests = {each.removeprefix("test_").replace("_", "-") for each in globals() if "test_" in each}
    wanted = {name for name, waits in named_rows().items() if not waits}

    assert len(wanted) >= 35
    assert wanted <= tests


# LeadLex


def test_leadlex_rows(done):
    assert done["status"] == "completed"
    assert done["counts"]["read"] == 3


def test_leadlex_csv(client):
    body = {"csv": "Ann,ann@x.example\n", "has_header": False, "mapping": {"name": 0, "email": 1}}
    run = imports(client, {**body, "policy": TAKE_VALID}, **WAIT)

    assert run["counts"]["valid"] == 1


def test_leadlex_sync(client):
    quick = imports(client, {"rows": ROWS[:1]}, **WAIT)
    queued = imports(client, {"rows": ROWS[:1] * 501}, **WAIT)

    assert (quick["status"], queued["status"]) == ("completed", "queued")


def test_leadlex_idempotency(client, done):
    body = {"rows": ROWS, "policy": TAKE_VALID, "metadata": {"list": "7"}}
    path = f"/v1/companies/{done['company_id']}/imports"
    again = client.post(path, json=body, headers={"Idempotency-Key": "peers-1"})

    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == done


def test_leadlex_errors(client, done):
    (cell,) = client.get(f"{done['poll_url']}/cells", params=ERRORS).json()["data"]

    assert {"row_number", "code", "message", "file", "column", "field", "value"} <= set(cell)
    assert (cell["column"], cell["value"]) == ("Email", "no mail")


def test_leadlex_codes(client):
    assert ask(client, {}).json()["code"] == "validation_error"
    assert client.get("/v1/me", headers={"x-api-key": "no"}).json()["code"] == "invalid_key"
    large = client.post("/v1/companies/co_1/imports", content=b" " * 20_000_001)
    assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")


def test_leadlex_headers(client):
    told = client.get("/v1/me").headers

    assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(told)
    assert {"ratelimit", "ratelimit-policy", "x-request-id"} <= set(told)


def test_leadlex_webhook(client):
    hook = post(client, "/v1/webhooks", {"url": "https://p.example/", "types": ["run.completed"]})
    imports(client, {"rows": ROWS[:1]}, **WAIT)
    log = client.get(f"/v1/webhooks/{hook['id']}/deliveries").json()["data"]

    assert log


def test_leadlex_update(client, done):
    rows = [{**ROWS[0], "Age": 32}, {"Name": "Di", "Email": "di@x.example", "Age": 1}]
    path = f"/v1/companies/{done['company_id']}/imports"
    assert stored(done) == {"created": 1}
    told = post(client, path, {"rows": rows}, **WAIT)
    assert stored(told) == {"created": 1, "updated": 1}
    told = post(client, path, {"rows": rows, "mode": "create_only"}, **WAIT)
    assert stored(told) == {"skipped": 2, "by_mode": 2}


def test_leadlex_tags(client):
    run = imports(client, {"rows": ROWS[:1], "tags": ["spring"]}, **WAIT)

    path = f"/v1/companies/{run['company_id']}/sheets/contacts/export.json"
    (row,) = client.get(path, params={"tag": "spring", "lineage": "true"}).json()
    assert row["_tags"] == ["spring"]


def stored(run: dict) -> dict[str, int]:
    """What the run did to its only sheet, without the zeros."""
    (sheet,) = run["rows"]
    return {name: count for name, count in sheet.items() if count and name != "sheet"}


# Puffle


def test_puffle_multipart(client):
    book, made = openpyxl.Workbook(), company(client)["id"]
    book.active.append(["Name", "Email"])
    book.active.append(["Ann", "ann@x.example"])
    out = io.BytesIO()
    book.save(out)
    refs = [sent(client, made, out.getvalue(), "a.xlsx"), sent(client, made, SEMICOLONS, "a.csv")]
    seen = [
        post(client, f"/v1/companies/{made}/preview", {"files": [{"upload_ref": ref}]})
        for ref in refs
    ]

    assert [each["total_rows"] for each in seen] == [1, 2]


def test_puffle_preview(client):
    seen = preview(client, {"csv": "Name,E-mail\n" + "Ann,ann@x.example\n" * 9})

    assert seen["columns"] == ["Name", "E-mail"]
    assert seen["auto_mapping"]["email"] == "E-mail"
    assert seen["auto_mapping"]["age"] is None
    assert (len(seen["preview_rows"]), seen["total_rows"]) == (5, 9)
    assert "website" in seen["existing_columns"]


def test_puffle_confirm(client):
    made = company(client)["id"]
    body = {"files": [{"upload_ref": sent(client, made, b"Who,Mail\nAnn,ann@x.example\n", "a.csv")}],
            "mapping": {"name": "Who", "email": "Mail"}, "policy": TAKE_VALID}  # fmt: skip
    run = post(client, f"/v1/companies/{made}/imports", body)

    ended = client.get(run["poll_url"], headers=WAIT).json()
    assert (ended["status"], ended["counts"]["valid"]) == ("completed", 1)


def test_puffle_normalise(client):
    body = {
        "csv": "Name,Email,Website\nAnn,ann@x.example,https://www.Acme.com/about\n",
        "policy": TAKE_VALID,
    }
    run = imports(client, body, **WAIT)

    rows = client.get(f"{run['poll_url']}/files/contacts/valid.csv").text
    assert ",acme.com," in rows.splitlines()[1]


def test_puffle_counts(done):
    assert done["counts"] == {"read": 3, "valid": 1, "invalid": 1, "duplicate": 1, "skipped": 0}


def test_puffle_json(client):
    seen = preview(client, {"rows": ROWS})
    dry = imports(client, {"rows": ROWS, "dry_run": True, "policy": TAKE_VALID}, **WAIT)

    assert seen["total_rows"] == 3
    assert (dry["dry_run"], dry["counts"]["valid"]) == (True, 1)
    path = f"/v1/companies/{dry['company_id']}/export.csv"
    assert client.get(path).status_code == 404


LEADS = """
plan: leads
templates:
  - template: leads
    identity: [[domain], [name, city]]
    fields: [{name: domain, type: domain}, {name: name}, {name: city}]
sheets:
  - template: leads
    columns:
      - {field: domain, from: Site, transforms: [domain]}
      - {field: name, from: Name}
      - {field: city, from: City}
"""


def test_puffle_upsert(client):
    post(client, "/v1/sources", {"name": "leads"})
    plan = post(client, "/v1/plans", {"source": "leads", "document": LEADS})
    post(client, f"/v1/plans/{plan['id']}/publish", {"number": 1})
    made = company(client, source="leads", templates=["leads"])["id"]
    path, first = f"/v1/companies/{made}/imports", "Site,Name,City\n,Acme,Rome\nb.example,B,Oslo\n"
    post(client, path, {"csv": first}, **WAIT)
    second = "Site,Name,City\na.example,Acme,Rome\nwww.b.example,Bee,Bern\nx.example,X,Y\n"
    block = [{"field": "domain", "values": ["X.example"]}]
    told = post(client, path, {"csv": second, "exclude": block}, **WAIT)
    assert stored(told) == {"updated": 2, "skipped": 1, "excluded": 1}


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


# Exa


def test_exa_upload(client):
    body = {"name": "a.csv", "size": 50_000_000}
    told = post(client, f"/v1/companies/{company(client)['id']}/uploads", body)

    assert told["upload_url"]
    assert told["valid_until"] > told["created_at"]
    assert told["max_bytes"] == 50_000_000


def test_exa_status(client):
    made = company(client)["id"]
    ref = sent(client, made, b"\x00\x01\x02" * 100, "a.csv")
    run = post(client, f"/v1/companies/{made}/imports", {"files": [{"upload_ref": ref}]})
    ended = client.get(run["poll_url"], headers=WAIT).json()

    assert ended["status"] == "failed"
    assert ended["failed_reason"] == ended["error"]["code"]


def test_exa_list(client, done):
    assert done["id"] in client.get("/v1/runs", params={"limit": 200}).text
    first = client.get("/v1/runs", params={"limit": 1}).json()
    query = {"limit": 1, "cursor": first["next_cursor"]}
    second = client.get("/v1/runs", params=query).json()
    assert first["data"][0]["id"] > second["data"][0]["id"]


def test_exa_metadata(client, done):
    assert done["metadata"] == {"list": "7"}
    assert company(client, metadata={"exa": "1"})["metadata"] == {"exa": "1"}


def test_exa_exclude(client):
    known = [{"field": "email", "values": ["ann@x.example"]}]
    run = imports(client, {"rows": ROWS[:1], "exclude": known}, **WAIT)

    assert stored(run) == {"skipped": 1, "excluded": 1}
    listed = client.get(f"{run['poll_url']}/files/contacts/skipped-rows.csv").text
    assert listed.splitlines()[1].endswith(",excluded")


def test_exa_identifier(client):
    seen = preview(client, {"csv": "A,B\nann@x.example,Ann\n", "mapping": {"email": 0, "name": 1}})

    assert seen["auto_mapping"]["email"] == "A"


def test_exa_delete(client):
    run = imports(client, {"rows": ROWS[:1]}, **WAIT)

    assert client.delete(f"/v1/companies/{run['company_id']}").json()["deleted"]
    assert client.get(run["poll_url"]).status_code == 404


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
