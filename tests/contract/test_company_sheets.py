"""What a completed run leaves in its company's sheets, over the API."""

import io
from collections.abc import Iterator
from typing import Any

import httpx
import openpyxl
import pytest
from serving import PLAN, Deployment, company, deployment, planned, post, uploaded


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
    assert (third["origin_id"], third["counts"]["read"]) == (first["id"], 1)
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
