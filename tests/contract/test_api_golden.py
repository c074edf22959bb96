"""What each published Api-Version answers, byte by byte (A1).

A new date needs a folder of its own and leaves those of older dates as they are; an answer may
only get new members (UPDATE_GOLDEN=1 writes them). Ids, moments and secrets differ each time and
stand as their kind in the files.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from serving import PLAN, company, deployment, planned, post

from engine.store.keys import API_VERSIONS

GOLDEN = Path(__file__).parents[1] / "golden"
CASES: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "me": lambda client, _: client.get("/v1/me"),
    "company": lambda client, home: client.get(f"/v1/companies/{home}"),
    "companies": lambda client, _: client.get("/v1/companies?limit=1"),
    "plan": lambda client, _: client.get("/v1/plans?limit=1"),
    "plan-mistakes": lambda client, _: send(
        client, "plans/validate", document=PLAN.replace("plan: crm", "plan: 7")
    ),
    "upload": lambda client, home: send(client, f"companies/{home}/uploads", name="a.csv", size=9),
    "preview": lambda client, home: send(
        client, f"companies/{home}/preview", csv="Name,E-mail\nAnn,a@x.io\n"
    ),
    "run": lambda client, home: send(client, f"companies/{home}/imports", csv="Name,Email\nA,b\n"),
    "run-active": lambda client, home: send(client, f"companies/{home}/imports", csv="Name\nA\n"),
    "events": lambda client, home: client.get("/v1/events?limit=1"),
    "webhook": lambda client, _: send(client, "webhooks", url="https://p.example/in"),
    "not-found": lambda client, _: client.get("/v1/runs/run_0"),
    "wrong-member": lambda client, _: send(client, "sources", nmae="x"),
}
VARYING = (
    # A key found within the last second does not know yet that it was used.
    (re.compile(r'(?<="last_used_at":)(?:null|"[^"]+")'), '"MOMENT"'),
    (re.compile(r"rk_live_\w{39}|whsec_[\w+/=]+|(?<=/m/)[\w.-]+|(?<=content\?)[^\"]+"), "SECRET"),
    (re.compile(r"\b([a-z]+_)[0-9A-HJKMNP-TV-Z]{26}"), r"\1ID"),
    (re.compile(r"req_[0-9a-f]{24}"), "req_ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)"), "MOMENT"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "https://reknit.example"),
    (re.compile(r"rk_live_\w{4}\b"), "PREFIX"),
)  # fmt: skip


def send(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return client.post(f"/v1/{path}", json=body)


def settled(answer: httpx.Response) -> str:
    """Status and body with everything that differs each time named instead."""
    text = f"{answer.status_code} {answer.headers['content-type']}\n{answer.text}\n"
    for pattern, name in VARYING:
        text = pattern.sub(name, text)
    return text


@pytest.mark.parametrize("date", API_VERSIONS)
def test_a_published_date_answers_as_it_did(tmp_path: Path, date: str) -> None:
    with deployment(tmp_path, worker=False) as there:
        client = there.client(**{"Api-Version": date})
        planned(client)
        home = company(client, name="Acme", external_id="acme-42")["id"]
        told = {name: settled(ask(client, home)) for name, ask in CASES.items()}
    folder = GOLDEN / date
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in told.items():
            (folder / f"{name}.txt").write_bytes(text.encode())
    kept = {path.stem: path.read_bytes().decode() for path in folder.glob("*.txt")}

    assert told == kept, "an answer changed: review it, then UPDATE_GOLDEN=1 writes it"


def test_a_key_keeps_the_newest_date_of_its_birthday(tmp_path: Path) -> None:
    with deployment(tmp_path, worker=False) as there:
        client = there.client()
        made = post(client, "/v1/keys", {"name": "k", "scopes": ["companies:read"]})
        old = there.key(there.partner(), api_version="2026-10-01")
        answers = [
            httpx.get(f"{there.url}/v1/me", headers={"x-api-key": key, **asked}, trust_env=False)
            for key, asked in (
                (made["secret"], {}),
                (old, {}),
                (old, {"Api-Version": API_VERSIONS[-1]}),
            )
        ]

    assert made["api_version"] == API_VERSIONS[-1]
    dates = [each.headers["api-version"] for each in answers]
    assert dates == [API_VERSIONS[-1], "2026-10-01", API_VERSIONS[-1]]
