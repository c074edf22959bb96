"""One SQL expression per transform of the plan language: text in, text out, NULL for no value.

A transform that reads (number, date, boolean …) leaves a text it cannot read as it is, so that
the field's type names it.
"""

import re
import zoneinfo
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from phonenumbers import PhoneMetadata

from engine.compiler import codes
from engine.compiler import expressions as sql
from engine.errors import CompileError
from plans import transforms as ops

#: A word, with its apostrophe and one letter (don't, but O'Neil), or what stands between words.
_WORDS = r"[\pL\pN]+([''\x{2019}]\pL\b)?|[^\pL\pN]+"
_SIGN = r"[-+\x{2212}]"
_MONEY = r"(\p{Sc}|[A-Z]{1,3}\p{Sc}|[A-Za-z]{2,4}[.]?|zł|Kč)"


Step = Callable[[Any, str], str]


def steps(transform: ops.Transform) -> tuple[Callable[[str], str], ...]:
    """What one transform makes of a text, step by step: each gets the column the one before made."""
    return tuple(partial(each, transform) for each in _ONE[transform.op])


def combined(transform: ops.Transform, xs: tuple[str, ...]) -> str:
    """What a combining transform makes of several columns."""
    return _MANY[transform.op](transform, xs)


def whole_digits(number: ops.Number) -> str:
    """RE2 pattern: the digits before the decimal mark, grouped or not."""
    group = re.escape(number.thousands)
    if number.thousands == " ":
        group = r"[ \x{A0}\x{2009}\x{202F}]"
    return f"([0-9]{{1,3}}({group}[0-9]{{2,3}})*{group}[0-9]{{3}}|[0-9]+)" if group else "[0-9]+"


def readable(number: ops.Number) -> tuple[str, str]:
    """Two RE2 patterns: digits with their marks, and the same with sign, money and percent around."""
    mark = re.escape(number.decimal)
    digits = f"({whole_digits(number)}({mark}[0-9]*)?|{mark}[0-9]+)"
    left = rf"\s*([(]?\s*{_SIGN}?\s*{_MONEY}?\s*{_SIGN}?|{_MONEY}\s*[(])\s*"
    return digits, rf"{left}{digits}\s*(%|{_MONEY})?\s*-?\s*[)]?\s*"


def _trim(t: ops.Trim, x: str) -> str:
    if not t.inner:
        return sql.trimmed(x)
    inner = f"trim(regexp_replace({x}, '{sql.SPACE}+', ' ', 'g'))"
    return f"nullif({inner}, '')"


def _case(t: ops.Case, x: str) -> str:
    if t.to != "title":
        return f"{t.to}({x})"
    words = f"regexp_extract_all(lower({x}), '{_WORDS}')"
    return f"array_to_string(list_transform({words}, lambda w: upper(w[1]) || w[2:]), '')"


def _replace(t: ops.Replace, x: str) -> str:
    return f"nullif(replace({x}, {sql.text(t.find)}, {sql.text(t.by)}), '')"


def _regex_replace(t: ops.RegexReplace, x: str) -> str:
    if not re.fullmatch(r"([^\\]|\\[0-9\\])*", t.by, re.DOTALL):
        raise CompileError(
            f"{t.by!r} cannot replace a pattern: a \\ needs a group's number behind it"
        )
    by = sql.text(t.by)
    return f"nullif(regexp_replace({x}, {sql.pattern(t.pattern)}, {by}, 'g'), '')"


def _regex_extract(t: ops.RegexExtract, x: str) -> str:
    found = f"regexp_extract({x}, {sql.pattern(t.pattern)}, {t.group})"
    return f"nullif({found}, '')"


def _split(t: ops.Split, x: str) -> str:
    mark = sql.text(t.separator)
    at = t.part + 1 if t.part >= 0 else t.part
    if t.rest:
        part = f"array_to_string(string_split({x}, {mark})[{at}:], {mark})"
    else:
        part = f"string_split({x}, {mark})[{at}]"
    return f"nullif(trim({part}), '')"


def _default(t: ops.Default, x: str) -> str:
    return f"coalesce({x}, {sql.text(t.value)})"


def _constant(t: ops.Constant, x: str) -> str:
    return sql.text(t.value)


def _nulls(t: ops.Nulls, x: str) -> str:
    if not t.words:
        return x
    words = "|".join(sql.escaped(each.strip()) for each in t.words)
    blank = sql.text(f"(?i){sql.SPACE}*({words}){sql.SPACE}*")
    return f"CASE WHEN regexp_full_match({x}, {blank}) THEN NULL ELSE {x} END"


def _value_map(t: ops.ValueMap, x: str) -> str:
    otherwise = "NULL" if t.otherwise == "empty" else x
    if not t.ignore_case:
        return f"nullif({sql.mapped(x, t.values, otherwise=otherwise)}, '')"
    values: dict[str, str] = {}
    for old, new in t.values.items():
        values.setdefault(old.strip().lower(), new)
    return f"nullif({sql.mapped(f'lower(trim({x}))', values, otherwise=otherwise)}, '')"


def _number(t: ops.Number, x: str) -> str:
    digits, dressed = (sql.text(each) for each in readable(t))
    value = _signed(t, x, f"regexp_extract({x}, {digits})")
    if t.percent == "divide":
        value = f"CASE WHEN contains({x}, '%') THEN {_times(value, '0.01')} ELSE {value} END"
    careful = (
        f"CASE WHEN regexp_full_match({x}, {dressed}) THEN {_scaled(t, value, x)} ELSE {x} END"
    )
    # Most cells are digits and marks alone.
    quick = _scaled(t, marked(t, x), x)
    return f"CASE WHEN regexp_full_match({x}, {digits}) THEN {quick} ELSE {careful} END"


def _signed(t: ops.Number, x: str, digits: str) -> str:
    minus = f"CASE WHEN regexp_matches({x}, '[-\\x{{2212}}(]') THEN '-' ELSE '' END"
    return f"{minus} || {marked(t, digits)}"


def marked(t: ops.Number, digits: str) -> str:
    """Digits with a point for the decimal mark and nothing for thousands."""
    if t.thousands == " ":
        digits = f"regexp_replace({digits}, '[^0-9,.]', '', 'g')"
    elif t.thousands:
        digits = f"replace({digits}, {sql.text(t.thousands)}, '')"
    return f"replace({digits}, ',', '.')" if t.decimal == "," else digits


def _scaled(t: ops.Number, number: str, x: str) -> str:
    return number if t.scale == "1" else f"coalesce({_times(number, t.scale)}, {x})"


def _times(number: str, factor: str) -> str:
    """An exact product as text; NULL where it is too large."""
    product = f"CAST({number} AS DECIMAL(28, 10)) * CAST('{factor}' AS DECIMAL(18, 6))"
    return f"TRY({sql.plain(f'CAST({product} AS DECIMAL(38, 10))')})"


def _date(t: ops.Date, x: str) -> str:
    read = sql.date(x, t.formats, serial=t.excel_serial)
    return f"coalesce(CAST({read} AS VARCHAR), {x})"


def _datetime(t: ops.DateTime, x: str) -> str:
    read = moment(t, x)
    return f"coalesce(strftime({read}, '%Y-%m-%dT%H:%M:%SZ'), {x})"


def moment(t: ops.DateTime, x: str) -> str:
    """The transform's TIMESTAMP in UTC; CompileError for a zone nobody knows."""
    if t.timezone not in _zones():
        raise CompileError(f"there is no time zone {t.timezone!r}; use an IANA name: Europe/Berlin")
    return sql.moment(x, t.formats, timezone=t.timezone, epoch=t.epoch)


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _time(t: ops.Time, x: str) -> str:
    return f"coalesce(CAST({sql.clock(x, t.formats)} AS VARCHAR), {x})"


def _boolean(t: ops.Boolean, x: str) -> str:
    word = f"lower(trim({x}))"
    yes = sql.among(word, tuple(each.strip().lower() for each in t.true))
    no = sql.among(word, tuple(each.strip().lower() for each in t.false))
    return f"CASE WHEN {yes} THEN 'true' WHEN {no} THEN 'false' ELSE {x} END"


def _marks(t: ops.Phone, x: str) -> str:
    for mark in ("(0)", " ", "(", ")", "-", ".", "/"):
        x = f"replace({x}, {sql.text(mark)}, '')"
    return x


def _digits(t: ops.Phone, x: str) -> str:
    odd = r"^(?i:tel):?|[\pZ\p{Pd}\x{200B}-\x{200F}\x{202A}-\x{202E}]"
    plain = f"regexp_full_match({x}, '[+]?[0-9]+')"
    return f"CASE WHEN {plain} THEN {x} ELSE regexp_replace({x}, {sql.text(odd)}, '', 'g') END"


def _international(t: ops.Phone, d: str) -> str:
    world = f"WHEN starts_with({d}, '00') THEN '+' || substr({d}, 3)"
    if t.region is None:
        return f"CASE {world} ELSE {d} END"
    region = PhoneMetadata.metadata_for_region(t.region)
    if region is None:
        raise CompileError(f"there is no calling code for region {t.region!r}")
    code, trunk = f"+{region.country_code}", region.national_prefix
    home = f"WHEN NOT regexp_full_match({d}, '[0-9]+') THEN {d}"
    if trunk:
        home += f" WHEN starts_with({d}, '{trunk}') THEN '{code}' || substr({d}, {len(trunk) + 1})"
    return f"CASE {world} {home} ELSE '{code}' || {d} END"


def _email(t: ops.Email, x: str) -> str:
    inside = f"coalesce(nullif(regexp_extract({x}, '<([^<>]+)>', 1), ''), {x})"
    dressed = f"contains({x}, '<') OR contains({x}, ':')"
    bare = f"regexp_replace(trim({inside}), '^(?i)mailto:([^?]*).*$', '\\1')"
    return f"lower(CASE WHEN {dressed} THEN {bare} ELSE {x} END)"


def _domain(t: ops.Domain, x: str) -> str:
    host = "^(?:[a-z][a-z0-9+.-]*:)?(?://)?(?:[^/?#@]*@)?(?:www[.])?([^/:?#]+).*$"
    marks = " OR ".join(f"contains({x}, '{mark}')" for mark in "/@:?#")
    dressed = f"{marks} OR starts_with(lower({x}), 'www.')"
    found = f"regexp_extract(lower({x}), '{host}', 1)"
    return f"nullif(CASE WHEN {dressed} THEN {found} ELSE lower({x}) END, '')"


def _url(t: ops.Url, x: str) -> str:
    return f"CASE WHEN {x} IS NULL OR contains({x}, '://') THEN {x} ELSE 'https://' || {x} END"


def _everyday(t: ops.Country, x: str) -> str:
    return sql.mapped(f"lower({x})", codes.everyday_countries(), otherwise=x)


def _country(t: ops.Country, x: str) -> str:
    named = sql.mapped(sql.folded(x), codes.countries(), otherwise=x)
    return _coded(x, codes.country_codes(), named)


def _currency(t: ops.Currency, x: str) -> str:
    named = sql.mapped(f"lower(trim({x}))", codes.currencies(), otherwise=x)
    return _coded(x, codes.currency_codes(), named)


def _coded(x: str, known: tuple[str, ...], named: str) -> str:
    """The code in capitals, or what the name stands for."""
    code = f"regexp_full_match({x}, '(?i:{'|'.join(known)})')"
    return f"CASE WHEN {x} IS NULL THEN NULL WHEN {code} THEN upper({x}) ELSE {named} END"


def _hash(t: ops.Hash, x: str) -> str:
    return f"sha256({x})"


def _pad_left(t: ops.PadLeft, x: str) -> str:
    fill = sql.text(t.fill * t.width)
    return f"CASE WHEN length({x}) < {t.width} THEN right({fill} || {x}, {t.width}) ELSE {x} END"


def _join(t: ops.Join, xs: tuple[str, ...]) -> str:
    return f"nullif(concat_ws({sql.text(t.separator)}, {', '.join(xs)}), '')"


def _concat(t: ops.Concat, xs: tuple[str, ...]) -> str:
    pieces = []
    for at, piece in enumerate(re.split(r"\{(\d+)\}", t.text)):
        if at % 2 == 0:
            pieces += [sql.text(piece)] if piece else []
        elif int(piece) < len(xs):
            pieces.append(xs[int(piece)])
        else:
            raise CompileError(f"concat names column {{{piece}}}, but there are only {len(xs)}")
    return " || ".join(pieces)


def _coalesce(t: ops.Coalesce, xs: tuple[str, ...]) -> str:
    return f"coalesce({', '.join(xs)})"


def _subtract(t: ops.Subtract, xs: tuple[str, ...]) -> str:
    amounts = [f"TRY_CAST({x} AS DECIMAL(30, 8))" for x in xs]
    unread = " OR ".join(
        f"({x} IS NOT NULL AND {n} IS NULL)" for x, n in zip(xs, amounts, strict=True)
    )
    empty = " AND ".join(f"{x} IS NULL" for x in xs)
    first, *others = (f"coalesce({each}, 0)" for each in amounts)
    difference = sql.plain(" - ".join((f"CAST({first} AS DECIMAL(32, 8))", *others)))
    # What cannot be read stays as it came, for the field's type to name.
    return (
        f"CASE WHEN {empty} THEN NULL WHEN {unread} THEN concat_ws(' - ', {', '.join(xs)})"
        f" ELSE TRY({difference}) END"
    )


_ONE: dict[str, tuple[Step, ...]] = {
    "trim": (_trim,), "case": (_case,), "replace": (_replace,),
    "regex_replace": (_regex_replace,), "regex_extract": (_regex_extract,), "split": (_split,),
    "default": (_default,), "constant": (_constant,), "nulls": (_nulls,),
    "value_map": (_value_map,), "number": (_number,), "date": (_date,),
    "datetime": (_datetime,), "time": (_time,), "boolean": (_boolean,),
    "phone": (_marks, _digits, _international), "email": (_email,), "domain": (_domain,), "url": (_url,),
    "country": (_everyday, _country), "currency": (_currency,), "hash": (_hash,), "pad_left": (_pad_left,),
}  # fmt: skip

_MANY: dict[str, Callable[[Any, tuple[str, ...]], str]] = {
    "join": _join, "concat": _concat, "coalesce": _coalesce, "subtract": _subtract,
}  # fmt: skip
