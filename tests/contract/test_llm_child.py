"""The process that asks: what it holds, whom it looks up, and how it is stopped."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import sleep

import pytest
from model_wire import body

from engine.llm import KEY, Call, Child, Failure, Rung

WATCH = """
import sys
met = []
sys.addaudithook(lambda event, args: met.append(args[0]) if event == "socket.getaddrinfo" else None)
from engine.llm import _litellm
_litellm()
print(met)
"""


class Provider(BaseHTTPRequestHandler):
    """Answers at once, or never when asked for the model `silent`."""

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        asked = json.loads(self.rfile.read(length))
        if asked["model"] == "silent":
            sleep(30)
        answer = json.dumps(body({"key": self.headers["authorization"]})).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def call(url: str, model: str = "fast", *, seconds: float = 60.0) -> Call:
    return Call(
        model=f"openai/{model}",
        system="s",
        user="u",
        schema={"type": "object"},
        rung=Rung.PLAIN,
        seconds=seconds,
        max_tokens=50,
        url=url,
    )


def test_the_child_answers_with_only_its_key_in_the_environment(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REKNIT_DATABASE_URL", "postgresql://secret")
    with Child("sk-only-this") as child:
        reply = child(call(provider))
        assert json.loads(reply.text) == {"key": "Bearer sk-only-this"}
        held = Path(f"/proc/{child._process.pid}/environ").read_bytes()  # type: ignore[union-attr]
    names = {each.partition(b"=")[0].decode() for each in held.split(b"\0") if each}
    assert names == {KEY, "PYTHONCOERCECLOCALE"}


def test_a_silent_provider_costs_no_more_than_the_deadline(provider: str) -> None:
    with Child("sk") as child:
        assert child(call(provider)).failure is None
        assert child(call(provider, "silent", seconds=1.0)).failure is Failure.TIMEOUT
        assert child(call(provider)).failure is None


def test_a_child_that_dies_is_a_failure_and_is_started_again(provider: str) -> None:
    with Child("sk") as child:
        child(call(provider))
        os.kill(child._process.pid, 9)  # type: ignore[union-attr]
        assert child(call(provider)).failure is Failure.UNREACHABLE
        assert child(call(provider)).failure is None


def test_importing_litellm_looks_nobody_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WATCH], capture_output=True, text=True, timeout=110, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("modules", ["engine.pipeline, engine.mapping", "api.app, api.cli"])
def test_importing_the_product_loads_no_litellm_and_looks_nobody_up(modules: str) -> None:
    code = f"""
import sys
met = []
sys.addaudithook(lambda event, args: met.append(args[0]) if event == "socket.getaddrinfo" else None)
import {modules}
print('litellm' in sys.modules or met)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=True
    )
    assert done.stdout.strip() == "[]"
