"""Which characters tell cells and records apart: every candidate reads a sample and is scored.

The score is row pattern x cell types: a reading is good when its records are as wide as each other
and its cells look like single values. Runners-up stay in the choice.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from engine.errors import SourceError
from engine.intake.parse import Dialect, Record, parse
from engine.intake.source import Choice
from plans.plan import Read

#: Most usual first: on equal scores the earlier one wins.
DELIMITERS = (
    ",",
    ";",
    "\t",
    "|",
    "||",
    "::",
    ";;",
    "~",
    "^",
    ":",
    "#",
    "&",
    "*",
    "\x1f",
    "\x01",
    " ",
)
SAMPLE = 1 << 16
ROWS = 400
_VALUE = re.compile(
    r"""\s*(?:
    | [-+(]?[$€£¥]?\s?\d[\d., '\u2019]*(?:e[-+]?\d+)?\)?\s?(?:%|[$€£¥]|[A-Za-z]{1,4})?   # numbers
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ]+[\d:.,]+\s?(?:[AaPp]\.?[Mm]\.?|Z|[-+]\d\d:?\d\d)?)?
    | \d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\s?(?:[AaPp][Mm])?                             # times
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+                                                   # e-mail
    | (?:https?://|www\.)\S+                                                         # web
    | [\w\-+/().&'\u2019 #:]*                                                             # words
    )\s*""",
    re.VERBOSE,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Detected:
    """The dialect that was chosen, and each decision with its runners-up."""

    dialect: Dialect
    choices: tuple[Choice, ...]


def detect(text: str, read: Read) -> Detected:
    """The dialect of a sample of text (cut at a line end), keeping what `read` says."""
    text = text[:SAMPLE]
    scored = sorted(
        ((_score(text, each), -order, each) for order, each in enumerate(_candidates(text, read))),
        key=lambda each: each[:2],
        reverse=True,
    )
    best, dialect = scored[0][0], scored[0][2]
    others: dict[str, float] = {}
    for score, _, each in scored[1:]:
        if each.delimiter != dialect.delimiter:
            others.setdefault(each.delimiter, round(score, 4))
    second = max(others.values(), default=0.0)
    sure = 1.0 if best <= 0 else min(1.0, max(0.0, 0.5 + (best - second) / (2 * best) * 2))
    runners = tuple(islice(others.items(), 3))
    given = read.delimiter is not None
    return Detected(
        dialect=dialect,
        choices=(
            Choice(
                what="delimiter",
                value=dialect.delimiter,
                confidence=1.0 if given else round(sure, 3),
                given=given,
                others=runners,
            ),
            _plain_choice("quote", dialect.quote, given=read.quote is not None),
            _plain_choice("escape", dialect.escape, given=read.escape is not None),
        ),
    )


def _plain_choice(what: str, value: str, *, given: bool) -> Choice:
    return Choice(what=what, value=value, confidence=1.0, given=given)


def _candidates(text: str, read: Read) -> Iterator[Dialect]:
    declared = re.match(r"sep=(.{1,3})\r?\n", text, re.IGNORECASE)
    wanted = read.delimiter or (declared and declared[1])
    delimiters = [wanted] if wanted else [each for each in DELIMITERS if _used(each, text)]
    quotes = [read.quote] if read.quote is not None else list(_quotes(text))
    for delimiter in delimiters or [","]:
        for quote in quotes:
            if read.escape is not None:
                escapes = [read.escape]
            else:
                escapes = ["", "\\"] if _escapes(text, delimiter, quote) else [""]
            for escape in escapes:
                yield Dialect(delimiter=delimiter, quote=quote, escape=escape)


def _used(delimiter: str, text: str) -> bool:
    """Whether it occurs; one that only comes in pairs is a delimiter of two characters."""
    count = text.count(delimiter)
    return count > 0 and not (len(delimiter) == 1 and text.count(delimiter * 2) * 2 == count)


def _quotes(text: str) -> Iterator[str]:
    """The double quote always; a bare reading only where there are double quotes to ignore."""
    yield '"'
    if "'" in text:
        yield "'"
    if '"' in text:
        yield ""


def _escapes(text: str, delimiter: str, quote: str) -> bool:
    return "\\" + delimiter in text or (quote != "" and "\\" + quote in text)


def _score(text: str, dialect: Dialect) -> float:
    """How well the sample reads in this dialect, about 0..1."""
    try:
        records = [each for each in islice(_sample(text, dialect), ROWS) if any(each.cells)]
    except SourceError:
        return 0.0
    if not records:
        return 0.0
    widths = Counter(len(each.cells) for each in records)
    pattern = sum(count * (max(1e-3, width - 1) / width) for width, count in widths.items()) / len(
        widths
    )
    wrong = sum(_suspicious(each, dialect) for each in records)
    kinds = [_kind(cell, dialect) for each in records for cell in each.cells]
    return pattern / len(records) * (sum(kinds) / len(kinds)) * (1 - wrong / len(records))


def _suspicious(record: Record, dialect: Dialect) -> float:
    """A quote that never closes; worse: cells that begin with a quote nobody reads as one."""
    if dialect.quote == "":
        return 0.6 * any(cell[:1] == '"' for cell in record.cells)
    return 0.5 * bool(record.problem)


def _sample(text: str, dialect: Dialect) -> Iterator[Record]:
    return parse(io.StringIO(text, newline=""), dialect)


def _kind(cell: str, dialect: Dialect) -> float:
    """How much the cell looks like one value of a known kind."""
    if len(cell) > 200:
        return 0.7
    if _VALUE.fullmatch(cell):
        return 1.0
    if cell[:1] in ('"', "'") or cell[-1:] in ('"', "'"):
        return 0.2
    return 0.3 if any(each in cell for each in (";", "\t", "|")) else 0.8
