"""What five public import APIs can do, row by row of the tables in the partner guide.

Vern's and GetSales' rows are in the file beside this one.
"""

import io
import re
from pathlib import Path

import openpyxl
import pytest
from peers import (
    ERRORS,
    ROWS,
    SEMICOLONS,
    TAKE_VALID,
    ask,
    importing,
    imports,
    preview,
    sent,
    stored,
    three,
)
from serving import WAIT, company, post

GUIDE = (Path(__file__).parents[2] / "api" / "README.md").read_text()


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with importing(tmp_path_factory.mktemp("data")) as made:
        yield made


@pytest.fixture(scope="module")
def done(client) -> dict:
    return three(client)


def named_rows() -> dict[str, bool]:
    """Rows of the tables, and whether each waits for stored rows."""
    found = re.findall(r"^\| ([a-z]+-[a-z-]+) \|(.*)\|$", GUIDE, re.MULTILINE)
    return {name: "*stored rows*" in text for name, text in found}


def test_every_row_of_the_tables_has_its_test():
    tests = {
        name.replace("_", "-")
        for path in Path(__file__).parent.glob("test_api_peers*.py")
        for name in re.findall(r"^def test_(\w+)", path.read_text(), re.MULTILINE)
    }
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
