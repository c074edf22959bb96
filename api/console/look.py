"""How values are shown: the Jinja environment, its filters, and texts in the reader's language."""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from engine.accounting import Accounting

HERE = Path(__file__).parent
STATIC = HERE / "static"
TEMPLATES = HERE / "templates"
TEXTS = HERE / "texts"

#: English is written in the templates; every other language is a file of English text → its own.
SOURCE_LANGUAGE = "en"
LANGUAGES = (SOURCE_LANGUAGE, *sorted(path.stem for path in TEXTS.glob("*.json")))

#: Thousands and decimal marks.
_MARKS = {"en": (",", "."), "de": (".", ",")}

#: What a person cannot see, but which changes what they read.
_UNSEEN = {"\t": "⇥", "\r": "␍", "\n": "␊\n", "\N{NO-BREAK SPACE}": "⍽"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One part of the accounting bar, in percent of its width."""

    name: str
    count: int
    start: float
    width: float


def segments(counts: Accounting, *, least: float = 1.0) -> tuple[Segment, ...]:
    """The parts that are not zero, each at least `least` percent wide so that none hides."""
    parts = [(name, getattr(counts, name)) for name in ("valid", "invalid", "duplicate", "skipped")]
    shown = [(name, count) for name, count in parts if count]
    weights = [max(100 * count / max(counts.read, 1), least) for _, count in shown]
    total = sum(weights) or 1.0
    found, start = [], 0.0
    for (name, count), weight in zip(shown, weights, strict=True):
        width = 100 * weight / total
        gap = 0.4 if start + width < 99.9 else 0.0
        found.append(
            Segment(name=name, count=count, start=round(start, 3), width=round(width - gap, 3))
        )
        start += width
    return tuple(found)


def visible(text: object) -> Markup:
    """The text escaped, with control, bidirectional and outer white space characters made visible."""
    raw = str(text)
    core = raw.strip(" ")
    lead, trail = (0, 0) if not core else (raw.index(core), len(raw) - len(raw.rstrip(" ")))
    marked = "".join(_seen(character) for character in (core or ""))
    if not core and raw:
        lead = len(raw)
    dots = [Markup("<i>{}</i>").format("·" * count) if count else "" for count in (lead, trail)]
    return Markup("{}{}{}").format(dots[0], Markup(marked), dots[1])


def _seen(character: str) -> str:
    if character in _UNSEEN:
        return f"<i>{_UNSEEN[character]}</i>"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return f"<i>[U+{ord(character):04X}]</i>"
    return str(Markup.escape(character))


def moment(at: datetime, seconds: bool = False) -> str:
    """A time in UTC; a script turns it into the reader's."""
    return at.astimezone(UTC).strftime(
        "%d %b %Y, %H:%M:%S UTC" if seconds else "%d %b %Y, %H:%M UTC"
    )


def file_size(count: int) -> str:
    """Bytes in a unit that people read."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def percent(share: float) -> str:
    """A share as whole percent; never 100 % when it is less."""
    return f"{min(round(share * 100), 99) if share < 1 else 100} %"


@dataclass(frozen=True, kw_only=True, slots=True)
class Texts:
    """One language: English text → its own, and patterns for the sentences that the engine makes."""

    texts: Mapping[str, str]
    phrases: tuple[tuple[re.Pattern[str], str], ...] = ()


@lru_cache
def texts(language: str) -> Texts:
    """What is written in that language."""
    if language == SOURCE_LANGUAGE:
        return Texts(texts={})
    found = json.loads((TEXTS / f"{language}.json").read_text("utf-8"))
    phrases = tuple((re.compile(each, re.DOTALL), to) for each, to in found["phrases"])
    return Texts(texts=found["texts"], phrases=phrases)


def phrase(text: str, language: str) -> str:
    """A sentence of the engine in that language; as it is when no pattern knows it."""
    for pattern, to in texts(language).phrases:
        if match := pattern.fullmatch(text[:2_000]):
            return match.expand(to)
    return text


def preferred(accept_language: str, chosen: str = "") -> str:
    """The chosen language, else the first one of the browser's that is shipped, else English."""
    wanted = [chosen, *(part.partition(";")[0] for part in accept_language.split(","))]
    spoken = (each.strip().lower()[:2] for each in wanted)
    return next((each for each in spoken if each in LANGUAGES), SOURCE_LANGUAGE)


@pass_context
def _translate(context: Context, text: str) -> str:
    return texts(context.get("language", SOURCE_LANGUAGE)).texts.get(text, text)


@pass_context
def _phrase(context: Context, text: str) -> Markup:
    return visible(phrase(text, context.get("language", SOURCE_LANGUAGE)))


@pass_context
def _number(context: Context, value: float) -> str:
    thousands, decimal = _MARKS.get(context.get("language", SOURCE_LANGUAGE), (",", "."))
    digits = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return digits.translate(str.maketrans(",.-", f"{thousands}{decimal}\N{MINUS SIGN}"))


@pass_context
def _in_words(context: Context, counts: Accounting) -> str:
    told = ", ".join(
        f"{_number(context, each.count)} {_translate(context, each.name)}"
        for each in segments(counts)
    )
    read = _number(context, counts.read)
    return f"{read} {_translate(context, 'rows read')}: {told or '0'}"


@lru_cache
def asset(name: str) -> str:
    """The address of a static file; changes with its content, so it may be cached for ever."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/console/static/{name}?v={digest}"


def environment() -> Environment:
    """The templates: everything escaped, an unknown name is an error."""
    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "segments": segments,
        "visible": visible,
        "moment": moment,
        "file_size": file_size,
        "percent": percent,
        "number": _number,
        "in_words": _in_words,
        "phrase": _phrase,
    }
    found.globals |= {"_": _translate, "static": asset}
    return found


_ENVIRONMENT = environment()


def render(template: str, *, language: str = SOURCE_LANGUAGE, **values: Any) -> str:
    """A page as text."""
    return _ENVIRONMENT.get_template(template).render(
        **{"language": language, "shell": None, "said": None, **values}
    )
