"""Which characters tell cells and records apart: every candidate reads a sample and is scored.

A reading is good when its records are as wide as each other, its columns hold values of one kind
and its cells look like single values. When two readings are close, DuckDB's sniffer and CleverCSV
are asked too. Runners-up stay in the choice.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from engine.errors import SourceError
from engine.intake import consult
from engine.intake.parse import Dialect, Record, parse
from engine.intake.source import Choice
from plans.plan import Read

#: How usual a delimiter is. Rare ones have to show more: words and times hold them too.
PRIORS = {
    ",": 1.0, ";": 0.98, "\t": 1.0, "|": 0.96, "||": 0.96, "::": 0.9, ";;": 0.9, ", ": 1.02,
    "; ": 1.0, "~": 0.8, "^": 0.8, "\x1f": 1.0, "\x01": 1.0, "\x1e": 0.9, "¦": 0.9, "§": 0.8,
    ":": 0.55, "#": 0.55, "&": 0.5, "*": 0.5, "=": 0.5, "!": 0.4, " ": 0.5,
}  # fmt: skip
#: Below this prior a delimiter needs several records that agree; many cells in every one make it
#: as likely as this.
RARE, LIKELY = 0.7, 0.8
#: The score of reading every line as one cell; what is worse is no delimiter.
SINGLE = 0.3
#: From this share of the best score on a reading is close; what one vote of a sniffer adds.
CLOSE, VOTE = 0.8, 0.1
#: What an escape that is used as one adds.
ESCAPED = 1.02
#: From this width on a record with fewer cells than most may have lost its empty ones.
WIDE = 4
SAMPLE, ROWS, TINY = 1 << 16, 300, 6
#: Comments above the table, where two lines or more follow.
_COMMENTS = re.compile(r"\A(?:[ \t]*#[^\r\n]*[\r\n]+)+(?=[^\r\n#]+[\r\n]+[^\r\n])")
_SHAPES = (
    ("empty", re.compile(r"\s*")),
    ("number", re.compile(r"\s*[-+(]?\s?[$€£¥]?\s?-?\d[\d., '\u2019]*(?:[eE][-+]?\d+)?\s?%?\)?\s?[$€£¥]?\s*")),
    ("date", re.compile(
        r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ]+[\d:.,]+\s?(?:[AaPp]\.?[Mm]\.?|Z|[-+]\d\d:?\d\d)?)?\s*"
    )),
    ("time", re.compile(r"\s*\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?\s?(?:[AaPp][Mm])?\s*")),
    ("mail", re.compile(r"\s*[\w.+-]+@[\w-]+(?:\.[\w-]+)+\s*")),
    ("web", re.compile(r"\s*(?:https?://|www\.)\S+\s*")),
    ("code", re.compile(r"\s*[A-Za-z]{0,6}[-_/]?\d[\w/-]*\s*")),
    ("word", re.compile(r"\s*[^\W\d_][\w.'\u2019&/()-]*\s*")),
    ("text", re.compile(r"[^;|\t\"]*")),
)  # fmt: skip
_WORTH = {"text": 0.85, "other": 0.35, "word": 0.97}


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
    scores = {
        each: _score(text, each) * (ESCAPED if _escaped_inside(text, each) else 1)
        for each in _candidates(text, read)
    }
    if read.delimiter is None and _close(scores):
        votes = consult.delimiters(text)
        scores = {
            each: score * (1 + VOTE * votes.count(each.delimiter.strip(" ") or " "))
            for each, score in scores.items()
        }
    dialect = max(scores, key=lambda each: scores[each])
    best = scores[dialect]
    others: dict[str, float] = {}
    for each, score in sorted(scores.items(), key=lambda item: -item[1]):
        if each.delimiter.strip() != dialect.delimiter.strip():
            others.setdefault(each.delimiter, round(score, 4))
    second = max(others.values(), default=0.0)
    margin = (best - second) / best if best > 0 else 0.0
    given = read.delimiter is not None
    if not given and best <= SINGLE:
        dialect = _alone(dialect, text)
    quoted = dialect.quote in text
    return Detected(
        dialect=dialect,
        choices=(
            Choice(
                what="delimiter",
                value=dialect.delimiter,
                confidence=1.0 if given else round(min(1.0, 0.5 + margin), 3),
                given=given,
                others=tuple(islice(others.items(), 3)),
            ),
            _choice("quote", dialect.quote if quoted else '"', given=read.quote is not None),
            _choice("escape", dialect.escape, given=read.escape is not None),
        ),
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


def _close(scores: dict[Dialect, float]) -> bool:
    """Whether another delimiter reads nearly as well as the best."""
    best: dict[str, float] = {}
    for each, score in scores.items():
        name = each.delimiter.strip(" ")
        best[name] = max(best.get(name, 0.0), score)
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


def _score(text: str, dialect: Dialect) -> float:
    """How well the sample reads in this dialect, 0..1."""
    filled = _filled(text, dialect)
    if not filled:
        return 0.0
    width = _usual_width([len(each.cells) for each in filled])
    rows = [each.cells for each in filled if len(each.cells) == width]
    prior = PRIORS.get(dialect.delimiter, 0.9)
    if width == 1:
        return SINGLE * _unbroken(filled, dialect) if dialect.delimiter == "," else 0.0
    # A few lines above and below the table are no evidence against it.
    short = sum(WIDE <= len(each.cells) < width for each in filled)
    agree = (len(rows) + short / 2) / max(1, len(filled) - _around(filled, width))
    if prior < RARE and (len(rows) < 3 or agree < 0.9):
        return 0.0
    if prior < RARE and width > WIDE and len(rows) == len(filled):
        prior = LIKELY
    together: float = agree**1.5
    # The end of every line, or of `&amp;`, parts nothing.
    if sum(any(map(str.strip, column)) for column in zip(*rows, strict=True)) < 2:
        return prior * together * SINGLE * 1.05
    wide = 1 - 0.3 / width
    return prior * together * wide * _columns(rows, width) * _unbroken(filled, dialect)


def _filled(text: str, dialect: Dialect) -> list[Record]:
    """The first records that hold anything; none in a dialect that cannot be read."""
    try:
        records = list(islice(parse(io.StringIO(text, newline=""), dialect), ROWS))
    except SourceError:
        return []
    return [each for each in records if any(cell.strip() for cell in each.cells)]


def _alone(dialect: Dialect, text: str) -> Dialect:
    """Where nothing parts the one column, no comma of its text may either."""
    widths = [len(each.cells) for each in _filled(text, dialect)]
    if max(widths, default=1) == 1 or _usual_width(widths) > 1:
        return dialect
    return replace(
        dialect, delimiter=next(each for each in ",;\t|\x1f\x01\x1e" if each not in text)
    )


def _usual_width(widths: Sequence[int]) -> int:
    counts = Counter(widths)
    most = max(counts.values())
    return max(width for width, count in counts.items() if count >= 0.7 * most)


def _around(records: Sequence[Record], width: int) -> int:
    """Records of another width at both ends, up to a third of a sample that is not tiny."""
    if len(records) < TINY:
        return 0
    above = next((at for at, each in enumerate(records) if len(each.cells) == width), 0)
    below = next((at for at, each in enumerate(reversed(records)) if len(each.cells) == width), 0)
    return min(above + below, len(records) // 3)


def _unbroken(records: Sequence[Record], dialect: Dialect) -> float:
    """Lower for each record whose quotes do not close, or that ends a bare cell with one."""
    odd = sum(bool(each.problem) or _ends_bare(each, dialect) for each in records)
    return 1 - 0.5 * odd / len(records)


def _ends_bare(record: Record, dialect: Dialect) -> bool:
    mark, text = dialect.quote, record.text
    if not mark or mark not in text:
        return False
    ends = [cell for cell in record.cells if cell.endswith(mark) and cell.count(mark) % 2]
    return any(cell + dialect.delimiter in text or text.endswith(cell) for cell in ends)


def _columns(rows: Sequence[Sequence[str]], width: int) -> float:
    """How much cells look like single values, and columns like values of one kind."""
    total = 0.0
    for at in range(width):
        kinds = Counter(_kind(cells[at]) for cells in rows)
        worth = sum(_WORTH.get(kind, 1.0) * count for kind, count in kinds.items()) / len(rows)
        del kinds["empty"]
        usual = max(kinds.values(), default=0) / max(1, kinds.total())
        total += worth * (0.85 + 0.15 * usual)
    return total / width


def _kind(cell: str) -> str:
    if len(cell) > 200:
        return "text"
    return next((name for name, shape in _SHAPES if shape.fullmatch(cell)), "other")
