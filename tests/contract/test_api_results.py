"""What a run gives: its invalid cells, files, exports and report."""

import csv
import gzip
import io
import json
import random
import zipfile

import httpx
import pytest
from serving import WAIT, company, deployment, imported, post

DRIFTED = b"Name,E-mail address,Age\nAnn,ann@x.example,3\nBob,notmail,4\nCy,cy@x.example,forty\n"
VALID = "name,email,age\r\nAnn,ann@x.example,3\r\n"


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data")) as running:
        yield running


@pytest.fixture(scope="module")
def finished(client) -> dict:
    """A run of two valid rows and two invalid ones that took the valid rows."""
    return imported(client, company(client)["id"], DRIFTED, policy={"when_invalid": "take_valid"})


def test_every_invalid_cell_is_listed_with_its_place(client, finished):
    cells = client.get(f"{finished['poll_url']}/cells").json()["data"]

    assert {(each["row_number"], each["field"], each["value"]) for each in cells} == {
        (3, "email", "notmail"),
        (4, "age", "forty"),
    }
    assert {each["column"] for each in cells} == {"E-mail address", "Age"}
    where = {"field": "age", "limit": 1}
    only = client.get(f"{finished['poll_url']}/cells", params=where).json()
    assert [each["field"] for each in only["data"]] == ["age"]


def test_cells_are_paged_without_a_gap(client):
    rows = "".join(f'"n ""{n}""\n",no{n},{n}\n' for n in range(120))
    run = imported(
        client, company(client)["id"], f"Name,Email,Age\n{rows}".encode(),
        policy={"when_invalid": "take_valid"},
    )  # fmt: skip
    found, query = [], {"limit": 50}
    while True:
        page = client.get(f"{run['poll_url']}/cells", params=query).json()
        found += [each["value"] for each in page["data"]]
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]

    assert found == [f"no{n}" for n in range(120)]


def test_a_report_comes_by_range_from_anywhere(client, finished):
    path = f"{finished['poll_url']}/files/report.json"
    whole = client.get(path)
    assert whole.headers["accept-ranges"] == "bytes"
    chance = random.Random(5)
    for _ in range(100):
        first, last = sorted(chance.sample(range(len(whole.content)), 2))
        part = client.get(path, headers={"Range": f"bytes={first}-{last}"})
        assert (part.status_code, part.content) == (206, whole.content[first : last + 1])


def test_result_files_come_whole_and_by_range(client, finished):
    path = f"{finished['poll_url']}/files/contacts/rejected-rows.csv"
    whole = client.get(path)
    size = len(whole.content)

    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-total-records"] == "2"
    assert whole.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert whole.headers["cache-control"] == "no-store"
    assert whole.headers["content-security-policy"] == "sandbox"
    chance = random.Random(6)
    for _ in range(100):
        at = chance.randrange(size)
        part = client.get(path, headers={"Range": f"bytes={at}-"})
        assert (part.status_code, whole.content[:at] + part.content) == (206, whole.content)
    assert client.get(path, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert client.get(path, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_a_signed_download_needs_no_key_and_its_url_cannot_be_bent(client, finished):
    listed = client.get(f"{finished['poll_url']}/files").json()["data"]
    names = {each["name"]: each["download_url"] for each in listed}
    url = names["contacts/valid.csv"]

    assert httpx.get(url, trust_env=False).text == VALID
    other = url.replace("contacts/valid.csv", "report.json")
    assert httpx.get(other, trust_env=False).status_code == 403
    assert not [name for name in names if name.startswith("staging/")]


def test_stored_and_rejected_rows_are_exported_by_sheet_and_as_a_workbook(client, finished):
    base = f"/v1/companies/{finished['company_id']}"
    valid = client.get(f"{base}/export.csv")
    rejected = client.get(f"{base}/export.csv", params={"filter": "invalid", "sheet": "contacts"})
    both = client.get(f"{base}/export.zip", params={"filter": "all"})

    assert valid.text == VALID
    assert rejected.text.splitlines()[0].startswith("Name,E-mail address,Age")
    assert 'filename="Acme-contacts.csv"' in valid.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(both.content)) as archive:
        assert archive.read("contacts/valid.csv") == valid.content
        assert archive.read("contacts/rejected-rows.csv") == rejected.content
    assert client.get(f"{base}/export.csv", params={"filter": "some"}).status_code == 400


FORMULAS = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x"]


def test_a_safe_export_holds_no_formula_and_a_plain_one_every_byte(client):
    made = company(client)["id"]
    rows = [
        {"Name": name, "Email": f"a{n}@x.example", "Age": -n} for n, name in enumerate(FORMULAS)
    ]
    post(client, f"/v1/companies/{made}/imports", {"rows": rows}, **WAIT)
    path = f"/v1/companies/{made}/export.csv"
    plain = list(csv.reader(client.get(path).text.splitlines()))[1:]
    safe = list(csv.reader(client.get(path, params={"safe": "spreadsheet"}).text.splitlines()))[1:]
    packed = client.get(path, params={"compress": "gzip"})

    assert [row[0] for row in safe] == [f"'{row[0]}" for row in plain]
    assert [row[2] for row in safe] == [str(-n) for n in range(len(FORMULAS))]
    assert gzip.decompress(packed.content) == client.get(path).content
    assert packed.headers["x-total-records"] == str(len(FORMULAS))


def test_the_report_adds_up(client, finished):
    told = client.get(finished["report_url"]).json()
    counts = told["counts"]

    assert counts["read"] == sum(counts.values()) - counts["read"] == 3
    assert json.dumps(told["content"]).count("notmail") <= 1
