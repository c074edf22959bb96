"""The partner guide, every command of it, against a fresh server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving import deployment

GUIDE = (Path(__file__).parents[2] / "api" / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory):
    """A running server, a key for it, and a folder to work in."""
    folder = tmp_path_factory.mktemp("guide")
    with deployment(folder / "data") as there:
        there.client()
        yield {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "API": there.url,
            "KEY": there.key(there.partner()),
            "HOME": str(folder),
        }


def test_the_way_in_curl_and_in_python_works_as_it_stands(surroundings):
    folder = Path(surroundings["HOME"])
    script = "set -euo pipefail\n" + "\n".join(blocks("sh"))
    shell = run(surroundings, "bash", "-c", script)

    scopes, upload, mapping, status, prompt, counts, message, *stored, delivery, deleted = (
        shell.splitlines()
    )

    assert "'imports:write'" in scopes
    assert (upload, status, deleted) == ("stored", "needs_attention", "True")
    assert mapping == "{'name': 'Name', 'email': 'E-mail address', 'age': 'Age'}"
    assert prompt.endswith("?")
    assert counts == "{'read': 3, 'valid': 1, 'invalid': 2, 'duplicate': 0, 'skipped': 0}"
    assert "no mail" in message
    taken, stands, undone, oldest = stored
    assert oldest == "Bob"
    # A worker may have begun with it by the time it was asked for, or ended: nobody is there.
    assert delivery in {"queued", "running", "failed"}
    assert (folder / "contacts.parquet").read_bytes()[:4] == b"PAR1"
    assert "_created_run" in (folder / "before.csv").read_text()
    assert "'created': 2" in taken
    assert stands.endswith("'valid': 2, 'duplicate': 0, 'invalid': 0}")
    assert "'removed': 1, 'restored': 0, 'kept': 0" in undone
    assert (folder / "valid.csv").read_text().split() == ["name,email,age", "Ann,ann@x.example,31"]
    assert (folder / "rejected.xlsx").read_bytes()[:2] == b"PK"
    (python,) = blocks("python")
    told = run(surroundings, sys.executable, "-c", python)
    assert "Email invalid_type no mail" in told
    assert "Ann,ann@x.example,31" in told


def run(surroundings: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=surroundings["HOME"],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
