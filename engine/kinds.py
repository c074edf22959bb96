"""What a text can be read as: one DuckDB test per kind, over a trimmed value `v`. Pure."""

from collections.abc import Iterable

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
_PLAIN = r"[-+]?(?:\d+\.?\d*|\.\d+)"
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


def probes(formats: tuple[str, ...] = ()) -> dict[str, str]:
    """Kind to SQL over one row of `parted`.

    `formats` are a plan's own: kind `format:…` tells whether one reads all of `v`.
    """
    # AND computes both of its sides for every row, CASE the second one where the first one holds.
    return {
        "null_word": _among("low", NULL_WORDS),
        "boolean": _among("low", (*TRUE_WORDS, *FALSE_WORDS)),
        "plain": "plain",
        "integer": _if("plain", _full(r"[-+]?\d{1,18}")),
        "leading_zero": _if("plain", _full(r"0\d+")),
        **{f"number:{d}{t}": _if("number", _full(_number(d, t))) for d, t in NUMBER_READINGS},
        "money": _if(
            f"regexp_matches(v, {literal(_MONEY)})",
            "length(v) <= 40 AND regexp_matches(v, '[0-9]')",
        ),
        "percent": _if("contains(v, '%')", _full(r"[-+]?\s?\d+(?:[.,]\d+)?\s?%")),
        "excel_serial": _if("plain", _full(r"[2-6]\d{4}(?:\.\d+)?")),
        "epoch": _if("plain", _full(r"1\d{9}(?:\d{3})?")),
        **{f"date:{fmt}": _date_test(fmt) for fmt in DATE_FORMATS},
        **{f"time:{fmt}": _parsed("clock", fmt) for fmt in TIME_FORMATS},
        **{f"format:{fmt}": _parsed("v", fmt) for fmt in formats},
        "timed": "t <> ''",
        "clock": _full(_CLOCK),
        "zoned": _if("t <> ''", f"regexp_matches(t, {literal(_ZONE + '$')})"),
        "email": _if("contains(v, '@')", _full(_EMAIL)),
        "url": _if("starts_with(v, 'http')", _full(r"https?://\S+")),
        "domain": _if("contains(v, '.')", _full(_DOMAIN, "low")),
        "phone": _if(
            _full(r"[+(]?[0-9][0-9 ()./\-]{5,22}[0-9](?:\s?(?:x|ext\.?)\s?\d{1,6})?"),
            r"d = v AND NOT regexp_full_match(v, '\d{1,6}([.,]\d+)?|\d+([/.-])\d{1,2}[/.-]\d+')",
        ),
        "uuid": _if("length(v) = 36", _full(_UUID)),
        "code2": _full("[A-Z]{2}"),
        "code3": _full("[A-Z]{3}"),
        "json": _if("starts_with(v, '{') OR starts_with(v, '[')", "json_valid(v)"),
        "letters": "NOT regexp_matches(v, '[0-9@]')",
    }


def parted(table: str) -> str:
    """SQL for the rows of `table` with the parts of their text `v` that probes look at.

    `d` is the date before a clock time `t`, or all of `v` before nothing; `low` is in lower case.
    """
    behind = literal(rf"^(.{{6,20}}?)(?:[T ]|, )({_CLOCK}(?:{_ZONE})?)$")
    timed = "length(v) BETWEEN 10 AND 45 AND contains(v, ':')"
    split = _if(timed, f"regexp_matches(v, {behind})")
    numbers = (_number(decimal, thousands) for decimal, thousands in NUMBER_READINGS)
    return f"""
        SELECT *, {_full(_PLAIN)} AS plain,
            {_if("length(v) <= 40", _full(_either(numbers)))} AS number,
            {_full(_either(map(_look, DATE_FORMATS)), "d")} AS dated,
            CASE WHEN contains(v, ':') AND length(v) <= 45 THEN regexp_replace(
                CASE WHEN t <> '' THEN t ELSE v END, {literal(_ZONE + "$")}, '') END AS clock
        FROM (
            SELECT *, lower(v) AS low,
                CASE WHEN {split} THEN regexp_extract(v, {behind}, 1) ELSE v END AS d,
                CASE WHEN {split} THEN regexp_extract(v, {behind}, 2) ELSE '' END AS t
            FROM {table}
        )"""


def _number(decimal: str, thousands: str) -> str:
    """What a number with these marks looks like."""
    dot, group = _escaped(decimal), _group(thousands)
    whole = rf"(?:\d{{1,3}}(?:{group}\d{{2,3}})*{group}\d{{3}}|\d+)" if thousands else r"\d+"
    return _BEFORE + rf"(?:{whole}(?:{dot}\d+)?|{dot}\d+)" + _AFTER


def _date_test(fmt: str) -> str:
    return _if("dated", _if(_full(_look(fmt), "d"), _parsed("d", fmt)))


def _parsed(name: str, fmt: str) -> str:
    return f"try_strptime({name}, {literal(fmt)}) IS NOT NULL"


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


def _either(patterns: Iterable[str]) -> str:
    return "|".join(f"(?:{each})" for each in dict.fromkeys(patterns))


def _if(gate: str, test: str) -> str:
    return f"CASE WHEN {gate} THEN {test} ELSE false END"


def _among(name: str, words: tuple[str, ...]) -> str:
    return f"list_contains([{', '.join(literal(word) for word in words)}], {name})"
