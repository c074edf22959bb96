"""Who comes by a magic link: a customer, for one company, until the link ends or is revoked."""

from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy
from fastapi import Depends, Request
from fastapi.responses import Response

from api.console.brand import Brand, brand_of
from api.console.guard import Here, address, count, html, problem_values, same_origin
from api.console.guest_views import Frame
from api.console.look import LANGUAGES, preferred, render
from api.deps import Services
from api.errors import ApiError, Code
from api.limits import Rate
from api.magic import MagicLink, opened
from engine.errors import NotFound, SignatureInvalid
from engine.ids import utcnow
from engine.model import Company
from engine.store import audit, companies, partners

#: What events, decisions and audit lines call a customer.
ACTOR = "magic-link"

LANGUAGE_COOKIE = "reknit_language"

GUEST_RATE = Rate(requests=240, seconds=60)
STRANGER_RATE = Rate(requests=20, seconds=60)


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A customer's request."""

    request: Request
    here: Services
    token: str
    link: MagicLink
    company: Company
    brand: Brand
    language: str

    @property
    def partner(self) -> str:
        """Whose customer it is."""
        return self.company.partner

    @property
    def root(self) -> str:
        """Where this link's pages are."""
        return f"/m/{self.token}"

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page in the partner's look and the customer's language."""
        frame = Frame(
            root=self.root,
            brand=self.brand.name,
            logo=self.brand.logo,
            company=self.company.name,
            until=self.link.until,
            languages=LANGUAGES,
        )
        text = render(template, language=self.language, frame=frame, **values)
        return html(text, status=status, frames=" ".join(self.brand.frames) or "'none'")

    def note(self, c: sqlalchemy.Connection, action: str, target: str, **data: Any) -> None:
        """The audit line of something a customer did."""
        request = self.request.scope.get("reknit.request_id", "")
        audit.append(
            c, self.partner, actor=ACTOR, action=action, target=target, request=request, data=data
        )


def guest(token: str, request: Request, here: Here) -> Guest:
    """Who has a good link; every other one ends the same way."""
    same_origin(request)
    try:
        link = opened(token, secrets=here.secrets, now=utcnow())
        with here.database.begin() as c:
            company = companies.get(c, link.partner, link.company)
            brand = brand_of(partners.get(c, link.partner))
    except (SignatureInvalid, NotFound):
        count(request, "strangers", STRANGER_RATE, address(request))
        raise _ended() from None
    if link.epoch != company.link_epoch or company.archived_at is not None:
        raise _ended()
    count(request, "guests", GUEST_RATE, company.id)
    request.scope["reknit.partner"] = company.partner
    chosen = request.cookies.get(LANGUAGE_COOKIE, "") or brand.language
    language = preferred(request.headers.get("accept-language", ""), chosen)
    found = Guest(
        request=request,
        here=here,
        token=token,
        link=link,
        company=company,
        brand=brand,
        language=language,
    )
    request.state.guest = found
    return found


Invited = Annotated[Guest, Depends(guest)]


def problem_page(request: Request, error: ApiError, status: int) -> Response:
    """An error, in the partner's look as far as the link is good."""
    values = problem_values(request, error, status)
    known: Guest | None = getattr(request.state, "guest", None)
    if known is not None:
        return known.page("guest_problem.html", status=status, **values)
    language = preferred(request.headers.get("accept-language", ""))
    return html(
        render("guest_problem.html", language=language, frame=None, **values), status=status
    )


def _ended() -> ApiError:
    return ApiError(code=Code.EXPIRED, detail="Ask for a new one where you got it.")
