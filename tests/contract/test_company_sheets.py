"""What a completed run leaves in its company's sheets, over the API."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from serving import Deployment, company, deployment, planned, post


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
