"""What a partner's customers see of it: name, colour, logo, language, and who may frame the page."""

import base64
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from api.console.look import LANGUAGES
from engine.model import Partner

LOGO_BYTES = 60_000
COLOUR = "#2a4fc4"

#: Pictures that cannot hold a script, by their first bytes.
_PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
    "image/webp": b"RIFF",
}
_ORIGIN = re.compile(r"https://[a-z0-9.-]+(:\d{1,5})?|http://(localhost|127\.0\.0\.1)(:\d{1,5})?")


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise ValueError(f"{value!r} is not an origin such as https://app.example.com")
    return value


def _language(value: str) -> str:
    if value and value not in LANGUAGES:
        raise ValueError(f"there is no language {value!r}; there are {', '.join(LANGUAGES)}")
    return value


class Brand(BaseModel):
    """Checked when it is set, so that a page can trust it. `language`: empty is the browser's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=100)] = ""
    colour: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")] = COLOUR
    logo: Annotated[
        str, Field(max_length=90_000, pattern=r"^(data:image/[a-z]+;base64,[A-Za-z0-9+/=]+)?$")
    ] = ""
    language: Annotated[str, AfterValidator(_language)] = ""
    frames: Annotated[
        tuple[Annotated[str, AfterValidator(_origin)], ...], Field(max_length=20)
    ] = ()


def brand_of(partner: Partner) -> Brand:
    """The partner's brand; its plain name when it has set none or a later version cannot read it."""
    try:
        brand = Brand.model_validate(partner.brand)
    except ValidationError:
        brand = Brand()
    return brand.model_copy(update={"name": brand.name or partner.name})


def picture(content: bytes) -> str:
    """A picture as a data URL; ValueError when it is none or too large."""
    if len(content) > LOGO_BYTES:
        raise ValueError(f"the logo may have {LOGO_BYTES // 1000} kB at most")
    for kind, start in _PICTURES.items():
        if content.startswith(start):
            return f"data:{kind};base64,{base64.b64encode(content).decode()}"
    raise ValueError("the logo must be a PNG, JPEG, GIF or WebP picture")


def stylesheet(brand: Brand) -> str:
    """The brand's colour as the accent, lightened or darkened until text on the page is readable."""
    light, dark = _readable(brand.colour, "#ffffff"), _readable(brand.colour, "#1b1e24")
    on_light, on_dark = _text_on(light), _text_on(dark)
    return (
        f":root {{ --accent: light-dark({light}, {dark});"
        f" --on-accent: light-dark({on_light}, {on_dark});"
        f" --accent-soft: color-mix(in srgb, var(--accent) 12%, var(--surface)); }}\n"
    )


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio of two colours, 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _readable(colour: str, ground: str) -> str:
    """The nearest shade towards black or white with a contrast of 4.5 against the ground."""
    goal = 0 if _luminance(ground) > 0.5 else 255
    parts = _parts(colour)
    for step in range(101):
        mixed = "#" + "".join(f"{round(part + (goal - part) * step / 100):02x}" for part in parts)
        # 5.2, so that it also holds on the page's slightly tinted surfaces.
        if contrast(mixed, ground) >= 5.2:
            return mixed
    return f"#{goal:02x}{goal:02x}{goal:02x}"


def _text_on(colour: str) -> str:
    return max(("#ffffff", "#10131a"), key=lambda text: contrast(text, colour))


def _luminance(colour: str) -> float:
    shares = [part / 255 for part in _parts(colour)]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
