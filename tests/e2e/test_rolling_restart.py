"""A new server takes over from the old one under load, and no request notices (RESTARTS=20)."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from ports import free_port

ROOT = Path(__file__).parents[2]
RESTARTS = int(os.environ.get("RESTARTS", "2"))
PER_SECOND = 20


def started(folder: Path, port: int, number: int) -> subprocess.Popen[bytes]:
    """A server that listens on the shared port."""
    log = folder / f"log-{number}"
    environment = {
        "PATH": os.environ["PATH"],
        "REKNIT_DATA_DIR": str(folder / "data"),
        "REKNIT_METRICS_PORT": str(free_port()),
    }
    command = [sys.executable, "-c", "from api.cli import main; main()"]
    options = ["serve", "--port", str(port), "--no-worker", "--share-port"]
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stderr=out)
    while '"listening"' not in log.read_text():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    return process


@pytest.mark.timeout(1_800)
def test_no_request_fails_while_servers_take_over_from_each_other(tmp_path):
    port = free_port()
    process = started(tmp_path, port, 0)
    failed, answered, stop = [], [], threading.Event()

    def load() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while not stop.wait(1 / PER_SECOND):
                try:
                    answered.append(client.get("/healthz", timeout=30).raise_for_status())
                except httpx.HTTPError as error:
                    failed.append(repr(error))

    thread = threading.Thread(target=load)
    thread.start()
    for number in range(1, RESTARTS + 1):
        following = started(tmp_path, port, number)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        process = following
    stop.set()
    thread.join()
    process.send_signal(signal.SIGTERM)
    process.wait(60)

    assert failed == []
    assert len(answered) > 10 * RESTARTS
    print(f"restarts={RESTARTS} requests={len(answered)} failed={len(failed)}")  # noqa: T201
