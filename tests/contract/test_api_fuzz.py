"""Schemathesis against a real server: whatever the document allows or forbids, it must hold.

The gate tries a few examples of everything; `make fuzz` (EXAMPLES=50) tries many more.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from serving import company, deployment, planned

CONFIG = Path(__file__).parents[1] / "schemathesis.toml"
EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "2")
#: Each boundary value of each parameter, thousands of requests: only where time is no matter.
PHASES = "examples,fuzzing,stateful" if EXAMPLES == "2" else "examples,coverage,fuzzing,stateful"

#: One never ends and the other sends to hosts the fuzzer made up.
LEFT_OUT = ("streamRunEvents", "testWebhook")


def test_the_fuzzer_finds_nothing(tmp_path):
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
                *(word for name in LEFT_OUT for word in ("--exclude-operation-id", name)),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    summary = re.findall(r"^.*(?:generated|failures|passed|warnings).*$", done.stdout, re.MULTILINE)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-1_000:]
    print("\n".join(summary))  # noqa: T201 - the figures of this test
