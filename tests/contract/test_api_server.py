"""The process: starts fast, loads no model, cuts slow clients, drains, and tells its figures."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from ports import free_port
from serving import deployment

from api.app import create_app
from api.server import Server, configured

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as running:
        yield running


class Process:
    """`reknit serve` as an operator starts it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port, self.figures = free_port(), free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "REKNIT_DATA_DIR": str(folder / "data"),
            "REKNIT_METRICS_PORT": str(self.figures),
            "REKNIT_MIN_FREE_BYTES": "0",
        }
        self.log = folder / "log"
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from api.cli import main; main()",
                 "serve", "--port", str(self.port), *options],
                cwd=ROOT, env=environment, stderr=out,
            )  # fmt: skip

    def ready(self, seconds: float = 60.0) -> "Process":
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if httpx.get(f"http://127.0.0.1:{self.port}/readyz", trust_env=False).is_success:
                    return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def test_the_server_serves_health_and_figures_apart_and_ends_cleanly(tmp_path):
    server = Process(tmp_path, "--no-worker").ready()
    base = f"http://127.0.0.1:{server.figures}"
    try:
        assert httpx.get(f"{base}/healthz", trust_env=False).json() == {"status": "ok"}
        assert httpx.get(f"{base}/readyz", trust_env=False).json() == {"status": "ready"}
        text = httpx.get(f"{base}/metrics", trust_env=False).text
        public = httpx.get(f"http://127.0.0.1:{server.port}/metrics", trust_env=False)
    finally:
        code = server.stop()

    assert 'reknit_http_requests_total{method="GET",route="/readyz",status="200"}' in text
    assert 'reknit_runs{status="queued"} 0.0' in text
    assert "reknit_workers 0.0" in text
    assert public.status_code == 404
    assert "server" not in public.headers
    assert code == 0
    assert all(line.startswith('{"time"') for line in server.log.read_text().splitlines())


@pytest.mark.parametrize(
    ("program", "unwanted"),
    [
        ("import api.server, engine.work", {"litellm", "openai", "playwright"}),
        ("import api.cli", {"litellm", "dbos", "sqlalchemy", "duckdb", "fastapi"}),
    ],
)
def test_what_is_not_needed_is_not_imported(program, unwanted):
    told = subprocess.run(
        [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip

    assert unwanted & set(told) == set()


def raw(there, *parts: bytes, pause: float = 0.0, seconds: float = 30.0) -> bytes:
    """What the server says to these bytes, sent with pauses; everything until it hangs up."""
    port = httpx.URL(there.url).port
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(seconds)
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        while chunk := _received(connection):
            answer += chunk
    return answer


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65_536)
    except ConnectionError:
        return b""


def test_half_a_header_is_answered_and_cut(there, monkeypatch):
    monkeypatch.setattr("api.server.HEADER_SECONDS", 0.2)
    answer = raw(there, b"GET /healthz HTTP/1.1\r\nX-Slow: ")

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_timeout"' in answer


def test_a_silent_connection_is_cut(there, monkeypatch):
    monkeypatch.setattr("api.server.HEADER_SECONDS", 0.2)

    assert raw(there).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 17_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000, b"400"),
    ],
)
def test_what_is_not_http_or_too_much_of_it_gets_a_problem_too(there, sent, status):
    answer = raw(there, sent)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in answer


def test_a_body_that_dribbles_is_cut(there, monkeypatch):
    monkeypatch.setattr("api.limits.BODY_GRACE_SECONDS", 0.3)
    key = there.key(there.partner())
    head = (
        f"POST /v1/sources HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    )
    answer = raw(there, head.encode(), *[b" "] * 20, pause=0.05)

    assert answer.startswith(b"HTTP/1.1 408 ")


def test_many_slow_clients_do_not_hold_up_a_normal_one(there):
    client = there.client()
    port = httpx.URL(there.url).port
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    for each in slow:
        each.sendall(b"GET /v1/me HTTP/1.1\r\nX-")
    took = []
    for _ in range(50):
        started = time.perf_counter()
        assert client.get("/v1/me").status_code == 200
        took.append(time.perf_counter() - started)
    for each in slow:
        each.close()

    print(f"slow_clients_p98_ms={sorted(took)[48] * 1000:.0f}")  # noqa: T201 - a figure


def test_a_request_under_way_ends_and_new_ones_are_refused_while_draining(tmp_path):
    server = Process(tmp_path).ready()
    answers: list[httpx.Response] = []
    url = f"http://127.0.0.1:{server.port}/v1/me"
    thread = threading.Thread(
        target=lambda: answers.extend(
            httpx.get(url, trust_env=False, headers={"x-api-key": "no"}) for _ in range(5)
        )
    )
    thread.start()
    thread.join()
    code = server.stop()

    assert [each.status_code for each in answers] == [401] * 5
    assert code == 0
    assert not re.search(r"Traceback|\"level\": \"error\"", server.log.read_text())


def test_a_request_on_its_way_when_the_server_leaves_is_answered(there, monkeypatch):
    monkeypatch.setattr("api.server.LEAVING_SECONDS", 60)
    services = there.services
    server = Server(
        configured(create_app(services), host="127.0.0.1", port=0), draining=services.draining
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        before = client.get("/healthz")
        server.handle_exit(signal.SIGTERM, None)
        while listens(port):
            time.sleep(0.01)
        after = client.get("/healthz")
    thread.join(30)
    services.draining.clear()

    assert (before.status_code, before.headers.get("connection")) == (200, None)
    assert (after.status_code, after.headers.get("connection")) == (200, "close")
    assert not thread.is_alive()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_stalled_reader_is_cut(there, monkeypatch):
    monkeypatch.setattr("api.server.STALLED_SECONDS", 0.3)
    size = len(httpx.get(f"{there.url}/v1/openapi.json", trust_env=False).content)
    with socket.create_connection(("127.0.0.1", httpx.URL(there.url).port)) as connection:
        connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 60)
        # More than the buffers of both sides hold, so that the server has to wait for us.
        time.sleep(3)
        connection.settimeout(10)
        received = 0
        while chunk := _received(connection):
            received += len(chunk)

    assert received < 60 * size
