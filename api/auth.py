"""Who calls: one API key a request, checked before a byte of the body is read."""

import hmac
import ipaddress
import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy
from anyio import create_task_group, current_time, sleep_until
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import ApiError, Code, problem, translated
from api.limits import Rate, Windows, refuse
from engine.ids import utcnow
from engine.model import Key
from engine.settings import Secrets
from engine.store import audit, keys

#: How long a key that was found stays known without asking the store; revoking takes that long.
KNOWN_SECONDS = 1.0
#: When a key is refused, counted from its request: longer than any kind of key takes to look up,
#: so that the answer's time does not tell which kind it was.
REFUSED_SECONDS = 0.02

_ID = re.compile(r"/(?!v1)[a-z]+_[0-9A-Z]{26}|(?<=/sources/)[^/]+|(?<=/templates/)[^/]+")
_OPEN = re.compile(r"/v1/uploads/[^/]+/content$|/v1/downloads/|/v1/openapi\.json$")

log = logging.getLogger("reknit.auth")


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """The key behind a request, and the request's id for the audit log."""

    key: Key
    request: str
    address: str

    @property
    def partner(self) -> str:
        """Whose data this request may see."""
        return self.key.partner

    @property
    def actor(self) -> str:
        """Who did it, as events and audit lines say."""
        return self.key.id

    def sees(self, company: str) -> bool:
        """Whether the key may touch this company."""
        return not self.key.companies or company in self.key.companies


class KnownKeys:
    """Keys found in the last second, so that a busy poller does not ask the store each time."""

    def __init__(
        self,
        database: sqlalchemy.Engine,
        *,
        secrets: Secrets,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._secrets, self._clock = database, secrets, clock
        self._known: dict[bytes, tuple[float, Key | None]] = {}

    def recent(self, text: str) -> Key | None:
        """The key with this text if it was found just now; the store is not asked."""
        at, key = self._known.get(self._name(text), (-KNOWN_SECONDS, None))
        return key if self._clock() - at < KNOWN_SECONDS else None

    def find(self, text: str) -> Key | None:
        """The key with this text, expired and revoked ones too; None when there is none."""
        name, now = self._name(text), self._clock()
        at, key = self._known.get(name, (-KNOWN_SECONDS, None))
        if now - at >= KNOWN_SECONDS:
            with self._database.begin() as c:
                key = keys.find(c, text, secrets=self._secrets)
                # Asking is cheap; an UPDATE that changes nothing would still take SQLite's one lock.
                if key is not None and _stale(key):
                    keys.touch(c, key.partner, key.id)
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[name] = now, key
        return key

    def _name(self, text: str) -> bytes:
        # Hashed, so that no key stands in this process's memory for longer than its request.
        return hmac.digest(self._secrets.current("known-keys")[1], text.encode(), "sha256")


class Gate:
    """Lets a request of a good key through, counted; all others end here."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        known: KnownKeys,
        rate: Rate,
        failures: Rate,
        database: sqlalchemy.Engine,
    ) -> None:
        self.app = app
        self._known, self._database = known, database
        self._requests, self._failures = Windows(rate), Windows(failures)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Put a Caller into the scope of everything under /v1 that is not signed by itself."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith("/v1/") or _OPEN.match(path):
            await self.app(scope, receive, send)
            return
        started = current_time()
        try:
            caller = await self._caller(scope)
            scope["reknit.caller"] = caller
            self._count(scope, caller)
        except Exception as error:
            refused = translated(error)
            if refused.code is Code.INTERNAL_ERROR:
                raise
            answer = problem(refused, path=path, request_id=scope["reknit.request_id"])
            async with create_task_group() as beside:
                if (dead := scope.get("reknit.dead_key")) is not None:
                    beside.start_soon(self._note_dead, scope, dead)
                if refused.code is Code.INVALID_KEY:
                    await sleep_until(started + REFUSED_SECONDS)
                await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller:
        address = scope["client"][0] if scope.get("client") else ""
        text = credential(Headers(scope=scope))
        if self._failures.take(address, amount=0).remaining <= 0:
            scope["reknit.limit"] = "failed_auth"
            raise refuse(self._failures.take(address, amount=0))
        key = None
        if text and keys.well_formed(text):
            key = self._known.recent(text) or await run_in_threadpool(self._known.find, text)
        if key is None or not key.live(utcnow()):
            scope["reknit.dead_key"] = key
            self._failures.take(address)
            log.warning("refused a key", extra={"address": address})
            raise ApiError(code=Code.INVALID_KEY, detail="no API key, or not one that works")
        scope["reknit.partner"], scope["reknit.key"] = key.partner, key.id
        if not scope["reknit.api_version_given"]:
            scope["reknit.api_version"] = key.api_version
        if not allowed(address, key.addresses):
            await run_in_threadpool(self._note_refusal, scope, key, f"address {address}")
            raise ApiError(
                code=Code.INSUFFICIENT_PERMISSIONS,
                detail="this key may not be used from this address",
            )
        return Caller(key=key, request=scope["reknit.request_id"], address=address)

    def _count(self, scope: Scope, caller: Caller) -> None:
        endpoint = f"{scope['method']} {_ID.sub('/{id}', scope['path'])}"
        left = self._requests.take(f"{caller.key.id} {endpoint}")
        scope["reknit.headers"] = left.headers(time.time())
        if left.remaining < 0:
            scope["reknit.limit"] = "rate"
            raise refuse(left)

    async def _note_dead(self, scope: Scope, key: Key) -> None:
        try:
            await run_in_threadpool(self._note_refusal, scope, key, "expired or revoked key")
        except sqlalchemy.exc.SQLAlchemyError:
            # The answer goes out all the same: it must not tell that there was something to note.
            log.exception("a refusal is not in the audit log", extra={"key": key.id})

    def _note_refusal(self, scope: Scope, key: Key, reason: str) -> None:
        with self._database.begin() as c:
            audit.append(
                c,
                key.partner,
                actor=key.id,
                action="access.refused",
                target=scope["path"][:200],
                request=scope["reknit.request_id"],
                data={"reason": reason},
            )


def credential(headers: Headers) -> str | None:
    """The one key of a request; 400 when two different ones came."""
    given = {headers[name].strip() for name in ("x-api-key", "anx-api-key") if name in headers}
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        given.add(token.strip())
    if len(given) > 1:
        raise ApiError(
            code=Code.AMBIGUOUS_CREDENTIALS,
            detail="two different keys came; send one, as x-api-key or Authorization: Bearer",
        )
    return given.pop() if given else None


def _stale(key: Key) -> bool:
    now = utcnow()
    return key.live(now) and (
        key.last_used_at is None or now - key.last_used_at >= timedelta(minutes=1)
    )


def allowed(address: str, networks: tuple[str, ...]) -> bool:
    """Whether a key that is limited to these networks may be used from the address."""
    if not networks:
        return True
    try:
        host = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(host in ipaddress.ip_network(each, strict=False) for each in networks)
