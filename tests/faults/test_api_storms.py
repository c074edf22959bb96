"""Storms over HTTP (trust.md F4, F6, F15, F16, F20): each prints its figures; ROUNDS=200 takes longer."""

import os
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from serving import Deployment, company, deployment, planned, post, running

from engine.store import events

ROUNDS = int(os.environ.get("ROUNDS", "5"))
DRIFTED = "Name,E-mail address,Age\nAnn,ann@x.example,3\nBob,notmail,4\n"
TUS = {"content-type": "application/offset+octet-stream"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture(scope="module")
def client(there: Deployment) -> httpx.Client:
    made = there.client()
    made.timeout = httpx.Timeout(300)
    planned(made)
    return made


def told(name: str, **figures: object) -> None:
    print(name, *(f"{key}={value}" for key, value in figures.items()))  # noqa: T201


def test_the_same_keys_from_everywhere_make_one_run_each(there, client):
    """F4: 64 posts of each of 20 keys at once, to two servers."""
    paths = [f"/v1/companies/{company(client)['id']}/imports" for _ in range(20)]
    busy: list[int] = []
    with running(there.services) as elsewhere, ThreadPoolExecutor(64) as pool:
        there.services.draining.clear()

        def send(number: int) -> tuple[int, str]:
            url = (there.url, elsewhere)[number % 2] + paths[number // 64]
            body = {"csv": DRIFTED, "idempotency_key": "storm"}
            answer = client.post(url, json=body)
            while answer.status_code == 503:  # SQLite has one writer, and told us to come again
                busy.append(number)
                time.sleep(int(answer.headers["retry-after"]))
                answer = client.post(url, json=body)
            return answer.status_code, answer.json().get("id", answer.json().get("code"))

        answers = list(pool.map(send, range(64 * 20)))
    there.services.draining.clear()
    statuses = Counter(status for status, _ in answers)
    made = {run for status, run in answers if status == 201}
    told(
        "same_key_storm", posts=len(answers), runs=len(made), statuses=dict(statuses),
        came_again=len(busy),
    )  # fmt: skip

    assert len(made) == 20
    assert set(statuses) <= {201, 409}


def test_of_64_decisions_one_wins_every_time(there, client):
    """F6: 32 times yes and 32 times no with the proposal's ETag, and stale ones among them."""
    won = []
    for _ in range(ROUNDS):
        path = f"/v1/companies/{company(client)['id']}/imports"
        run = post(client, path, {"csv": DRIFTED})
        while run["status"] != "needs_attention":
            run = client.get(run["poll_url"], headers={"Prefer": "wait=60"}).json()
        etag = client.get(run["proposal_url"]).headers["etag"]

        def decide(number: int, run: dict = run, etag: str = etag) -> int:
            body = {"decision": ("take_valid", "reject")[number % 2]}
            seen = etag if number < 64 else '"stale"'
            answer = client.post(
                f"{run['poll_url']}/decisions", json=body, headers={"If-Match": seen}
            )
            return answer.status_code

        with ThreadPoolExecutor(16) as pool:
            statuses = Counter(pool.map(decide, range(72)))
        won.append(statuses[202])
        assert set(statuses) <= {202, 409, 412}
    told("approve_storm", rounds=ROUNDS, winners=sum(won))

    assert won == [1] * ROUNDS


SLOW = {
    "header": "GET /v1/me HTTP/1.1\r\nX-",
    "body": "POST /v1/sources HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\n"
    "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n ",
    "download": "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
    "events": "GET {run}/events HTTP/1.1\r\nHost: x\r\nx-api-key: {key}\r\n\r\n",
}


def test_slow_clients_are_cut_and_disturb_nobody(there, client):
    """F15: 50 each of four kinds, a byte a second; a normal client beside them."""
    key = client.headers["x-api-key"]
    run = post(client, f"/v1/companies/{company(client)['id']}/imports", {"csv": DRIFTED})
    client.get("/v1/openapi.json")  # the first one is written out
    before, port = resident(), httpx.URL(there.url).port
    open_at = time.monotonic()
    slow = {name: [dribbling(port, text.format(key=key, run=run["poll_url"])) for _ in range(50)]
            for name, text in SLOW.items()}  # fmt: skip
    took, most, left = [], 0, [*slow["header"], *slow["body"]]
    while time.monotonic() - open_at < 240:
        started = time.monotonic()
        assert client.get("/v1/me").status_code == 200
        took.append(time.monotonic() - started)
        most = max(most, resident())
        left = [each for each in left if alive(each)]
        if not left:
            break
        time.sleep(0.05)
    cut = time.monotonic() - open_at
    for each in (each for kind in slow.values() for each in kind):
        each.close()
    took.sort()
    told(
        "slow_clients", sockets=200, cut_s=f"{cut:.0f}", normal=len(took),
        normal_p50_ms=int(took[len(took) // 2] * 1e3),
        normal_p99_ms=int(took[len(took) * 99 // 100] * 1e3), normal_most_ms=int(took[-1] * 1e3),
        rss_mib=f"+{(most - before) >> 20}",
    )  # fmt: skip

    assert left == []


def dribbling(port: int, text: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(text.encode())
    return connection


def alive(connection: socket.socket) -> bool:
    """Send one more byte; whether the server still listens."""
    try:
        connection.settimeout(0)
        connection.sendall(b"x")
        return bool(connection.recv(65_536))
    except BlockingIOError:
        return True
    except OSError:
        return False


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_an_upload_cut_anywhere_goes_on_where_it_was(there, client):
    """F16: cut at 20 random offsets, by hanging up in the middle of a piece."""
    chance = random.Random(16)
    content = chance.randbytes(400_000)
    body = {"name": "a.csv", "size": len(content), "content_type": "text/csv"}
    ticket = post(client, f"/v1/companies/{company(client)['id']}/uploads", body)
    url, cuts = httpx.URL(ticket["upload_url"]), 0
    while (stands := offset(str(url))) < len(content) and cuts < 20:
        part = content[stands : stands + chance.randrange(1, 20_000)]
        head = (
            f"PATCH {url.raw_path.decode()} HTTP/1.1\r\nHost: x\r\nUpload-Offset: {stands}\r\n"
            f"Content-Type: {TUS['content-type']}\r\nContent-Length: {len(content) - stands}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", url.port)) as connection:
            connection.sendall(head.encode() + part)
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(30)
            connection.recv(1_000)
        cuts += 1
    rest = {**TUS, "upload-offset": str(stands)}
    done = httpx.patch(
        url, content=content[stands:], headers=rest, timeout=60, trust_env=False
    ).status_code
    stored = client.get(f"/v1/uploads/{ticket['id']}").json()
    right = stored["sha256"] == sha256(content).hexdigest()
    told("upload_cut", cuts=cuts, bytes=len(content), digest="right" if right else "wrong")

    assert (done, right, cuts) == (204, True, 20)


def offset(url: str) -> int:
    return int(httpx.head(url, trust_env=False, timeout=60).headers["upload-offset"])


def test_a_stream_cut_after_each_event_tells_each_once(there, client):
    """F20: 200 events, cut after each, from two servers of which one is new each time."""
    path = f"/v1/companies/{company(client)['id']}/imports"
    run = post(client, path, {"csv": DRIFTED, "policy": {"when_invalid": "take_valid"}},
               Prefer="wait=60")  # fmt: skip
    known = len(client.get(f"{run['poll_url']}/events/list").json()["data"])
    me = client.get("/v1/audit").json()["data"]
    assert me
    with there.services.database.begin() as c:
        partner = c.exec_driver_sql("select partner from runs where id = ?", (run["id"],)).scalar()
        for _ in range(200 - known):
            events.append(c, partner, run["id"], "run.phase", actor="test", data={"phase": "x"})
    seen: list[int] = []
    with ExitStack() as stack:
        for number in range(200):
            if number % 50 == 0:
                stack.close()
                there.services.draining.clear()
                urls = [there.url, stack.enter_context(running(there.services))]
            seen += one_event(urls[number % 2] + run["poll_url"], client.headers, seen)
    there.services.draining.clear()
    told("sse_cut", events=len(seen), cuts=200, once_in_order=seen == list(range(1, 201)))

    assert seen == list(range(1, 201))


def one_event(url: str, headers: httpx.Headers, seen: list[int]) -> list[int]:
    """The id of the next event; then the connection is dropped."""
    last = {"Last-Event-ID": str(seen[-1])} if seen else {}
    with httpx.stream(
        "GET", f"{url}/events", headers={**headers, **last}, timeout=300, trust_env=False
    ) as stream:
        for line in stream.iter_lines():
            if line.startswith("id:"):
                return [int(line.removeprefix("id:"))]
    return []
