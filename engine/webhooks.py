"""Webhooks by Standard Webhooks 1.0.0: signed, thin, tried for three days, never lost."""

import base64
import hmac
import json
import logging
import secrets as random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any

import sqlalchemy

from engine.errors import gist
from engine.ids import utcnow
from engine.model import Delivery, Endpoint, Event
from engine.outbound import Outbound, Refused, Reply, post
from engine.secrets import Keys, open_sealed, seal
from engine.store import audit, endpoints, events
from engine.store.database import is_busy

#: Waits before each attempt: 75.6 hours in all.
SCHEDULE = tuple(
    timedelta(seconds=each)
    for each in (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
JITTER = 0.1
SECONDS = 15.0
MAX_BYTES = 20_000
GRACE = timedelta(hours=24)
GIVE_UP = timedelta(days=5)

#: A sender that died leaves its deliveries to others after this.
LEASE = timedelta(seconds=60)

_CONTEXT = b"webhook"

#: What a path calls the errands an event begins with.
_PLURAL = {"export": "exports", "delivery": "deliveries"}

log = logging.getLogger("reknit.webhooks")


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """How one attempt ended: `outcome` is a status or a reason; `after` is the receiver's wish."""

    outcome: str
    delivered: bool = False
    gone: bool = False
    after: timedelta | None = None


def new_secret() -> str:
    """`whsec_` and 32 random bytes."""
    return "whsec_" + base64.b64encode(random.token_bytes(32)).decode()


def sealed(secret: str, *, keys: Keys, until: datetime | None = None) -> str:
    """The secret as an endpoint keeps it; it signs until then."""
    text = json.dumps({"secret": secret, "until": until and until.isoformat()})
    return base64.b64encode(seal(keys, text.encode(), context=_CONTEXT)).decode()


def live_secrets(endpoint: Endpoint, *, keys: Keys, now: datetime) -> tuple[str, ...]:
    """The secrets that sign now, the newest first."""
    found = []
    for each in endpoint.secrets:
        kept = json.loads(open_sealed(keys, base64.b64decode(each), context=_CONTEXT))
        if kept["until"] is None or datetime.fromisoformat(kept["until"]) > now:
            found.append(kept["secret"])
    return tuple(found)


def rotated(endpoint: Endpoint, secret: str, *, keys: Keys, now: datetime) -> tuple[str, ...]:
    """The endpoint's secrets with a new one first; the one before signs for another day."""
    before = live_secrets(endpoint, keys=keys, now=now)[:1]
    return (
        sealed(secret, keys=keys),
        *(sealed(each, keys=keys, until=now + GRACE) for each in before),
    )


def message(event: Event, *, base_url: str) -> bytes:
    """The body: thin, and always below the size the standard asks for."""
    if event.company is None:
        url = f"{base_url.rstrip('/')}/v1/webhooks/{event.data['webhook_id']}"
        return _body(event, {**event.data, "url": url})
    about, path = {"run_id": event.run}, f"runs/{event.run}"
    if event.errand is not None:
        kind = event.type.partition(".")[0]
        about, path = {f"{kind}_id": event.errand}, f"{_PLURAL[kind]}/{event.errand}"
        path = f"companies/{event.company}/{path}"
    data: dict[str, Any] = {
        **about,
        "company_id": event.company,
        "sequence": event.sequence,
        "url": f"{base_url.rstrip('/')}/v1/{path}",
    }
    body = _body(event, {**event.data, **data})
    return body if len(body) < MAX_BYTES else _body(event, data)


def signed_headers(
    identifier: str, body: bytes, *, secrets: Sequence[str], now: datetime
) -> dict[str, str]:
    """The three headers of the standard; one signature for each secret."""
    timestamp = int(now.timestamp())
    signatures = [
        _signature(each, f"{identifier}.{timestamp}.".encode() + body) for each in secrets
    ]
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
        "user-agent": "Reknit-Webhooks/1.0",
    }


def judged(reply: Reply, *, now: datetime) -> Attempt:
    """What an answer means: only 2xx is success, 410 ends it, a redirect is not followed."""
    outcome = str(reply.status)
    if 200 <= reply.status < 300:
        return Attempt(outcome=outcome, delivered=True)
    if reply.status in (429, 503):
        return Attempt(outcome=outcome, after=_retry_after(reply.headers.get("retry-after"), now))
    return Attempt(outcome=outcome, gone=reply.status == 410)


def next_due(attempts: int, attempt: Attempt, *, now: datetime, jitter: float) -> datetime | None:
    """When to try again after `attempts` tries, or None; `jitter` is -1..1."""
    if attempt.delivered or attempt.gone or attempts >= len(SCHEDULE):
        return None
    wait = SCHEDULE[attempts] * (1 + JITTER * jitter)
    return now + max(wait, attempt.after or wait)


def send(
    endpoint: Endpoint, event: Event, *, keys: Keys, base_url: str, policy: Outbound
) -> Attempt:
    """One attempt, now."""
    body = message(event, base_url=base_url)
    return send_body(endpoint, event.id, body, keys=keys, policy=policy)


def send_body(
    endpoint: Endpoint, identifier: str, body: bytes, *, keys: Keys, policy: Outbound
) -> Attempt:
    """One signed POST; every way it can fail is an outcome, not an exception."""
    now = utcnow()
    secrets = live_secrets(endpoint, keys=keys, now=now)
    headers = signed_headers(identifier, body, secrets=secrets, now=now)
    try:
        reply = post(policy, endpoint.url, headers=headers, body=body, timeout=SECONDS)
    except Refused as error:
        return Attempt(outcome=f"refused: {error}"[:200])
    except (OSError, ValueError) as error:
        return Attempt(outcome=f"failed: {type(error).__name__}"[:200])
    return judged(reply, now=now)


class Sender:
    """Sends what is due, endpoint by endpoint, so that a slow receiver holds up only itself."""

    def __init__(
        self,
        database: sqlalchemy.Engine,
        *,
        keys: Keys,
        policy: Outbound,
        base_url: str,
        threads: int = 8,
        poll_seconds: float = 0.5,
        clock: Callable[[], datetime] = utcnow,
    ) -> None:
        self._database, self._keys, self._policy = database, keys, policy
        self._base_url, self._poll, self._clock = base_url, poll_seconds, clock
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._busy: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Send from now on, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the attempts under way and send no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pool.shutdown()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:
                # A database that is away comes back; what is due stays due.
                if is_busy(error):
                    log.warning("the database is busy or away: %s", gist(error))
                else:
                    log.exception("cannot look for deliveries")
            self._stop.wait(self._poll)

    def step(self) -> int:
        """Hand every due delivery of an idle endpoint to a thread; how many."""
        with self._database.begin() as c:
            due = endpoints.due(c, now=self._clock(), limit=200)
        started = 0
        for delivery in due:
            if delivery.endpoint not in self._busy:
                self._busy.add(delivery.endpoint)
                self._pool.submit(self._endpoint, delivery)
                started += 1
        return started

    def _endpoint(self, delivery: Delivery) -> None:
        try:
            self.deliver(delivery)
        except Exception:
            log.exception("cannot deliver", extra={"delivery": delivery.id})
        finally:
            self._busy.discard(delivery.endpoint)

    def deliver(self, delivery: Delivery) -> None:
        """Take a delivery, try it once, keep how it ended."""
        now = self._clock()
        with self._database.begin() as c:
            if not endpoints.take(c, delivery.partner, delivery.id, due_at=now + LEASE):
                return
            endpoint = endpoints.get(c, delivery.partner, delivery.endpoint)
            event = events.get(c, delivery.partner, delivery.event)
        attempt = send(
            endpoint, event, keys=self._keys, base_url=self._base_url, policy=self._policy
        )
        tries = len(delivery.attempts) + 1
        jitter = random.SystemRandom().uniform(-1, 1)
        with self._database.begin() as c:
            endpoints.attempted(
                c,
                delivery.partner,
                delivery.id,
                outcome=attempt.outcome,
                due_at=next_due(tries, attempt, now=self._clock(), jitter=jitter),
                delivered=attempt.delivered,
            )
            _judge_endpoint(c, endpoint, attempt, now=self._clock())


def _judge_endpoint(
    c: sqlalchemy.Connection, endpoint: Endpoint, attempt: Attempt, *, now: datetime
) -> None:
    """An endpoint that is gone, or fails for days on end, is asked no more."""
    since = None if attempt.delivered else endpoint.failing_since or now
    reason = ""
    if attempt.gone:
        reason = "the receiver answered 410 Gone"
    elif since is not None and now - since >= GIVE_UP:
        reason = f"every attempt failed since {since.isoformat(timespec='minutes')}"
    changes: dict[str, Any] = {} if since == endpoint.failing_since else {"failing_since": since}
    if reason:
        changes |= {"disabled_at": now, "disabled_reason": reason}
    if changes:
        endpoints.update(c, endpoint.partner, endpoint.id, **changes)
    if reason:
        # Told after the update: to every other endpoint.
        events.record(
            c, endpoint.partner, None, "endpoint.disabled", sequence=1, company=None,
            actor="reknit", data={"webhook_id": endpoint.id, "reason": reason},
        )  # fmt: skip
        audit.append(
            c,
            endpoint.partner,
            actor="reknit",
            action="webhook.disabled",
            target=endpoint.id,
            data={"reason": reason},
        )


def _body(event: Event, data: dict[str, Any]) -> bytes:
    timestamp = event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {"type": event.type, "timestamp": timestamp, "data": data}, separators=(",", ":")
    ).encode()


def _signature(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def _retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Seconds or a date, at most a day."""
    if value is None:
        return None
    try:
        wait = (
            timedelta(seconds=int(value)) if value.isdigit() else parsedate_to_datetime(value) - now
        )
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, timedelta()), timedelta(days=1))
