"""Schemathesis against a real server: whatever the document allows or forbids, it must hold.

The gate tries 50 examples of every operation; `make fuzz` also every boundary of every parameter.
"""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from serving import company, deployment, planned

from engine import outbound

CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "50")
PHASES = os.environ.get("FUZZ_PHASES", "examples,fuzzing,stateful")


@pytest.mark.timeout(1_800)
def test_the_fuzzer_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody works on the runs: their streams would not end by themselves.
    monkeypatch.setattr("api.routes.runs.STREAM_SECONDS", 0.0)
    # Hosts the fuzzer made up must not be looked up where a test may run.
    monkeypatch.setattr("engine.webhooks.post", partial(outbound.post, resolve=lambda *_, **__: []))
    with deployment(tmp_path / "data", worker=False, outbound_http=True) as there:
        partner = there.partner()
        key = there.key(partner)
        client = there.client(key)
        planned(client)
        company(client)
        done = subprocess.run(
            [
                Path(sys.executable).parent / "schemathesis",
                *("--config-file", str(CONFIG)),
                *("run", f"{there.url}/v1/openapi.json"),
                *("-H", f"x-api-key: {key}", "-H", f"Authorization: Bearer {key}"),
                *("--max-examples", EXAMPLES, "--phases", PHASES, "--seed", "1", "--no-color"),
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
