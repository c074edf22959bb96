"""Coming in and going out: by a key, by a link that works once, and the files every page needs."""

from typing import Annotated

import sqlalchemy
from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, RedirectResponse, Response

from api.auth import allowed
from api.console import sessions
from api.console.guard import SIGN_IN_RATE, Here, Who, address, count, go, html, same_origin
from api.console.look import STATIC, render
from api.deps import Services
from api.errors import ApiError, Code
from engine.errors import NotFound
from engine.ids import utcnow
from engine.model import Key
from engine.store import audit, keys, partners

router = APIRouter()

_FILES = {path.name: path for path in STATIC.iterdir()}


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A style sheet, script or picture; its address changes with its content."""
    if name not in _FILES:
        raise NotFound("there is no such file")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'self'",
    }
    return FileResponse(_FILES[name], headers=headers)


@router.get("/")
def start() -> Response:
    """The console opens with the runs."""
    return go("/console/runs")


@router.get("/sign-in")
def ask_key(next: str = "") -> Response:
    """The form for a key."""
    return html(render("sign_in.html", error="", next=_inside(next)))


@router.post("/sign-in")
def take_key(
    request: Request,
    here: Here,
    key: Annotated[str, Form(max_length=200)] = "",
    next: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Open a session with a key; the key itself is not kept anywhere."""
    same_origin(request)
    count(request, "sign_in", SIGN_IN_RATE, address(request))
    with here.database.begin() as c:
        found = keys.find(c, key.strip(), secrets=here.secrets)
        if (
            found is None
            or not found.live(utcnow())
            or not allowed(address(request), found.addresses)
        ):
            error = "This key opens nothing. Check that it is whole, and not revoked or expired."
            page = render("sign_in.html", error=error, next=_inside(next))
            return html(page, status=403)
        _note(c, found, request, "console.signed_in")
    return _enter(here, found, _inside(next) or "/console/runs")


@router.get("/links/{text}")
def show_link(text: str, here: Here) -> Response:
    """Ask before the link is used up: mail programs open links too."""
    link = sessions.read_link(text, secrets=here.secrets)
    if link is None:
        raise _stale_link()
    with here.database.begin() as c:
        return html(render("login.html", partner=partners.get(c, link.partner).name))


@router.post("/links/{text}")
def use_link(text: str, request: Request, here: Here) -> Response:
    """Open a session with a one-time link."""
    same_origin(request)
    count(request, "sign_in_links", SIGN_IN_RATE, address(request))
    link = sessions.read_link(text, secrets=here.secrets)
    if link is None:
        raise _stale_link()
    with here.database.begin() as c:
        key = keys.get(c, link.partner, link.key)
        if not sessions.use_up(c, link) or not key.live(utcnow()):
            raise _stale_link()
        _note(c, key, request, "console.signed_in_by_link")
    return _enter(here, key, "/console/runs")


@router.post("/sign-out")
def leave(who: Who) -> Response:
    """End the session in this browser."""
    answer = go("/console/sign-in")
    answer.delete_cookie(sessions.cookie_name(who.here.settings), path="/")
    return answer


def _enter(here: Services, key: Key, path: str) -> RedirectResponse:
    answer = go(path)
    answer.set_cookie(
        sessions.cookie_name(here.settings),
        sessions.opened(key, secrets=here.secrets)[1],
        max_age=sessions.HOURS * 3600,
        path="/",
        httponly=True,
        secure=sessions.secure(here.settings),
        samesite="lax",
    )
    return answer


def _inside(path: str) -> str:
    """The path when it is one of the console's, so that nobody is led elsewhere after signing in."""
    plain = path.startswith("/console/") and "\\" not in path and "//" not in path
    return path if plain and path.isprintable() else ""


def _stale_link() -> ApiError:
    return ApiError(
        code=Code.EXPIRED,
        detail="this sign-in link was used already or is too old; ask for another",
    )


def _note(c: sqlalchemy.Connection, key: Key, request: Request, action: str) -> None:
    audit.append(
        c,
        key.partner,
        actor=key.id,
        action=action,
        target=key.id,
        request=request.scope.get("reknit.request_id", ""),
    )
