"""Which characters tell cells and records apart: every candidate reads a sample and is scored.

When two readings are close, DuckDB's sniffer and CleverCSV are asked too. Runners-up stay in the
choice.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from engine.intake import consult
from engine.intake.parse import Dialect, parse
from engine.intake.score import PRIORS, SINGLE, filled, score, usual_width
from engine.intake.source import Choice
from plans.plan import Read

#: From this share of the best score on a reading is close; what one vote of a sniffer adds.
CLOSE, VOTE = 0.8, 0.1
#: What an escape that is used as one adds.
ESCAPED = 1.02
SAMPLE = 1 << 16
#: Comments above the table, where two lines or more follow.
_COMMENTS = re.compile(r"\A(?:[ \t]*#[^\r\n]*[\r\n]+)+(?=[^\r\n#]+[\r\n]+[^\r\n])")


@dataclass(frozen=True, kw_only=True, slots=True)
class Detected:
    """The dialect that was chosen, and each decision with its runners-up."""

    dialect: Dialect
    choices: tuple[Choice, ...]
    wrapped: bool = False  #: every line is one quoted cell that holds the real line


def detect(text: str, read: Read) -> Detected:
    """The dialect of a sample of text (cut at a line end), keeping what `read` says."""
    text = _COMMENTS.sub("", _whole_lines(text[: SAMPLE + 1]), count=1)
    if read.delimiter is None and (inner := _unwrapped(text)):
        return replace(detect(inner, read), wrapped=True)
    points = _points(text, read)
    dialect = max(points, key=lambda each: points[each])
    choice = _delimiter(points, dialect)
    if read.delimiter is not None:
        choice = replace(choice, confidence=1.0, given=True)
    elif points[dialect] <= SINGLE:
        dialect = _alone(dialect, text)
    quote = dialect.quote if dialect.quote in text else '"'
    return Detected(
        dialect=dialect,
        choices=(
            replace(choice, value=dialect.delimiter),
            _choice("quote", quote, given=read.quote is not None),
            _choice("escape", dialect.escape, given=read.escape is not None),
        ),
    )


def _points(text: str, read: Read) -> dict[Dialect, float]:
    """How well each candidate reads the sample; where it is close with the sniffers' votes."""
    points = {
        each: score(text, each) * (ESCAPED if _escaped_inside(text, each) else 1)
        for each in _candidates(text, read)
    }
    if read.delimiter is None and _close(points):
        votes = consult.delimiters(text)
        for each in points:
            points[each] *= 1 + VOTE * votes.count(each.delimiter.strip(" ") or " ")
    return points


def _delimiter(points: dict[Dialect, float], dialect: Dialect) -> Choice:
    """The choice of the best dialect's delimiter, with its runners-up."""
    best, others = points[dialect], dict[str, float]()
    for each, much in sorted(points.items(), key=lambda item: -item[1]):
        if each.delimiter.strip() != dialect.delimiter.strip():
            others.setdefault(each.delimiter, round(much, 4))
    margin = (best - max(others.values(), default=0.0)) / best if best > 0 else 0.0
    return Choice(
        what="delimiter",
        value=dialect.delimiter,
        confidence=round(min(1.0, 0.5 + margin), 3),
        others=tuple(islice(others.items(), 3)),
    )


def _unwrapped(text: str) -> str:
    """The lines inside, where each line was quoted as a whole; "" where that is not so.

    One column of quoted addresses is no such thing: three cells or more have to agree.
    """
    lines = text.splitlines()
    if len(lines) < 2 or not all(line[:1] == line[-1:] == '"' and len(line) > 2 for line in lines):
        return ""
    try:
        cells = [next(csv.reader([line], strict=True)) for line in lines]
    except csv.Error:
        return ""
    if any(len(each) != 1 for each in cells):
        return ""
    inner = "\n".join(each[0] for each in cells)
    for delimiter in (",", ";", "\t", "|"):
        read = parse(io.StringIO(inner, newline=""), Dialect(delimiter=delimiter))
        widths = Counter(len(each.cells) for each in read)
        width, count = widths.most_common(1)[0]
        if width >= 3 and count >= 0.95 * widths.total():
            return inner
    return ""


def _close(points: dict[Dialect, float]) -> bool:
    """Whether another delimiter reads nearly as well as the best."""
    best: dict[str, float] = {}
    for each, much in points.items():
        name = each.delimiter.strip(" ")
        best[name] = max(best.get(name, 0.0), much)
    ordered = sorted(best.values(), reverse=True)
    return len(ordered) > 1 and ordered[0] > 0 and ordered[1] > CLOSE * ordered[0]


def _choice(what: str, value: str, *, given: bool) -> Choice:
    return Choice(what=what, value=value, confidence=1.0, given=given)


def _whole_lines(text: str) -> str:
    if len(text) <= SAMPLE:
        return text
    cut = max(text.rfind("\n"), text.rfind("\r")) + 1
    return text[:cut] if cut else text


def _candidates(text: str, read: Read) -> Iterator[Dialect]:
    declared = re.match(r"\"?sep=(.{1,2}?)\"?\r?\n", text, re.IGNORECASE)
    wanted = read.delimiter or (declared[1] if declared else None)
    # The comma is always tried: it is what a file of a single column is read with.
    found = [each for each in PRIORS if each == "," or _used(each, text)]
    for delimiter in [wanted] if wanted else found:
        quotes = [read.quote] if read.quote is not None else list(_quotes(text, delimiter))
        for quote in quotes:
            if read.escape is not None:
                escapes = [read.escape]
            else:
                escapes = ["", "\\"] if _escapes(text, delimiter, quote) else [""]
            for escape in escapes:
                yield Dialect(delimiter=delimiter, quote=quote, escape=escape)


def _used(delimiter: str, text: str) -> bool:
    """Whether it occurs. One that comes only in pairs is a delimiter of two characters, one that
    comes only with a space behind it holds that space.
    """
    count = text.count(delimiter)
    if not count:
        return False
    if len(delimiter) == 2 and delimiter[1] == " ":
        return _always_spaced(delimiter, text)
    doubled = len(delimiter) == 1 and text.count(delimiter * 2) * 2 == count
    return not doubled


def _always_spaced(delimiter: str, text: str) -> bool:
    """Outside of quotes each delimiter stands before one space; more of them pad columns."""
    bare = re.sub(r'"[^"]*"', '""', text[: 1 << 14])
    spaced, padded = bare.count(delimiter), bare.count(delimiter + " ")
    return 0 < spaced == bare.count(delimiter[0]) and not padded


def _quotes(text: str, delimiter: str) -> Iterator[str]:
    """The double quote, but where only the single one begins and ends cells, and many; both where
    it begins as many as it ends.
    """
    opened, closed = _framed(text, delimiter, "'")
    framed = min(opened, closed) >= max(1, 0.8 * max(opened, closed))
    if not framed or opened < max(3, text.count("\n") / 2) or any(_framed(text, delimiter, '"')):
        yield '"'
    if framed:
        yield "'"


def _framed(text: str, delimiter: str, quote: str) -> tuple[int, int]:
    """How many cells begin with it, and how many end so."""
    if quote not in text:
        return 0, 0
    edge = re.escape(delimiter)
    opened = len(re.findall(rf"(?m)(?:^|{edge}){quote}", text))
    return opened, len(re.findall(rf"(?m){quote}(?=\r?$|{edge})", text))


def _escapes(text: str, delimiter: str, quote: str) -> bool:
    return "\\" + delimiter in text or (quote != "" and "\\" + quote in text)


def _escaped_inside(text: str, dialect: Dialect) -> bool:
    """Whether the escape stands before quotes inside of cells and never before one that ends it."""
    if not dialect.escape or not dialect.quote:
        return False
    mark = re.escape(dialect.escape + dialect.quote)
    ends = rf"{mark}(?:{re.escape(dialect.delimiter)}|\r?\n|$)"
    return re.search(mark, text) is not None and re.search(ends, text) is None


def _alone(dialect: Dialect, text: str) -> Dialect:
    """Where nothing parts the one column, no comma of its text may either."""
    widths = [len(each.cells) for each in filled(text, dialect)]
    if max(widths, default=1) == 1 or usual_width(widths) > 1:
        return dialect
    return replace(
        dialect, delimiter=next(each for each in ",;\t|\x1f\x01\x1e" if each not in text)
    )
