"""Schemathesis against a real server: whatever the document allows or forbids, it must hold.

The gate tries 50 examples of every operation, then a few with names of things that are there;
`make fuzz` also every boundary of every parameter.
"""

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest
from serving import company, deployment, planned, post, uploaded

from engine import outbound

CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "50")
KNOWN_EXAMPLES = os.environ.get("FUZZ_KNOWN_EXAMPLES", "6")
PHASES = os.environ.get("FUZZ_PHASES", "examples,fuzzing,stateful")
#: Links lead somewhere only from things that are there.
KNOWN_PHASES = "fuzzing,stateful"


def sown(client: httpx.Client) -> dict[str, list[str]]:
    """Path parameter to names of things that are there, so that not every answer is a 404."""
    planned(client)
    homes = [company(client, name=f"Acme {n}")["id"] for n in range(8)]
    sent = [uploaded(client, home, b"Name,Email\nA,a@x.io\n", name="a.csv") for home in homes[:3]]
    good = "Name,Email,Age\nA,a@x.io,3\n"
    texts = (good, good + "B,none,4\n", "Name,E-mail addr\nA,no\n")
    runs = [
        post(client, f"/v1/companies/{home}/imports", {"csv": text}, Prefer="wait=30")["id"]
        for home, text in zip(homes, texts, strict=False)
    ]
    hooks = [post(client, "/v1/webhooks", {"url": "https://x.example/in"}) for _ in range(3)]
    minted = [
        post(client, "/v1/keys", {"name": "k", "scopes": ["companies:read"]}) for _ in range(3)
    ]
    export = post(client, f"/v1/companies/{homes[0]}/exports", {})
    return {
        "company_id": homes, "upload_id": sent, "run_id": runs, "export_id": [export["id"]],
        "webhook_id": [each["id"] for each in hooks], "key_id": [each["id"] for each in minted],
        "plan_id": [each["id"] for each in client.get("/v1/plans").json()["data"]],
        "source": ["crm"], "sheet": ["contacts"],
    }  # fmt: skip


def drawn(name: str, values: list[str]) -> str:
    """Three of four values of the parameter are one of these."""
    return (
        f"\n[dictionaries.{name}]\nvalues = {json.dumps(values)}\n"
        f'[parameters."path.{name}"]\ndictionary = "{name}"\nprobability = 0.75\n'
    )


@pytest.mark.timeout(1_800)
def test_the_fuzzer_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz(tmp_path, monkeypatch, known={}, examples=EXAMPLES, phases=PHASES)


@pytest.mark.timeout(1_800)
def test_nor_does_it_among_things_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with deployment(tmp_path / "data") as there:
        key = there.key(there.partner())
        known = sown(there.client(key))
    fuzz(tmp_path, monkeypatch, known=known, examples=KNOWN_EXAMPLES, phases=KNOWN_PHASES, key=key)


def fuzz(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    known: dict[str, list[str]],
    examples: str,
    phases: str,
    key: str = "",
) -> None:
    # Nobody works on the runs: their streams would not end by themselves.
    monkeypatch.setattr("api.routes.runs.STREAM_SECONDS", 0.0)
    # Hosts the fuzzer made up must not be looked up where a test may run.
    monkeypatch.setattr("engine.webhooks.post", partial(outbound.post, resolve=lambda *_, **__: []))
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.read_text() + "".join(map(drawn, known, known.values())))
    with deployment(tmp_path / "data", worker=False, outbound_http=True) as there:
        if not key:
            key = there.key(there.partner())
            client = there.client(key)
            planned(client)
            company(client)
        done = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis",
                *("--config-file", str(config)),
                *("run", f"{there.url}/v1/openapi.json"),
                *("-H", f"x-api-key: {key}", "-H", f"Authorization: Bearer {key}"),
                *("--max-examples", examples, "--phases", phases, "--seed", "1", "--no-color"),
                *("--checks", "all", "--request-timeout", "10", "--continue-on-failure"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    summary = re.findall(r"^.*(?:generated|failures|passed|warnings).*$", done.stdout, re.MULTILINE)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-1_000:]
    print("\n".join(summary))  # noqa: T201 - the figures of this test
