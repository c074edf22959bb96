"""What a text can be read as: one DuckDB test per kind, over a trimmed value `v`. Pure."""

from engine.sql import literal
from plans.transforms import FALSE_WORDS, NULL_WORDS, TRUE_WORDS

#: (decimal mark, thousands mark): every way to write a number that `plans.transforms.Number` reads.
NUMBER_READINGS = tuple(
    (decimal, thousands)
    for decimal in (".", ",")
    for thousands in ("", ",", ".", " ", "'")
    if decimal != thousands
)

_DAY_FIRST = tuple(f"%d{sep}%m{sep}%{y}" for sep in "/.-" for y in "Yy")
_MONTH_FIRST = tuple(f"%m{sep}%d{sep}%{y}" for sep in "/.-" for y in "Yy")
# 24-12-31 is a day of 2024 to some and of 2031 to others; with / or . only the latter is used.
_YEAR_FIRST = (*(f"%Y{sep}%m{sep}%d" for sep in "-/."), "%y-%m-%d")
_NAMED = ("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y",
          "%b %d %Y", "%B %d %Y", "%d. %B %Y")  # fmt: skip
DATE_FORMATS = (*_YEAR_FIRST, *_DAY_FIRST, *_MONTH_FIRST, "%Y%m%d", *_NAMED, "%Y年%m月%d日")
TIME_FORMATS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")

_SIGN = r"[-+\x{2212}]"
#: Codes that stand beside amounts; any three letters would turn INV-1 into minus one.
_CODES = ("USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|"
          "BRL|MXN|ARS|CLP|COP|ZAR|NGN|KES|EGP|MAD|AED|SAR|QAR|ILS|SGD|HKD|TWD|KRW|THB|IDR|MYR|PHP|"
          "VND|Rs[.]?|kr[.]?|Fr[.]?|zł|Kč|Ft")  # fmt: skip
_BEFORE = rf"[(]?\s*{_SIGN}?\s*(?:{_CODES}|[A-Z]{{0,2}}\p{{Sc}})?\s*{_SIGN}?\s*"
_AFTER = rf"\s*(?:{_CODES}|\p{{Sc}}|%)?\s*(?:{_SIGN}|CR|DR)?\s*[)]?"
_MONEY = rf"\p{{Sc}}|^(?:{_CODES})\s?[-(]?\d|\d\s?(?:{_CODES})$"
_EMAIL = r"[^@\s<>,;]+@[^@\s<>,;]+\.[A-Za-z]{2,}"
_DOMAIN = r"(?:www\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:\s?[AaPp]\.?[Mm]\.?)?"
_ZONE = r"\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})"

#: How a date looks before its format is tried: keeps `%Y` off two-digit years, and is cheap.
_LOOKS = {
    "Y-": r"\d{4}%s\d{1,2}%s\d{1,2}",
    "y-": r"\d{2}%s\d{1,2}%s\d{1,2}",
    "-Y": r"\d{1,2}%s\d{1,2}%s\d{4}",
    "-y": r"\d{1,2}%s\d{1,2}%s\d{2}",
}


def number_test(decimal: str, thousands: str) -> str:
    """SQL that tells whether `v` is a number with these marks."""
    dot, group = _escaped(decimal), _group(thousands)
    whole = rf"(?:\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|\d+)" if thousands else r"\d+"
    body = rf"(?:{whole}(?:{dot}\d+)?|{dot}\d+)"
    return _full(_BEFORE + body + _AFTER)


def date_test(fmt: str) -> str:
    """SQL that tells whether `d`, the date part of `v`, is a date in this format."""
    return f"{_full(_look(fmt), 'd')} AND try_strptime(d, {literal(fmt)}) IS NOT NULL"


def probes(formats: tuple[str, ...] = ()) -> dict[str, str]:
    """Kind to SQL over `v` (trimmed), `d` (date part), `t` (time part) and `low` (lower case).

    `formats` are a plan's own: kind `format:…` tells whether one reads all of `v`.
    """
    numeric = "length(v) <= 40 AND regexp_matches(v, '[0-9]')"
    return {
        "null_word": _among("low", NULL_WORDS),
        "boolean": _among("low", (*TRUE_WORDS, *FALSE_WORDS)),
        "plain": _full(r"[-+]?(?:\d+\.?\d*|\.\d+)"),
        "integer": _full(r"[-+]?\d{1,18}"),
        "leading_zero": _full(r"0\d+"),
        **{f"number:{d}{t}": f"{numeric} AND {number_test(d, t)}" for d, t in NUMBER_READINGS},
        "money": f"{numeric} AND regexp_matches(v, {literal(_MONEY)})",
        "percent": _full(r"[-+]?\s?\d+(?:[.,]\d+)?\s?%"),
        "excel_serial": _full(r"[2-6]\d{4}(?:\.\d+)?"),
        "epoch": _full(r"1\d{9}(?:\d{3})?"),
        **{f"date:{fmt}": date_test(fmt) for fmt in DATE_FORMATS},
        **{f"time:{fmt}": _time_test(fmt) for fmt in TIME_FORMATS},
        **{f"format:{fmt}": f"try_strptime(v, {literal(fmt)}) IS NOT NULL" for fmt in formats},
        "timed": "t <> ''",
        "clock": _full(_CLOCK),
        "zoned": f"t <> '' AND regexp_matches(t, {literal(_ZONE + '$')})",
        "email": f"contains(v, '@') AND {_full(_EMAIL)}",
        "url": _full(r"https?://\S+"),
        "domain": _full(_DOMAIN, "low"),
        "phone": _full(r"[+(]?[0-9][0-9 ()./\-]{5,22}[0-9](?:\s?(?:x|ext\.?)\s?\d{1,6})?")
        + r" AND d = v AND NOT regexp_full_match(v, '\d{1,6}([.,]\d+)?|\d+([/.-])\d{1,2}[/.-]\d+')",
        "uuid": f"length(v) = 36 AND {_full(_UUID)}",
        "code2": _full("[A-Z]{2}"),
        "code3": _full("[A-Z]{3}"),
        "json": "(starts_with(v, '{') OR starts_with(v, '[')) AND json_valid(v)",
        "letters": "NOT regexp_matches(v, '[0-9@]')",
    }


def parts() -> tuple[str, str]:
    """SQL for `d` and `t`: a date and the clock time behind it, or all of `v` and nothing."""
    behind = literal(rf"^(.{{6,20}}?)(?:[T ]|, )({_CLOCK}(?:{_ZONE})?)$")
    timed = "length(v) BETWEEN 10 AND 45 AND contains(v, ':')"
    split = f"{timed} AND regexp_matches(v, {behind})"
    return (
        f"CASE WHEN {split} THEN regexp_extract(v, {behind}, 1) ELSE v END",
        f"CASE WHEN {timed} THEN regexp_extract(v, {behind}, 2) ELSE '' END",
    )


def _time_test(fmt: str) -> str:
    clock = f"regexp_replace(CASE WHEN t <> '' THEN t ELSE v END, {literal(_ZONE + '$')}, '')"
    return f"contains(v, ':') AND length(v) <= 45 AND try_strptime({clock}, {literal(fmt)}) IS NOT NULL"


def _look(fmt: str) -> str:
    if fmt == "%Y%m%d":
        return r"(?:19|20)\d{6}"
    if "%b" in fmt or "%B" in fmt:
        # strptime takes 10 for %Y as the year 10.
        return r"[\dA-Za-z][\dA-Za-z .,\-]{2,18}[^\d]" + (r"\d{4}" if "%Y" in fmt else r"\d{2}")
    if "年" in fmt:
        return r"\d{4}年\d{1,2}月\d{1,2}日"
    sep = _escaped(fmt[2])
    kind = f"{fmt[1]}-" if fmt[1] in "Yy" else f"-{fmt[-1]}"
    return _LOOKS[kind] % (sep, sep)


def _escaped(mark: str) -> str:
    return rf"\{mark}" if mark == "." else mark


def _group(thousands: str) -> str:
    # People's spaces are no-break ones, their apostrophes typographic.
    return {" ": r"[ \x{00a0}\x{202f}\x{2009}]", "'": "['’]"}.get(thousands, _escaped(thousands))  # noqa: RUF001


def _full(pattern: str, name: str = "v") -> str:
    return f"regexp_full_match({name}, {literal(pattern)})"


def _among(name: str, words: tuple[str, ...]) -> str:
    return f"list_contains([{', '.join(literal(word) for word in words)}], {name})"
