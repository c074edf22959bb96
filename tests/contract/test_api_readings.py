"""An unsure file over HTTP: asked with both readings, answered, read anew, and remembered."""

import httpx
import pytest
from serving import WAIT, company, deployment, planned, post, uploaded

#: In the one encoding the names are Slovak, in the other they are no words.
ROWS = "\n".join(f"Ann,ann{n}@x.example,{n}" for n in range(40))
SLOVAK = f"Name,Email,Age\n{ROWS}\nTomáš Košice,t@x.example,41\n".encode("iso8859-2")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    with deployment(tmp_path_factory.mktemp("data")) as running:
        made = running.client()
        planned(made)
        yield made


def imported(client: httpx.Client, company_id: str) -> dict:
    files = [{"upload_ref": uploaded(client, company_id, SLOVAK, name="contacts.csv")}]
    run = post(client, f"/v1/companies/{company_id}/imports", {"files": files})
    return client.get(run["poll_url"], headers=WAIT).json()


def names(client: httpx.Client, run: dict) -> str:
    return client.get(f"/v1/runs/{run['id']}/files/contacts/valid.csv").text


def test_an_unsure_file_is_asked_once_and_its_source_remembers(client: httpx.Client) -> None:
    first = company(client)["id"]
    files = [{"upload_ref": uploaded(client, first, SLOVAK, name="contacts.csv")}]
    seen = client.post(f"/v1/companies/{first}/preview", json={"files": files}).json()
    assert [each["read"] for each in seen["tables"][0]["readings"]] == [
        {"encoding": "cp1250"},
        {"encoding": "iso8859-2"},
    ]
    run = imported(client, first)
    assert run["status"] == "needs_attention", run
    answer = client.get(run["proposal_url"])
    (question,) = answer.json()["questions"]
    rows = [option["preview"]["rows"] for option in question["options"]]
    assert [each[0][0] for each in rows] == ["Tomáą Koąice", "Tomáš Košice"]
    decision = {"decision": "answer", "answers": {question["id"]: "reading-2"}}
    headers = {"If-Match": answer.headers["etag"]}
    decided = client.post(f"/v1/runs/{run['id']}/decisions", json=decision, headers=headers)
    assert decided.status_code == 202, decided.text
    done = client.get(run["poll_url"], headers=WAIT).json()
    assert done["status"] == "completed", done
    assert "Tomáš Košice" in names(client, done)

    other = imported(client, company(client, name="Another")["id"])
    assert other["status"] == "completed", other
    assert "Tomáš Košice" in names(client, other)
