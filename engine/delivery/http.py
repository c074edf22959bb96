"""Rows to an HTTP endpoint: signed batches, tried again with patience, answered row by row."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.delivery.destination import (
    HttpDestination,
    Load,
    Row,
    RowResult,
    Send,
)
from engine.errors import DeliveryFailed
from engine.outbound import Outbound, Reply, post
from engine.webhooks import judged, signed_headers

#: Waits before the second and later attempts; who delivers tries again, later.
WAITS = (1.0, 4.0, 15.0)

#: A receiver may not make us wait longer.
_MOST = timedelta(seconds=120)

#: Answers about the rows; every other 4xx is about the endpoint.
_ABOUT_ROWS = (400, 409, 413, 422)


@contextmanager
def open_http(
    destination: HttpDestination,
    load: Load,
    *,
    delivery: str,
    policy: Outbound,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Send]:
    """A sender of batches; the same rows always go under the same webhook-id."""

    def send(offset: int, rows: list[Row]) -> tuple[RowResult, ...]:
        body = _body(load, rows, delivery=delivery)
        identifier = f"{delivery}:{load.sheet}:{offset}:{len(rows)}"
        reply = _patiently(
            lambda: _attempt(destination, identifier, body, policy=policy), pause=pause
        )
        return _results(reply, rows)

    yield send


def _body(load: Load, rows: list[Row], *, delivery: str) -> bytes:
    told = {
        "type": "rows.delivered",
        "delivery_id": delivery,
        "sheet": load.sheet,
        "rows": [
            {
                "id": row["_id"],
                "data": {name: row[name] for name in row if not name.startswith("_")},
                "source": {"run_id": row["_run"], "file": row["_file"], "row": row["_row"]},
            }
            for row in rows
        ],
    }
    return json.dumps(told, default=_plain, separators=(",", ":"), ensure_ascii=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        # A string, as a JSON number would lose digits on its way through most receivers.
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def _attempt(
    destination: HttpDestination, identifier: str, body: bytes, *, policy: Outbound
) -> Reply | str:
    """The answer, or why there is none."""
    secret = destination.secret.get_secret_value()
    headers = signed_headers(identifier, body, secrets=(secret,), now=datetime.now(UTC))
    try:
        return post(policy, destination.url, headers=headers, body=body)
    except OSError as error:
        return str(error)


def _patiently(attempt: Callable[[], Reply | str], *, pause: Callable[[float], None]) -> Reply:
    """The first answer that is final; DeliveryFailed when none comes or the endpoint refuses us."""
    answer: Reply | str = ""
    for wait in (0.0, *WAITS):
        asked = judged(answer, now=datetime.now(UTC)).after if isinstance(answer, Reply) else None
        pause(max(wait, min(asked or timedelta(), _MOST).total_seconds()))
        answer = attempt()
        if isinstance(answer, Reply) and answer.status != 429 and answer.status < 500:
            if 200 <= answer.status < 300 or answer.status in _ABOUT_ROWS:
                return answer
            raise DeliveryFailed(f"the endpoint answered with status {answer.status}")
    said = f"status {answer.status}" if isinstance(answer, Reply) else answer
    raise DeliveryFailed(f"no success after {len(WAITS) + 1} attempts: {said}")


def _results(reply: Reply, rows: list[Row]) -> tuple[RowResult, ...]:
    """What the receiver says of each row (`results: [{id, ok, message}]`), else of all alike."""
    ok = 200 <= reply.status < 300
    said: dict[int, RowResult] = {}
    try:
        for each in json.loads(reply.body)["results"]:
            message = str(each.get("message", ""))[:300]
            said[each["id"]] = RowResult(id=each["id"], ok=each["ok"] is True, message=message)
    except (ValueError, TypeError, KeyError, AttributeError):
        said = {}
    default = "" if ok else f"status {reply.status}"
    return tuple(
        said.get(row["_id"]) or RowResult(id=row["_id"], ok=ok, message=default) for row in rows
    )
