"""The few ways to answer: one resource, a page of them, something new, something that will happen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from api.cursors import cursor, place
from api.deps import By, Here
from api.schemas.bodies import Page

R = TypeVar("R")

JSON = "application/json"


def shown(request: Request, resource: BaseModel, *, etag: str | None = None) -> Response:
    """200 with a strong ETag, or 304 when the caller has it already."""
    body = resource.model_dump_json().encode()
    tag = f'"{etag or sha256(body).hexdigest()[:32]}"'
    if matches(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, media_type=JSON, headers={"ETag": tag})


def created(resource: BaseModel, *, location: str) -> Response:
    """201 and where it is."""
    body = resource.model_dump_json()
    return Response(body, status_code=201, media_type=JSON, headers={"Location": location})


def accepted(resource: BaseModel) -> Response:
    """202: it will happen."""
    return Response(resource.model_dump_json(), status_code=202, media_type=JSON)


def done(resource: BaseModel) -> Response:
    """200 for a command that is over."""
    return Response(resource.model_dump_json(), media_type=JSON)


def matches(header: str | None, tag: str) -> bool:
    """Whether an If-Match or If-None-Match header names this tag; weak tags compare too."""
    if header is None:
        return False
    named = {each.strip().removeprefix("W/") for each in header.split(",")}
    return "*" in named or tag in named


@dataclass(frozen=True, kw_only=True, slots=True)
class Paging:
    """What page of a list is wanted."""

    request: Request
    here: Here
    by: By
    limit: int
    cursor: str | None

    def answer(
        self,
        fetch: Callable[[int, str | None], Sequence[R]],
        show: Callable[[R], BaseModel],
        *,
        key: Callable[[R], object],
    ) -> Response:
        """The page of `fetch(limit, before)`, each item shown; `key` is an item's place in the list."""

        def some(limit: int, before: str | None) -> tuple[list[BaseModel], str | None]:
            found = fetch(limit + 1, before)
            kept = found[:limit]
            after = str(key(kept[-1])) if len(found) > limit else None
            return [show(each) for each in kept], after

        return self.placed(some)

    def placed(
        self, fetch: Callable[[int, str | None], tuple[Sequence[BaseModel], str | None]]
    ) -> Response:
        """The page of a list that knows its own places: items, and the place after them."""
        query = {k: v for k, v in self.request.query_params.items() if k not in ("cursor", "limit")}
        bound: Mapping[str, object] = {**query, "path": self.request.url.path}
        by, secrets = self.by.partner, self.here.secrets
        start = None
        if self.cursor is not None:
            start = place(self.cursor, partner=by, query=bound, secrets=secrets)
        items, end = fetch(self.limit, start)
        headers, after = {}, None
        if end is not None:
            after = cursor(end, partner=by, query=bound, secrets=secrets)
            words = urlencode({**query, "limit": self.limit, "cursor": after})
            headers["Link"] = f'<{self.request.url.path}?{words}>; rel="next"'
        page = Page[Any](data=list(items), next_cursor=after, has_more=end is not None)
        return Response(page.model_dump_json(), media_type=JSON, headers=headers)


def paging(
    request: Request,
    here: Here,
    by: By,
    limit: Annotated[int, Query(ge=1, le=200, description="Items on a page")] = 50,
    cursor: Annotated[
        str | None,
        Query(min_length=1, max_length=500, description="`next_cursor` of the page before"),
    ] = None,
) -> Paging:
    """The paging parameters that every list has."""
    return Paging(request=request, here=here, by=by, limit=limit, cursor=cursor)


Pages = Annotated[Paging, Depends(paging)]
