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
