"""What a completed run leaves in its company's sheets, over the API."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import openpyxl
import pytest
from ruamel.yaml import YAML
from serving import PLAN, Deployment, company, deployment, planned, post, uploaded

yaml = YAML(typ="safe")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("data"), poll_seconds=0.05) as found:
        yield found


@pytest.fixture
def client(there: Deployment) -> httpx.Client:
    client = there.client()
    planned(client)
    return client


def imported(client: httpx.Client, owner: str, text: str, **said: Any) -> dict[str, Any]:
    """A run over CSV text that has ended."""
    body = {"csv": text, "policy": {"when_invalid": "take_valid"}, **said}
    return post(client, f"/v1/companies/{owner}/imports", body, Prefer="wait=60")


def did(run: dict[str, Any], sheet: str = "contacts") -> dict[str, int]:
    """What a completed run did to a sheet, without the zeros."""
    assert run["status"] == "completed", run
    told = next(each for each in run["rows"] if each["sheet"] == sheet)
    return {name: count for name, count in told.items() if count and name != "sheet"}


TWO = "Name,Email,Age\nAnn,ann@x.io,31\nBen,ben@x.io,40\n"


def test_valid_rows_are_created_then_updated_or_unchanged(client: httpx.Client) -> None:
    owner = company(client)["id"]
    first = imported(client, owner, TWO)
    assert did(first) == {"created": 2}
    again = imported(client, owner, TWO.replace("40", "41") + "Cy,cy@x.io,1\n")
    assert did(again) == {"created": 1, "updated": 1, "unchanged": 1}
    report = client.get(f"/v1/runs/{again['id']}/report").json()
    assert report["content"]["rows"]["contacts"]["updated"] == 1


def undo(client: httpx.Client, run: dict[str, Any]) -> httpx.Response:
    return client.post(f"/v1/companies/{run['company_id']}/imports/{run['id']}/undo")


def ended(client: httpx.Client, run: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = client.get(
        f"/v1/runs/{run['id']}?expand[]=report", headers={"Prefer": "wait=60"}
    ).json()
    return told


def test_an_import_is_undone_by_a_run_of_its_own(client: httpx.Client) -> None:
    owner = company(client)["id"]
    imported(client, owner, TWO)
    second = imported(client, owner, TWO.replace("31", "32") + "Cy,cy@x.io,1\n")
    assert did(second) == {"created": 1, "updated": 1, "unchanged": 1}
    third = imported(client, owner, "Name,Email,Age\nCy,cy@x.io,2\n")
    answer = undo(client, second)
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/runs/{answer.json()['id']}"
    undone = ended(client, answer.json())
    assert (undone["kind"], undone["origin_id"]) == ("undo", second["id"])
    assert did(undone) == {"restored": 1, "kept": 1}
    (kept,) = undone["report"]["kept_rows"]["contacts"]
    assert kept["run"] == third["id"]


def test_what_cannot_be_undone_is_refused_with_its_reason(client: httpx.Client) -> None:
    owner = company(client)["id"]
    run = imported(client, owner, TWO)
    ended(client, undo(client, run).json())
    for refused in (
        run,
        imported(client, owner, TWO, dry_run=True),
        imported(client, owner, "Name,Email,Age\nX,no mail,1\n", policy={"when_invalid": "fail"}),
    ):
        answer = undo(client, refused)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_undoable")
    stranger = company(client)["id"]
    assert client.post(f"/v1/companies/{stranger}/imports/{run['id']}/undo").status_code == 404


BAD = "Name,Email,Age\nAnn,ann@x.io,31\nBob,no mail,44\nCy,cy@x.io,forty\n"


def replay(client: httpx.Client, run: dict[str, Any], **said: Any) -> dict[str, Any]:
    body = {"policy": {"when_invalid": "take_valid"}, **said}
    path = f"/v1/companies/{run['company_id']}/imports/{run['id']}/replay"
    return ended(client, post(client, path, body))


def rejected(client: httpx.Client, run: dict[str, Any], kind: str = "csv") -> bytes:
    answer = client.get(f"/v1/runs/{run['id']}/files/contacts/rejected-rows.{kind}")
    assert answer.status_code == 200, answer.text
    return answer.content


def test_corrected_rejected_rows_are_replayed_and_keep_their_place(client: httpx.Client) -> None:
    owner = company(client)["id"]
    first = imported(client, owner, BAD)
    corrected = rejected(client, first).replace(b"no mail", b"bob@x.io")
    ref = uploaded(client, owner, corrected, name="fixed.csv")
    second = replay(client, first, files=[{"upload_ref": ref}])
    assert (second["kind"], second["origin_id"]) == ("replay", first["id"])
    assert did(second) == {"created": 1}
    assert (second["counts"]["read"], second["counts"]["invalid"]) == (2, 1)
    (cell,) = client.get(f"/v1/runs/{second['id']}/cells").json()["data"]
    assert (cell["file"], cell["row_number"], cell["value"]) == ("rows.csv", 4, "forty")
    both = ended(client, first)
    assert both["replayed"] == {
        "runs": [second["id"]], "valid": 1, "duplicate": 0, "invalid": 1,
    }  # fmt: skip
    assert first["counts"]["read"] == first["counts"]["valid"] + 1 + 1


def send(client: httpx.Client, owner: str, content: bytes, name: str = "fixed.csv") -> list[Any]:
    return [{"upload_ref": uploaded(client, owner, content, name=name)}]


def test_rejected_rows_are_replayed_by_a_new_plan_version(client: httpx.Client) -> None:
    owner = company(client)["id"]
    first = imported(client, owner, BAD)
    plan = client.get("/v1/plans").json()["data"][0]
    text = PLAN + "        transforms: [{op: nulls, words: [forty]}]\n"
    made = post(client, f"/v1/plans/{plan['id']}/versions", {"document": text, "reason": "nulls"})
    post(client, f"/v1/plans/{plan['id']}/publish", {"number": made["number"]})
    second = replay(client, first)
    assert did(second) == {"created": 1}
    third = replay(client, second)
    counts = third["counts"]
    assert third["origin_id"] == first["id"]
    assert (counts["read"], counts["invalid"], counts["skipped"]) == (2, 1, 1)
    assert ended(client, first)["replayed"]["invalid"] == 1
    assert undo(client, second).status_code == 201


def test_the_highlighted_workbook_comes_back_and_rows_taken_in_are_skipped(
    client: httpx.Client,
) -> None:
    owner = company(client)["id"]
    first = imported(client, owner, BAD)
    book = openpyxl.load_workbook(io.BytesIO(rejected(client, first, "xlsx")))
    (page,) = book.worksheets
    for row, column, value in ((2, 2, "bob@x.io"), (3, 3, "40")):
        page.cell(row, column).value = value
    out = io.BytesIO()
    book.save(out)
    file = send(client, owner, out.getvalue(), "rejected.xlsx")
    second = replay(client, first, files=file)
    assert did(second) == {"created": 2}
    assert ended(client, first)["replayed"]["invalid"] == 0
    path = f"/v1/companies/{owner}/imports/{first['id']}/replay"
    assert client.post(path, json={}).json()["code"] == "conflict"
    ended(client, undo(client, second).json())
    again = replay(client, first, files=file)
    assert did(again) == {"created": 2}


def test_a_file_that_is_not_of_the_run_is_refused(client: httpx.Client) -> None:
    owner = company(client)["id"]
    first = imported(client, owner, BAD)
    ours = rejected(client, first)
    theirs = rejected(client, imported(client, owner, BAD))
    rows = ours.splitlines(keepends=True)
    for strange in (theirs, BAD.encode(), ours + rows[-1], ours + b"New,new@x.io,1,,,\r\n"):
        run = replay(client, first, files=send(client, owner, strange))
        assert (run["status"], run["failed_reason"]) == ("failed", "not_of_this_run"), strange
    assert ended(client, first)["replayed"] is None


def test_modes_exclusions_and_tags_say_what_is_stored(client: httpx.Client) -> None:
    owner = company(client)["id"]
    exclude = [{"field": "email", "values": ["BEN@x.io"]}]
    assert did(imported(client, owner, TWO, exclude=exclude)) == {
        "created": 1, "skipped": 1, "excluded": 1,
    }  # fmt: skip
    more = TWO.replace("31", "32")
    only_new = imported(client, owner, more, mode="create_only")
    assert did(only_new) == {"created": 1, "skipped": 1, "by_mode": 1}
    listed = client.get(f"/v1/runs/{only_new['id']}/files/contacts/skipped-rows.csv").text
    assert listed.splitlines() == ["file,row_number,reason", "rows.csv,2,by_mode"]
    kept = imported(client, owner, more, keep_existing=True, tags=["spring"])
    assert did(kept) == {"updated": 2}
    known = imported(client, owner, more + "Cy,cy@x.io,1\n", mode="update_only")
    assert did(known) == {"updated": 1, "unchanged": 1, "skipped": 1, "by_mode": 1}
    wrong = {"csv": TWO, "exclude": [{"field": "fax", "values": ["1"]}]}
    answer = client.post(f"/v1/companies/{owner}/imports", json=wrong)
    assert answer.json()["errors"][0]["pointer"] == "/exclude/0/field"


def test_a_dry_run_and_a_waiting_run_store_nothing(client: httpx.Client) -> None:
    owner = company(client)["id"]
    assert imported(client, owner, TWO, dry_run=True)["rows"] == []
    waiting = imported(client, owner, BAD, policy={"when_invalid": "pause"})
    assert (waiting["status"], waiting["rows"]) == ("needs_attention", [])
    post(client, f"/v1/runs/{waiting['id']}/cancel")
    assert did(imported(client, owner, BAD)) == {"created": 1}


def test_a_column_a_file_does_not_bring_stays_as_it_is(client: httpx.Client) -> None:
    owner = company(client)["id"]
    imported(client, owner, TWO)
    narrow = "Name,Email\nAnna,ann@x.io\n"
    policy = {"when_invalid": "take_valid"}
    files = [
        *send(client, owner, narrow.encode(), "narrow.csv"),
        *send(client, owner, b"Name,Email,Age\nBenno,ben@x.io,41\n", "wide.csv"),
    ]
    body = {"files": files, "policy": policy}
    run = ended(client, post(client, f"/v1/companies/{owner}/imports", body))
    assert did(run) == {"updated": 2}
    rows = client.get(f"/v1/companies/{owner}/export.csv?sheet=contacts").text
    assert "Anna,ann@x.io,31" in rows
    assert "Benno,ben@x.io,41" in rows


DEALS = """
plan: crm
templates:
  - template: firms
    identity: [[number], [name, city]]
    fields: [{name: number}, {name: name, required: true}, {name: city}]
  - template: deals
    fields:
      - {name: title, required: true}
      - {name: firm, type: reference, required: true, references: {template: firms, field: number}}
      - {name: place}
sheets:
  - {template: firms, files: ["firms*"], extra_columns: keep, columns: [
      {field: number, from: No}, {field: name, from: Firm}, {field: city, from: City, optional: true}]}
  - {template: deals, files: ["deals*"], columns: [
      {field: title, from: Title}, {field: firm, from: Firm No},
      {field: place, from: Place, optional: true,
       transforms: [{op: lookup, template: firms, match: number, take: city}]}]}
"""


@pytest.fixture
def firms(there: Deployment) -> httpx.Client:
    client = there.client()
    post(client, "/v1/sources", {"name": "crm"})
    made = post(client, "/v1/plans", {"source": "crm", "document": DEALS})
    post(client, f"/v1/plans/{made['id']}/publish", {"number": 1})
    return client


def test_references_find_rows_of_earlier_imports(firms: httpx.Client) -> None:
    owner = company(firms)["id"]
    imported(firms, owner, "No,Firm,City\n7,Acme,Rome\n", sheet="firms")
    deals = imported(firms, owner, "Title,Firm No\nBig,7\nLost,8\n", sheet="deals")
    assert did(deals, "deals") == {"created": 1}
    (cell,) = firms.get(f"/v1/runs/{deals['id']}/cells").json()["data"]
    assert (cell["code"], cell["value"]) == ("reference_not_found", "8")
    imported(firms, owner, "No,Firm,City\n8,Late,Oslo\n", sheet="firms")
    assert did(replay(firms, deals), "deals") == {"created": 1}


def test_a_version_is_tried_beside_the_rows_that_were_stored_when_a_run_began(
    firms: httpx.Client,
) -> None:
    owner = company(firms)["id"]
    imported(firms, owner, "No,Firm,City\n7,Acme,Rome\n", sheet="firms")
    deals = imported(firms, owner, "Title,Firm No\nBig,7\nLost,8\n", sheet="deals")
    imported(firms, owner, "No,Firm,City\n8,Late,Oslo\n", sheet="firms")
    document = yaml.load(DEALS)
    document["sheets"][1]["columns"][0]["transforms"] = [{"op": "case", "to": "upper"}]
    body = {"document": document, "reason": "in capitals"}
    number = post(firms, f"/v1/plans/{deals['plan_id']}/versions", body)["number"]
    tried = post(firms, f"/v1/plans/{deals['plan_id']}/replay", {"number": number})["runs"]
    (row,) = [each for each in tried if each["run_id"] == deals["id"]]
    assert (row["before"], row["after"]) == (deals["counts"], deals["counts"])
    assert (row["fixed"], row["broken"], deals["counts"]["valid"]) == (0, 0, 1)


def test_references_to_a_sheet_without_rows_are_counted_not_refused(firms: httpx.Client) -> None:
    owner = company(firms)["id"]
    run = imported(firms, owner, "Title,Firm No\nBig,7\nLost,8\n", sheet="deals")
    assert did(run, "deals") == {"created": 2}
    (drift,) = firms.get(f"/v1/runs/{run['id']}/report").json()["content"]["drift"]
    assert (drift["code"], drift["field"], drift["count"]) == ("reference_unchecked", "firm", 2)
    assert drift["message"] == (
        "2 values of firm were not checked: no row of firms with a number is there; "
        "import firms before, or together"
    )


def test_lookups_find_rows_of_earlier_imports_after_those_of_their_own(firms: httpx.Client) -> None:
    owner = company(firms)["id"]
    imported(firms, owner, "No,Firm,City\n7,Acme,Rome\n9,Late,Oslo\n", sheet="firms")
    files = [
        *send(firms, owner, b"No,Firm,City\n9,Late,Bergen\n", "firms.csv"),
        *send(firms, owner, b"Title,Firm No,Place\nBig,7,7\nLost,9,9\nBad,7,8\n", "deals.csv"),
    ]
    policy = {"when_invalid": "take_valid"}
    run = ended(
        firms, post(firms, f"/v1/companies/{owner}/imports", {"files": files, "policy": policy})
    )
    rows = firms.get(f"/v1/companies/{owner}/export.csv?sheet=deals").text.splitlines()
    assert rows == ["title,firm,place", "Big,7,Rome", "Lost,9,Bergen"]
    (cell,) = firms.get(f"/v1/runs/{run['id']}/cells").json()["data"]
    assert (cell["code"], cell["value"]) == ("lookup_not_found", "8")


def test_identity_keys_cascade_and_custom_columns_are_kept(firms: httpx.Client) -> None:
    owner = company(firms)["id"]
    assert did(
        imported(firms, owner, "No,Firm,City\n7,Acme,Rome\n,Late,Oslo\n", sheet="firms"), "firms"
    ) == {"created": 2}
    second = "No,Firm,City,Owner\n7,Acme Ltd,Rome,Kim\n9,Late,Oslo,Lee\n"
    assert did(imported(firms, owner, second, sheet="firms"), "firms") == {"updated": 2}
    rows = firms.get(f"/v1/companies/{owner}/export.csv?sheet=firms").text.splitlines()
    assert rows == ["number,name,city,owner", "7,Acme Ltd,Rome,Kim", "9,Late,Oslo,Lee"]


def test_a_template_without_identity_takes_every_row_of_every_import(firms: httpx.Client) -> None:
    owner = company(firms)["id"]
    imported(firms, owner, "No,Firm\n7,Acme\n", sheet="firms")
    for _ in range(2):
        run = imported(firms, owner, "Title,Firm No\nBig,7\nBig,7\n", sheet="deals")
        assert did(run, "deals") == {"created": 2}


def test_sheets_say_what_they_hold(client: httpx.Client) -> None:
    owner = company(client)["id"]
    path = f"/v1/companies/{owner}/sheets"
    (empty,) = client.get(path).json()["data"]
    assert (empty["name"], empty["rows"], empty["last_run_id"]) == ("contacts", 0, None)
    run = imported(client, owner, TWO)
    (sheet,) = client.get(path).json()["data"]
    assert (sheet["rows"], sheet["last_run_id"]) == (2, run["id"])
    assert [each["name"] for each in sheet["columns"]] == ["name", "email", "age"]
