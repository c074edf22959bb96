"""A server killed around the commit of a request: the client repeats it and nothing is doubled."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from serving import deployment, planned, post

ROOT = Path(__file__).parents[2]
#: `make lost ROUNDS=100` kills a server so many times at each place.
ROUNDS = int(os.environ.get("ROUNDS", "1"))


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize(
    ("place", "survives"), [("request:before-commit", False), ("request:after-commit", True)]
)
def test_a_request_repeated_after_a_kill_makes_one_run(tmp_path, place, survives):
    with deployment(tmp_path, worker=False) as there:
        key = there.key(there.partner())
        client = there.client(key)
        planned(client)
        made = post(client, "/v1/companies", {"name": "Acme", "source": "crm"})["id"]
    path = f"/v1/companies/{made}/imports"
    body = {"csv": "Name,Email\nA,a@x.example\n", "on_conflict": "queue"}
    known: list[str] = []
    for number in range(ROUNDS):
        headers = {"x-api-key": key, "Idempotency-Key": f"lost-{number}"}
        said = {"headers": headers, "timeout": 60, "trust_env": False}
        with (
            serving(tmp_path, failpoint=f"{place}:kill") as url,
            pytest.raises(httpx.TransportError),
        ):
            httpx.post(url + path, json=body, **said)
        with serving(tmp_path) as url:
            again = httpx.post(url + path, json=body, **said)
            listed = httpx.get(f"{url}{path}?limit=200", **said).json()["data"]
        assert again.status_code == 201, again.text
        assert ("idempotent-replayed" in again.headers) is survives
        known.insert(0, again.json()["id"])
        assert [each["id"] for each in listed] == known
    print(f"{place}: rounds={ROUNDS} runs={len(known)} duplicates=0")  # noqa: T201 - its figures


class serving:
    """`reknit serve` over a folder, killed at a failpoint or stopped at the end."""

    def __init__(self, folder: Path, *, failpoint: str = "") -> None:
        self.folder, self.failpoint = folder, failpoint

    def __enter__(self) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "REKNIT_DATA_DIR": str(self.folder),
            "REKNIT_METRICS_PORT": "0",
            "REKNIT_MIN_FREE_BYTES": "0",
            "FAILPOINT": self.failpoint,
        }
        log = self.folder / "serve.log"
        program = "from api.cli import main; main()"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program, "serve", "--port", "0", "--no-worker"],
                cwd=ROOT,
                env=environment,
                stderr=out,
            )
        while '"listening"' not in log.read_text():
            assert self.process.poll() is None, log.read_text()
            time.sleep(0.05)
        (line,) = (each for each in log.read_text().splitlines() if '"listening"' in each)
        return line.partition('"url": "')[2].partition('"')[0]

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(60)
