"""What stands before every page: session, same origin, CSRF token, rate, and the headers of HTML."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import sqlalchemy
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from api.auth import Caller, allowed
from api.console.look import render
from api.console.sessions import Session, cookie_name, csrf, csrf_fits, read
from api.console.views import Shell
from api.deps import Services
from api.errors import EXCEPTIONS, STATUS, ApiError, Code, translated
from api.limits import Rate, Windows, refuse
from engine.errors import NotFound
from engine.ids import utcnow
from engine.model import Key, RunStatus, Scope
from engine.store import keys, partners, runs

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}

SAFE = frozenset({"GET", "HEAD"})

#: Requests of one session, and failed or anonymous ones of one address.
SESSION_RATE = Rate(requests=300, seconds=60)
SIGN_IN_RATE = Rate(requests=10, seconds=60)


class SignInNeeded(Exception):
    """Nobody is signed in, or not any more."""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A signed-in person's request."""

    request: Request
    here: Services
    by: Caller
    session: Session

    def may(self, scope: Scope) -> bool:
        """Whether the key behind the session has the scope."""
        return scope in self.by.key.scopes

    def needs(self, scope: Scope, *, whole_partner: bool = False) -> None:
        """Refuse when it has not, or when it is for single companies and this is about all."""
        if not self.may(scope):
            raise ApiError(
                code=Code.INSUFFICIENT_PERMISSIONS, detail=f"your key lacks the scope {scope}"
            )
        if whole_partner and self.by.key.companies:
            raise ApiError(
                code=Code.INSUFFICIENT_PERMISSIONS, detail="your key is for single companies only"
            )

    def page(
        self, c: sqlalchemy.Connection, template: str, section: str, **values: Any
    ) -> Response:
        """A page of the console inside its frame."""
        waiting = runs.page(c, self.by.partner, limit=100, status=(RunStatus.NEEDS_ATTENTION,))
        shell = Shell(
            partner=partners.get(c, self.by.partner).name,
            section=section,
            csrf=csrf(self.session, secrets=self.here.secrets),
            waiting=sum(self.by.sees(each.company) for each in waiting),
            scopes=frozenset(str(scope) for scope in self.by.key.scopes),
        )
        return html(render(template, shell=shell, **values))


def services(request: Request) -> Services:
    """The services of the application this one is mounted in."""
    found: Services = request.app.state.outer.state.services
    return found


Here = Annotated[Services, Depends(services)]


def html(text: str, *, status: int = 200, frames: str = "'none'") -> HTMLResponse:
    """A page with every header a page needs; `frames`: who may show it inside another."""
    headers = HEADERS | {"Content-Security-Policy": CSP.format(frames=frames)}
    if frames == "'none'":
        headers |= {"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY"}
    return HTMLResponse(text, status_code=status, headers=headers)


def go(path: str) -> RedirectResponse:
    """On to another page after something was done."""
    return RedirectResponse(path, status_code=303, headers=HEADERS)


def same_origin(request: Request) -> None:
    """Refuse what another site sends; a browser that tells neither header sends no forms here."""
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin", "")
    good = site == "same-origin" if site else urlsplit(origin).netloc == request.url.netloc
    if not good:
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS, detail="this form was sent from another site"
        )


# A coroutine, because only one can read the form; the framework reads it once and keeps it.
async def _given_csrf(request: Request) -> str:
    if request.method in SAFE:
        return ""
    if token := request.headers.get("x-csrf"):
        return token
    return str((await request.form()).get("csrf", ""))


def visit(request: Request, here: Here, given: Annotated[str, Depends(_given_csrf)]) -> Visit:
    """Who is signed in; every unsafe method also proves that it comes from one of our pages."""
    same_origin(request)
    text = request.cookies.get(cookie_name(here.settings), "")
    session = read(text, secrets=here.secrets)
    key = _live_key(here, session, address(request)) if session else None
    if session is None or key is None:
        raise SignInNeeded
    request.scope["reknit.partner"], request.scope["reknit.key"] = key.partner, key.id
    if request.method not in SAFE and not csrf_fits(session, given, secrets=here.secrets):
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS, detail="this form is too old; load the page again"
        )
    count(request, "console_sessions", SESSION_RATE, session.nonce)
    by = Caller(
        key=key, request=request.scope.get("reknit.request_id", ""), address=address(request)
    )
    return Visit(request=request, here=here, by=by, session=session)


Who = Annotated[Visit, Depends(visit)]


def needs(scope: Scope, *, whole_partner: bool = False) -> Any:
    """A route's dependency that asks for a scope."""

    def permitted(who: Who) -> None:
        who.needs(scope, whole_partner=whole_partner)

    return Depends(permitted)


def address(request: Request) -> str:
    """Where the request comes from."""
    return request.client.host if request.client else ""


def count(request: Request, name: str, rate: Rate, who: str) -> None:
    """One more request; 429 when it is one too many."""
    windows: dict[str, Windows] = request.app.state.windows
    left = windows.setdefault(name, Windows(rate)).take(who)
    if left.remaining < 0:
        request.scope["reknit.limit"] = "rate"
        raise refuse(left)


def answer_errors(app: FastAPI, page: Callable[[Request, ApiError, int], Response]) -> None:
    """Show every error of `app` as a page a person can go on from."""

    # A coroutine, because a plain function would wait for a free thread.
    async def shown(request: Request, error: Exception) -> Response:
        if isinstance(error, SignInNeeded):
            return _to_sign_in(request)
        told = translated(error)
        answer = page(request, told, STATUS[told.code])
        answer.headers.update(told.headers)
        return answer

    known = (SignInNeeded, ApiError, RequestValidationError, HTTPException, *EXCEPTIONS, Exception)
    for kind in known:
        app.add_exception_handler(kind, shown)


def problem_page(request: Request, error: ApiError, status: int) -> Response:
    """An error of the console."""
    text = render("problem.html", **problem_values(request, error, status))
    return html(text, status=status)


def problem_values(request: Request, error: ApiError, status: int) -> dict[str, str]:
    """What a page says about an error; the request id only where it helps us to find a fault."""
    return {
        "heading": _HEADINGS.get(status, "That did not work"),
        "detail": error.detail,
        "request_id": request.scope.get("reknit.request_id", "") if status >= 500 else "",
    }


_HEADINGS = {
    403: "Not allowed",
    404: "Not found",
    409: "It moved on meanwhile",
    410: "This link has ended",
    412: "The proposal changed meanwhile",
    413: "Too large",
    429: "Too many requests",
    500: "Something went wrong on our side",
    503: "Not available right now",
}


def _to_sign_in(request: Request) -> Response:
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = quote(wanted, safe="") if request.method in SAFE else ""
    return go("/console/sign-in" + (f"?next={back}" if back else ""))


def _live_key(here: Services, session: Session, host: str) -> Key | None:
    with here.database.begin() as c:
        try:
            key = keys.get(c, session.partner, session.key)
        except NotFound:
            return None
    return key if key.live(utcnow()) and allowed(host, key.addresses) else None
