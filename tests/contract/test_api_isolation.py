"""Who may do what, over every operation of the document: scopes, and partners that never meet."""

import json
import re
from pathlib import Path

import httpx
import pytest
from receivers import SECRET
from serving import Deployment, company, deployment, planned, post, uploaded
from stored import fill

from api.openapi import operations
from engine.ids import Kind, new_id
from engine.model import Scope

DOCUMENT = json.loads((Path(__file__).parents[2] / "api" / "openapi.json").read_text())
KEYED = [each for each in operations(DOCUMENT) if each[2]["security"]]
IDS = [f"{method} {path}" for path, method, _ in KEYED]

#: Operations whose every path parameter is a part of something named before it.
NAMED = [each for each in KEYED if "{" in each[0]]


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as running:
        yield running


@pytest.fixture(scope="module")
def mine(there: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One of everything, of one partner."""
    client = there.client()
    plan = planned(client)
    made = company(client, external_id="acme-1")
    upload = uploaded(client, made["id"], b"Name,Email\nAnn,ann@x.example\n", name="a.csv")
    webhook = post(client, "/v1/webhooks", {"url": "https://partner.example/in"})
    body = {"files": [{"upload_ref": upload}]}
    run = post(client, f"/v1/companies/{made['id']}/imports", body)
    fill(there, made, tmp_path_factory.mktemp("in"), run=run["id"], rows=[{"email": "a@x.io"}])
    export = post(client, f"/v1/companies/{made['id']}/exports", {"sheet": "contacts"})
    place = {"kind": "http", "url": "https://partner.example/rows", "secret": SECRET}
    destination = post(client, "/v1/destinations", {"name": "ours", "destination": place})
    told = {"destination": destination["id"]}
    delivery = post(client, f"/v1/companies/{made['id']}/deliveries", told)
    deliveries = client.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()["data"]
    return {
        "company_id": made["id"],
        "plan_id": plan["id"],
        "source": plan["source_id"],
        "number": "1",
        "upload_id": upload,
        "run_id": run["id"],
        "webhook_id": webhook["id"],
        "delivery_id": deliveries[0]["id"],
        "key_id": client.get("/v1/me").json()["id"],
        "name": "contacts",
        "sheet_id": made["sheets"][0]["id"],
        "sheet": "contacts",
        "format": "csv",
        "export_id": export["id"],
        "destination_id": destination["id"],
        "rows_delivery_id": delivery["id"],
    }


@pytest.fixture(scope="module")
def stranger(there: Deployment) -> httpx.Client:
    return there.client()


def ask(client: httpx.Client, method: str, path: str, operation: dict, ids: dict) -> httpx.Response:
    """The operation with its example as the body; `before` and `after` where a diff asks for them."""
    if "/companies/{company_id}/deliveries" in path:
        ids = {**ids, "delivery_id": ids["rows_delivery_id"]}
    url = re.sub(r"{(\w+)}", lambda found: ids[found[1]], path)
    body = operation.get("requestBody", {}).get("content", {})
    query = {"before": 1, "after": 1} if path.endswith("/diff") else {}
    if "multipart/form-data" in body:
        return client.request(method, url, files={"file": ("a.csv", b"a\n1\n", "text/csv")})
    told = body.get("application/json", {}).get("examples", {}).values()
    value = next((each["value"] for each in told), None)
    sent = {"If-Match": '"x"'} if path.endswith("/decisions") else {}
    return client.request(method, url, json=value, params=query, headers=sent)


def without_ids(answer: httpx.Response) -> dict:
    told = json.loads(re.sub(r"[a-z]+_[0-9A-Z]{26}", "ID", answer.text))
    return {name: each for name, each in told.items() if name != "request_id"}


@pytest.mark.parametrize(("path", "method", "operation"), NAMED, ids=[
    f"{method} {path}" for path, method, _ in NAMED])  # fmt: skip
def test_what_another_partner_has_is_not_there(stranger, mine, path, method, operation):
    names = re.findall(r"{(\w+)}", path)
    random = {**mine, **{name: new_id(Kind(mine[name].split("_")[0])) for name in names
                         if "_" in mine[name]}}  # fmt: skip
    answer = ask(stranger, method, path, operation, mine)

    assert answer.status_code == 404, answer.text
    assert without_ids(answer) == without_ids(ask(stranger, method, path, operation, random))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/companies", {"name": "x", "source": "{source}"}),
        (
            "POST",
            "/v1/plans",
            {"source": "{source}", "document": "plan: a\nsheets: [{template: b}]"},
        ),
        (
            "POST",
            "/v1/keys",
            {"name": "x", "scopes": ["imports:write"], "companies": ["{company_id}"]},
        ),
        ("POST", "/v1/companies/{own}/imports", {"files": [{"upload_ref": "{upload_id}"}]}),
        ("POST", "/v1/companies/{own}/imports", {"csv": "a\n1\n", "plan_id": "{plan_id}"}),
        ("POST", "/v1/companies/{own}/preview", {"files": [{"upload_ref": "{upload_id}"}]}),
        ("GET", "/v1/runs?company={company_id}", None),
        ("GET", "/v1/companies?source={source}", None),
        ("GET", "/v1/plans?source={source}", None),
    ],
)
def test_an_id_of_another_partner_inside_a_request_is_not_there(there, mine, method, path, body):
    client = there.client()
    planned(client)
    ids = {**mine, "own": company(client)["id"]}
    text = re.sub(r"{(\w+)}", lambda found: ids.get(found[1], found[0]), json.dumps([path, body]))
    url, sent = json.loads(text)

    assert client.request(method, url, json=sent).status_code == 404


def test_lists_show_only_ones_own(stranger, mine):
    for path in ("companies", "sources", "templates", "plans", "runs", "webhooks", "destinations"):
        assert stranger.get(f"/v1/{path}").json()["data"] == [], path
    assert mine["key_id"] not in stranger.get("/v1/keys").text
    assert mine["company_id"] not in stranger.get("/v1/audit").text


@pytest.fixture(scope="module")
def by_scope(there: Deployment) -> dict[str, httpx.Client]:
    partner = there.partner("scopes")
    return {scope: there.client(there.key(partner, scopes=frozenset({scope}))) for scope in Scope}


@pytest.mark.parametrize(("path", "method", "operation"), KEYED, ids=IDS)
def test_exactly_the_documented_scope_opens_an_operation(by_scope, mine, path, method, operation):
    wanted = operation["security"][0]["apiKey"][0]
    # With the right scope one would send to another host and the other not end.
    only_refused = path.endswith(("/test", "/events"))
    refused = set()
    for scope, client in by_scope.items():
        if only_refused and scope == wanted:
            continue
        answer = ask(client, method, path, operation, mine)
        if answer.status_code == 403 and answer.json()["missing_scope"] == wanted:
            refused.add(scope)

    assert refused == set(by_scope) - {wanted}


def test_a_key_of_one_company_sees_no_other(there):
    partner = there.partner("restricted")
    client = there.client(there.key(partner))
    planned(client)
    own, other = company(client), company(client)
    restricted = there.client(there.key(partner, companies=(own["id"],)))

    assert restricted.get(f"/v1/companies/{own['id']}").status_code == 200
    assert restricted.get(f"/v1/companies/{other['id']}").status_code == 404
    assert restricted.get("/v1/companies").status_code == 403
    assert restricted.get("/v1/runs").status_code == 403
    assert restricted.get("/v1/runs", params={"company": own["id"]}).status_code == 200
    assert restricted.get("/v1/audit").status_code == 403
