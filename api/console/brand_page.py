"""What the partner's customers see: its name, colour, logo, language, and where it may be framed."""

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from api.console.brand import LOGO_BYTES, Brand, brand_of, picture
from api.console.guard import Visit, Who, go, needs
from api.console.look import LANGUAGES
from api.console.review import Fields
from api.deps import note
from engine.model import Scope
from engine.store import partners
from plans.document import reasons

router = APIRouter(dependencies=[needs(Scope.COMPANIES_WRITE, whole_partner=True)])


@router.get("/brand")
def show_brand(who: Who) -> Response:
    """The form."""
    return _page(who, error="")


@router.post("/brand")
def set_brand(fields: Fields, who: Who) -> Response:
    """Set it for every magic link, those already given included."""
    logo = fields.get("logo")
    content = logo.file.read(LOGO_BYTES + 1) if isinstance(logo, UploadFile) else b""
    with who.here.database.begin() as c:
        before = brand_of(partners.get(c, who.by.partner))
    kept = "" if fields.get("no_logo") else before.logo
    try:
        brand = Brand(
            name=str(fields.get("name", "")).strip(),
            colour=str(fields.get("colour", "")).lower(),
            logo=picture(content) if content else kept,
            language=str(fields.get("language", "")),
            frames=tuple(str(fields.get("frames", "")).lower().split()),
        )
    except ValidationError as error:
        return _page(who, error=reasons(error), status=400)
    except ValueError as error:
        return _page(who, error=str(error), status=400)
    with who.here.database.begin() as c:
        partners.set_brand(c, who.by.partner, brand=brand.model_dump(mode="json"))
        note(c, who.by, "partner.branded", who.by.partner)
    return go("/console/brand")


def _page(who: Visit, *, error: str, status: int = 200) -> Response:
    with who.here.database.begin() as c:
        brand = brand_of(partners.get(c, who.by.partner))
        page = who.page(c, "brand.html", "brand", brand=brand, languages=LANGUAGES, error=error)
    page.status_code = status
    return page
