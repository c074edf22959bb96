"""Small SQL expressions over one text, shared by transforms and types. `x` is a column we named."""

import re2

from engine.errors import CompileError
from engine.sql import literal

#: From this many pairs on a MAP beats a CASE chain.
MANY = 24
#: Stands between them.
MARK = "\x1f"

#: White space of Unicode and the zero-width marks that come with pasted text.
SPACE = r"[\s\pZ\x{200B}\x{FEFF}]"

#: strptime reads `24` for %Y as the year 24; nothing a customer migrates is that old.
_OLDEST = "TIMESTAMP '1000-01-01'"

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"


def text(value: str) -> str:
    """A text literal; CompileError for what SQL cannot hold."""
    try:
        value.encode()
        return literal(value)
    except ValueError as error:
        raise CompileError(f"the plan holds a text that cannot be used: {error}") from None


def pattern(value: str) -> str:
    """An RE2 pattern as a literal; CompileError when RE2 refuses it or it needs too much memory."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    try:
        re2.compile(value, options)
    except (re2.error, ValueError) as error:
        raise CompileError(f"the pattern {value!r} cannot be used: {error}") from None
    return text(value)


def escaped(value: str) -> str:
    """The text as an RE2 pattern that matches only itself."""
    return str(re2.escape(value))


def trimmed(x: str) -> str:
    """Without white space at both ends; NULL when nothing is left."""
    ends = literal(f"^{SPACE}+|{SPACE}+$")
    # Two plain ASCII ends need no look with a pattern, which costs three times as much.
    plain = f"{x} BETWEEN '!' AND '\x7f' AND {x}[-1] BETWEEN '!' AND '~'"
    return f"CASE WHEN {plain} THEN {x} ELSE nullif(regexp_replace({x}, {ends}, '', 'g'), '') END"


def among(x: str, words: tuple[str, ...]) -> str:
    """Whether the text is one of the words."""
    return f"{x} IN ({', '.join(text(each) for each in words)})" if words else "FALSE"


def mapped(x: str, pairs: dict[str, str], *, otherwise: str) -> str:
    """The value that belongs to the text, `otherwise` where none does."""
    if len(pairs) < MANY:
        cases = " ".join(f"WHEN {text(old)} THEN {text(new)}" for old, new in pairs.items())
        return f"CASE {x} {cases} ELSE {otherwise} END"
    keys, values = (text(MARK.join(each)) for each in (pairs, pairs.values()))
    # Two literals to cut up: DuckDB plans thousands of them in tens of milliseconds.
    whole = f"MAP(string_split({keys}, '{MARK}'), string_split({values}, '{MARK}'))"
    if any(MARK in each for pair in pairs.items() for each in pair):
        whole = f"MAP {{{', '.join(f'{text(old)}: {text(new)}' for old, new in pairs.items())}}}"
    return f"coalesce({whole}[{x}], {otherwise})"


def folded(x: str) -> str:
    """Lower case, no accents, only single spaces between words: as codes.folded does."""
    words = f"regexp_replace(lower(strip_accents({x})), '[^\\pL\\pN]+', ' ', 'g')"
    return f"trim({words})"


def parsed(x: str, formats: tuple[str, ...]) -> list[str]:
    """One TIMESTAMP per format, NULL where it does not read the whole text."""
    return [_guarded(x, each) for each in formats]


def _guarded(x: str, form: str) -> str:
    """strptime costs most where it fails: ask for a literal of the format first, which it needs.

    Always a CASE: what stands outside of one DuckDB may compute for every row.
    """
    moment = f"try_strptime({x}, {text(form)})"
    if "%z" in form or "%Z" in form:
        moment = f"({moment} AT TIME ZONE 'UTC')"
    year = f"nullif(greatest({moment}, {_OLDEST}), {_OLDEST})" if "%Y" in form else moment
    mark = next((each for each in "./-:," if each in form.replace("%-", "%")), None)
    asked = f"contains({x}, {literal(mark)})" if mark else f"{x} IS NOT NULL"
    return f"CASE WHEN {asked} THEN {year} END"


def date(x: str, formats: tuple[str, ...] = (), *, serial: bool = False) -> str:
    """DATE: ISO 8601 (midnight may follow), then the formats in order, then spreadsheet serials."""
    iso = literal(rf"{_DAY}([T ]00:00(:00([.]0+)?)?Z?)?")
    fits = f"contains({x}, '-') AND regexp_full_match({x}, {iso})"
    tries = [f"CASE WHEN {fits} THEN TRY_CAST(left({x}, 10) AS DATE) END"]
    tries += [f"CAST({each} AS DATE)" for each in parsed(x, formats)]
    if serial:
        days = f"CAST(regexp_extract({x}, '^[0-9]+') AS INTEGER)"
        whole = f"regexp_full_match({x}, '[1-9][0-9]{{0,5}}([.]0+)?')"
        tries.append(f"CASE WHEN {whole} THEN DATE '1899-12-30' + {days} END")
    return f"coalesce({', '.join(tries)})" if len(tries) > 1 else tries[0]


def moment(
    x: str, formats: tuple[str, ...] = (), *, timezone: str = "UTC", epoch: str = "none"
) -> str:
    """TIMESTAMP in UTC: ISO 8601 with or without offset, then the formats, then epoch numbers."""
    offset = literal(rf"{_DAY}[T ]{_CLOCK} ?(Z|[+-][0-9]{{2}}(:?[0-9]{{2}})?)")
    local = literal(rf"{_DAY}([T ]{_CLOCK})?")
    # DuckDB reads +02 and +02:00, not +0200.
    colon = f"regexp_replace({x}, '([+-][0-9]{{2}})([0-9]{{2}})$', '\\1:\\2')"
    aware = f"TRY_CAST({colon} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
    tries = [
        _utc(f"CASE WHEN regexp_full_match({x}, {local}) THEN TRY_CAST({x} AS TIMESTAMP) END", timezone),
        f"CASE WHEN regexp_full_match({x}, {offset}) THEN {aware} END",
    ]  # fmt: skip
    for form, each in zip(formats, parsed(x, formats), strict=True):
        zoned = "%z" in form or "%Z" in form
        tries.append(each if zoned else _utc(each, timezone))
    if epoch != "none":
        factor, digits = (1_000_000, 11) if epoch == "seconds" else (1_000, 14)
        number = f"CAST(CAST({x} AS DECIMAL(38, 3)) * {factor} AS BIGINT)"
        whole = f"regexp_full_match({x}, '-?[0-9]{{1,{digits}}}([.][0-9]{{1,3}}0*)?')"
        tries.append(f"CASE WHEN {whole} THEN make_timestamp({number}) END")
    return f"coalesce({', '.join(tries)})"


def _utc(stamp: str, timezone: str) -> str:
    if timezone == "UTC":
        return stamp
    return f"(({stamp}) AT TIME ZONE {text(timezone)} AT TIME ZONE 'UTC')"


def clock(x: str, formats: tuple[str, ...] = ()) -> str:
    """TIME: hours and minutes at least, then the formats."""
    iso = literal(_CLOCK)
    tries = [f"CASE WHEN regexp_full_match({x}, {iso}) THEN TRY_CAST({x} AS TIME) END"]
    tries += [f"CAST({each} AS TIME)" for each in parsed(x, formats)]
    return f"coalesce({', '.join(tries)})"


def plain(x: str) -> str:
    """The text of a DECIMAL that has decimal places, without the zeros behind its last digit."""
    shown = f"CAST({x} AS VARCHAR)"
    # Taking zeros away costs four times as much as seeing that there are none.
    return (
        f"CASE WHEN ends_with({shown}, '0') THEN rtrim(rtrim({shown}, '0'), '.') ELSE {shown} END"
    )
