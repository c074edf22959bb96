"""Webhooks: Standard Webhooks as the published library checks it, retries, rotation, resending."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from serving import Deployment, company, deployment, planned, post
from standardwebhooks.webhooks import Webhook

from engine import webhooks
from engine.ids import utcnow
from engine.model import Event
from engine.outbound import Outbound, Reply
from engine.webhooks import SCHEDULE, Attempt, Sender, judged, next_due

NOW = utcnow()


class Receiver:
    """A partner's endpoint on loopback that answers what it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.headers, self.slow = 204, {}, 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                time.sleep(receiver.slow)
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in"


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


@pytest.fixture
def receiver():
    with receiving() as made:
        yield made


@pytest.fixture
def there(tmp_path):
    with deployment(tmp_path, worker=False, outbound_http=True) as running:
        yield running


def sender(there: Deployment, *receivers: Receiver, **said) -> Sender:
    ports = tuple(each.port for each in receivers)
    policy = Outbound(allow_cidrs=("127.0.0.0/8",), allow_http=True, ports=ports)
    return Sender(
        there.services.database,
        keys=there.services.seals,
        policy=policy,
        base_url=there.url,
        poll_seconds=0.05,
        **said,
    )


def let(there: Deployment, *receivers: Receiver, **said) -> None:
    """Allow webhooks to these ports, though not to this machine unless `allow_cidrs` says so."""
    policy = Outbound(allow_http=True, ports=tuple(each.port for each in receivers), **said)
    object.__setattr__(there.services, "outbound", policy)


def subscribed(there: Deployment, receiver: Receiver, **said):
    """A client with a planned source, and its endpoint with the secret."""
    let(there, receiver)
    client = there.client()
    planned(client)
    return client, post(client, "/v1/webhooks", {"url": receiver.url, **said})


def run(client) -> dict:
    body = {"csv": "Name,Email\nAnn,ann@x.example\n"}
    return post(client, f"/v1/companies/{company(client)['id']}/imports", body)


def log(client, webhook: dict) -> list[dict]:
    return client.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()["data"]


def attempted(client, webhook: dict) -> int:
    return sum(len(each["attempts"]) for each in log(client, webhook))


def until(found, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_message_verifies_with_the_published_library_and_is_thin(there, receiver):
    client, webhook = subscribed(there, receiver)
    made = run(client)
    sending = sender(there, receiver)
    sending.start()
    until(lambda: receiver.got)
    sending.stop()
    headers, body = receiver.got[0]
    told = Webhook(webhook["secret"]).verify(body, headers)

    assert told["type"] == "run.queued"
    assert (told["data"]["run_id"], told["data"]["sequence"]) == (made["id"], 1)
    assert told["data"]["url"] == there.url + made["poll_url"]
    assert headers["webhook-id"].startswith("evt_")
    assert b"ann@x.example" not in body
    assert len(body) < 20_000
    assert log(client, webhook)[0]["status"] == "delivered"


def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(there, receiver):
    client, webhook = subscribed(there, receiver)
    new = post(client, f"/v1/webhooks/{webhook['id']}/rotate")
    run(client)
    sending = sender(there, receiver)
    sending.start()
    until(lambda: receiver.got)
    sending.stop()
    headers, body = receiver.got[0]

    assert new["secret"] != webhook["secret"]
    for secret in (new["secret"], webhook["secret"]):
        assert Webhook(secret).verify(body, headers)["type"] == "run.queued"


def test_an_old_secret_is_silent_after_its_day(there, receiver):
    client, webhook = subscribed(there, receiver)
    post(client, f"/v1/webhooks/{webhook['id']}/rotate")
    with there.services.database.begin() as c:
        partner = client.get("/v1/audit").json()["data"] and _partner(there, client)
        endpoint = webhooks.endpoints.get(c, partner, webhook["id"])
    keys = there.services.seals

    assert len(webhooks.live_secrets(endpoint, keys=keys, now=NOW)) == 2
    assert len(webhooks.live_secrets(endpoint, keys=keys, now=NOW + timedelta(hours=25))) == 1


def _partner(there: Deployment, client) -> str:
    with there.services.database.connect() as c:
        row = c.exec_driver_sql(
            "select partner from keys where id = ?", (client.get("/v1/me").json()["id"],)
        ).one()
    return str(row[0])


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, Attempt(outcome="200", delivered=True)),
        (204, {}, Attempt(outcome="204", delivered=True)),
        (302, {"location": "http://169.254.169.254/"}, Attempt(outcome="302")),
        (404, {}, Attempt(outcome="404")),
        (410, {}, Attempt(outcome="410", gone=True)),
        (429, {"retry-after": "90"}, Attempt(outcome="429", after=timedelta(seconds=90))),
        (503, {"retry-after": "nonsense"}, Attempt(outcome="503")),
        (500, {"retry-after": "90"}, Attempt(outcome="500")),
    ],
)
def test_only_2xx_is_success_and_410_ends_it(status, headers, expected):
    assert judged(Reply(status=status, headers=headers, body=b""), now=NOW) == expected


def test_the_schedule_lasts_three_days_and_honours_the_receivers_wish():
    failed = Attempt(outcome="500")
    waits = [next_due(n, failed, now=NOW, jitter=0) - NOW for n in range(1, 10)]

    assert waits == list(SCHEDULE[1:])
    assert sum(SCHEDULE, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)
    assert next_due(10, failed, now=NOW, jitter=0) is None
    wish = Attempt(outcome="429", after=timedelta(hours=1))
    assert next_due(1, wish, now=NOW, jitter=0) == NOW + timedelta(hours=1)
    assert next_due(3, failed, now=NOW, jitter=1) - NOW == SCHEDULE[3] * 1.1


def test_a_failed_delivery_is_kept_with_its_attempts_and_tried_again(there, receiver):
    client, webhook = subscribed(there, receiver)
    receiver.status = 500
    run(client)
    clock = [utcnow()]
    sending = sender(there, receiver, clock=lambda: clock[0])
    assert sending.step() == 1
    until(lambda: log(client, webhook)[0]["attempts"])
    assert (log(client, webhook)[0]["status"], sending.step()) == ("waiting", 0)
    receiver.status = 200
    # The store reserves a delivery by its own clock, so the waiting time is taken from the row.
    _make_due(there)
    until(sending.step)
    until(lambda: log(client, webhook)[0]["status"] == "delivered")
    sending.stop()

    assert [each["outcome"] for each in log(client, webhook)[0]["attempts"]] == ["500", "200"]
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]


def _make_due(there: Deployment) -> None:
    with there.services.database.begin() as c:
        c.exec_driver_sql("update deliveries set due_at = 1 where due_at is not null")


def test_a_receiver_that_is_gone_is_asked_no_more(there, receiver):
    client, webhook = subscribed(there, receiver)
    receiver.status = 410
    run(client)
    sending = sender(there, receiver)
    sending.start()
    until(lambda: not client.get(f"/v1/webhooks/{webhook['id']}").json()["enabled"])
    sending.stop()
    run(client)

    assert "410" in client.get(f"/v1/webhooks/{webhook['id']}").json()["disabled_reason"]
    assert len(log(client, webhook)) == 1
    back = client.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True}).json()
    assert (back["enabled"], back["disabled_reason"]) == (True, "")


def test_an_endpoint_switched_off_is_an_event_for_the_others(there, receiver):
    client, webhook = subscribed(there, receiver)
    with receiving() as other:
        let(there, receiver, other)
        types = ["endpoint.disabled"]
        minted = post(client, "/v1/webhooks", {"url": other.url, "types": types})
        receiver.status = 410
        run(client)
        sending = sender(there, receiver, other)
        sending.start()
        until(lambda: other.got)
        sending.stop()
    told = Webhook(minted["secret"]).verify(other.got[0][1], other.got[0][0])
    assert told["type"] == "endpoint.disabled"
    assert told["data"]["webhook_id"] == webhook["id"]
    assert told["data"]["url"] == f"{there.url}/v1/webhooks/{webhook['id']}"
    (listed,) = client.get("/v1/events", params={"type": types[0]}).json()["data"]
    assert (listed["webhook_id"], listed["company_id"]) == (webhook["id"], None)
    assert "410" in listed["data"]["reason"]


def test_five_days_of_failures_switch_an_endpoint_off_and_are_told(there, receiver):
    client, webhook = subscribed(there, receiver)
    path = f"/v1/webhooks/{webhook['id']}"
    receiver.status, clock = 500, [utcnow()]
    sending = sender(there, receiver, clock=lambda: clock[0])
    for day in range(6):
        clock[0] = NOW + timedelta(days=day)
        run(client)
        _make_due(there)
        until(sending.step)
        # What came of an attempt is written after the receiver saw it.
        until(lambda: attempted(client, webhook) == day + 1)  # noqa: B023
        assert client.get(path).json()["enabled"] is (day < 5)
    sending.stop()
    told = client.get("/v1/audit").json()["data"]

    assert client.get(path).json()["disabled_reason"].startswith("every attempt failed since")
    assert [each["target"] for each in told if each["action"] == "webhook.disabled"] == [
        webhook["id"]
    ]


def test_one_success_forgives_the_failures_before(there, receiver):
    client, webhook = subscribed(there, receiver)
    path = f"/v1/webhooks/{webhook['id']}"
    receiver.status = 500
    run(client)
    sending = sender(there, receiver)
    sending.start()
    until(lambda: client.get(path).json()["failing_since"])
    receiver.status = 204
    _make_due(there)
    until(lambda: client.get(path).json()["failing_since"] is None)
    sending.stop()


def test_a_message_that_would_be_too_long_is_its_links_only():
    event = Event(
        id="evt_1", company="co_1", run="run_1", sequence=7, type="run.drifted", actor="x", at=NOW,
        partner="p", data={"codes": {f"code {n}": n for n in range(2_000)}},
    )  # fmt: skip
    body = webhooks.message(event, base_url="https://r.example/")

    assert len(body) < webhooks.MAX_BYTES
    assert json.loads(body)["data"] == {
        "run_id": "run_1", "company_id": "co_1", "sequence": 7,
        "url": "https://r.example/v1/runs/run_1",
    }  # fmt: skip


def test_a_slow_receiver_does_not_hold_up_another(there, receiver):
    with receiving() as slow:
        slow.slow = 3.0
        client, _ = subscribed(there, slow)
        let(there, slow, receiver)
        post(client, "/v1/webhooks", {"url": receiver.url})
        run(client)
        sending = sender(there, slow, receiver)
        sending.start()
        until(lambda: receiver.got)
        assert slow.got == []
        sending.stop()


def test_one_delivery_and_a_whole_time_can_be_sent_again(there, receiver):
    client, webhook = subscribed(there, receiver)
    run(client)
    sending = sender(there, receiver)
    sending.start()
    until(lambda: len(receiver.got) == 1)
    delivery = log(client, webhook)[0]["id"]
    until(lambda: log(client, webhook)[0]["status"] == "delivered")
    post(client, f"/v1/webhooks/{webhook['id']}/deliveries/{delivery}/resend")
    until(lambda: len(receiver.got) == 2)
    span = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    told = post(client, f"/v1/webhooks/{webhook['id']}/replay", span)
    until(lambda: len(receiver.got) == 3)
    sending.stop()

    assert told["deliveries"] == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_only_the_wanted_types_are_sent(there, receiver):
    client, webhook = subscribed(there, receiver, types=["run.completed"])
    run(client)

    assert log(client, webhook) == []


def test_a_test_message_goes_out_at_once_and_private_addresses_are_refused(there, receiver):
    client, webhook = subscribed(there, receiver)
    refused = post(client, f"/v1/webhooks/{webhook['id']}/test")

    assert not refused["delivered"]
    assert refused["outcome"].startswith("refused")
    let(there, receiver, allow_cidrs=("127.0.0.0/8",))
    assert post(client, f"/v1/webhooks/{webhook['id']}/test")["outcome"] == "204"
    assert json.loads(receiver.got[0][1])["type"] == "webhook.test"


@pytest.mark.parametrize(
    "url", ["http://[", "ftp://p.example/", "https://a:b@p.example/", "https://p.example:22/", "x"]
)
def test_a_url_that_could_never_be_reached_is_refused_when_it_is_given(there, url):
    refused = there.client().post("/v1/webhooks", json={"url": url})

    assert (refused.status_code, refused.json()["code"]) == (400, "validation_error")


def test_no_secret_of_an_endpoint_is_stored_readable(there, receiver):
    client, webhook = subscribed(there, receiver)
    secret = webhook["secret"].removeprefix("whsec_").encode()
    client.get(f"/v1/webhooks/{webhook['id']}")
    stored = b"".join(
        path.read_bytes() for path in there.services.settings.data_dir.rglob("*") if path.is_file()
    )

    assert secret not in stored
    assert "secret" not in client.get(f"/v1/webhooks/{webhook['id']}").json()
