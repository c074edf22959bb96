"""POST exactly once: the effect, its answer and its audit line are one transaction."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any

import sqlalchemy
from fastapi import Depends, Header, Request
from fastapi.responses import Response

from api.deps import By, Here
from api.edge import route_of
from api.errors import ApiError, Code
from engine.secrets import open_sealed, seal
from engine.store import audit, idempotency
from engine.store.database import transaction
from engine.store.idempotency import FirstAnswer

#: Keys of imports live as long as the run they made.
DAYS = 7.0

_CONTEXT = b"idempotency"
#: Imports may carry their key in the body.
_MEMBER = b'"idempotency_key"'
_KEPT_HEADERS = ("location", "content-type", "etag")

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="The same key again gives the first answer again",
    ),
]


@dataclass(frozen=True, kw_only=True)
class Once:
    """One POST with its idempotency key, if it has one."""

    here: Here
    by: By
    scope: str
    fingerprint: str
    key: str | None
    days: float = DAYS

    def lasting(self, *, days: float, key: str | None = None) -> "Once":
        """The same with a longer life, and with the key from the body when the header had none."""
        if key is not None and self.key is not None and key != self.key:
            raise ApiError(
                code=Code.VALIDATION_ERROR,
                detail="Idempotency-Key and idempotency_key differ; send one of them",
            )
        return replace(self, days=days, key=self.key or key)

    def of(self, content: str) -> "Once":
        """The same for a body that only the endpoint can tell from another."""
        return replace(
            self, fingerprint=sha256(f"{self.fingerprint}\n{content}".encode()).hexdigest()
        )

    def __call__(
        self,
        effect: Callable[[sqlalchemy.Connection], Response],
        *,
        action: str,
        target: str = "",
        data: Mapping[str, Any] | None = None,
    ) -> Response:
        """Do it and remember the answer, or give the first answer again.

        A refusal (any exception) rolls everything back, the key too: the same request may then
        succeed later.
        """
        if self.key is None and self.here.settings.require_idempotency_keys:
            raise ApiError(
                code=Code.IDEMPOTENCY_KEY_REQUIRED,
                detail="send an Idempotency-Key, so that the request can be repeated safely",
            )
        with transaction(self.here.database, "request") as c:
            if self.key is not None and (replay := self._begin(c, self.key)) is not None:
                return self._again(replay)
            answer = effect(c)
            self._remember(c, answer)
            audit.append(
                c,
                self.by.partner,
                actor=self.by.actor,
                action=action,
                target=target or answer.headers.get("location", "").rpartition("/")[2],
                request=self.by.request,
                data=data or {},
            )
        return answer

    def revise(self, answer: Response) -> Response:
        """Remember a later, fuller answer instead."""
        with self.here.database.begin() as c:
            self._remember(c, answer)
        return answer

    def _begin(self, c: sqlalchemy.Connection, key: str) -> FirstAnswer | None:
        return idempotency.begin(
            c,
            self.by.partner,
            scope=self.scope,
            key=key,
            fingerprint=self.fingerprint,
            days=self.days,
        )

    def _remember(self, c: sqlalchemy.Connection, answer: Response) -> None:
        if self.key is None:
            return
        headers = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        # Sealed, because some answers tell a secret the only time it is told.
        idempotency.finish(
            c,
            self.by.partner,
            scope=self.scope,
            key=self.key,
            status=answer.status_code,
            headers=headers,
            body=seal(self.here.seals, bytes(answer.body), context=_CONTEXT),
        )

    def _again(self, replay: FirstAnswer) -> Response:
        if replay.fingerprint != self.fingerprint:
            raise ApiError(
                code=Code.IDEMPOTENCY_CONFLICT,
                detail="this idempotency key came with another request before; use a new key",
            )
        if replay.status is None:
            raise ApiError(
                code=Code.IDEMPOTENCY_IN_PROGRESS,
                detail="the first request with this key is not done yet",
                headers={"Retry-After": "1"},
            )
        headers = {**replay.headers, "Idempotent-Replayed": "true"}
        body = open_sealed(self.here.seals, replay.body, context=_CONTEXT)
        return Response(body, replay.status, headers)


# A coroutine, because only one can read the body, which the framework has read before.
async def once(
    request: Request, here: Here, by: By, idempotency_key: IdempotencyKey = None
) -> Once:
    """The POST as something that happens once."""
    company = request.path_params.get("company_id", "")
    scope = f"{company} {request.method} {route_of(request.scope)}"
    body = b"" if _is_form(request) else await request.body()
    keyed = idempotency_key is not None or _MEMBER in body
    return Once(
        here=here,
        by=by,
        scope=scope,
        fingerprint=_fingerprint(request.url.path, body) if keyed else "",
        key=idempotency_key,
    )


OnlyOnce = Annotated[Once, Depends(once)]


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/")


def _fingerprint(path: str, body: bytes) -> str:
    try:
        told = json.loads(body)
        if isinstance(told, dict):
            # The key is not what is asked: it may come in the header the next time.
            told.pop("idempotency_key", None)
        canonical = json.dumps(told, sort_keys=True).encode()
    except ValueError:
        # Nothing this operation reads.
        canonical = body
    return sha256(path.encode() + b"\n" + canonical).hexdigest()
