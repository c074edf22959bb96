"""How well a sample reads in one dialect, 0..1.

A reading is good when its records are as wide as each other, its columns hold values of one kind
and its cells look like single values.
"""

import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from engine.errors import SourceError
from engine.intake.parse import Dialect, Record, parse

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
#: From this width on a record with fewer cells than most may have lost its empty ones.
WIDE = 4
ROWS, TINY = 300, 6
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


def score(text: str, dialect: Dialect) -> float:
    """How well the sample reads in this dialect, 0..1."""
    records = filled(text, dialect)
    if not records:
        return 0.0
    width = _width([len(each.cells) for each in records])
    rows = [each.cells for each in records if len(each.cells) == width]
    prior = PRIORS.get(dialect.delimiter, 0.9)
    if width == 1:
        return SINGLE * _unbroken(records, dialect) if dialect.delimiter == "," else 0.0
    # A few lines above and below the table are no evidence against it.
    short = sum(WIDE <= len(each.cells) < width for each in records)
    agree = (len(rows) + short / 2) / max(1, len(records) - _around(records, width))
    if prior < RARE and (len(rows) < 3 or agree < 0.9):
        return 0.0
    if prior < RARE and width > WIDE and len(rows) == len(records):
        prior = LIKELY
    together: float = agree**1.5
    # The end of every line, or of `&amp;`, parts nothing.
    if sum(any(map(str.strip, column)) for column in zip(*rows, strict=True)) < 2:
        return prior * together * SINGLE * 1.05
    wide = 1 - 0.3 / width
    return prior * together * wide * _columns(rows, width) * _unbroken(records, dialect)


def filled(text: str, dialect: Dialect) -> list[Record]:
    """The first records that hold anything; none in a dialect that cannot be read."""
    try:
        records = list(islice(parse(io.StringIO(text, newline=""), dialect), ROWS))
    except SourceError:
        return []
    return [each for each in records if any(cell.strip() for cell in each.cells)]


def _width(widths: Sequence[int]) -> int:
    """The usual width, or that of several wide records among lines of one cell."""
    usual, wide = usual_width(widths), [width for width in widths if width >= WIDE]
    if usual > 1 or len(wide) < max(3, 0.25 * len(widths)):
        return usual
    return wide[0] if len(set(wide)) == 1 else usual


def usual_width(widths: Sequence[int]) -> int:
    """The commonest number of cells; of several common ones the largest."""
    counts = Counter(widths)
    most = max(counts.values())
    return max(width for width, count in counts.items() if count >= 0.7 * most)


def _around(records: Sequence[Record], width: int) -> int:
    """Records of another width at both ends, up to a third of a sample that is not tiny, or half of
    it around a wide table.
    """
    if len(records) < TINY:
        return 0
    above = next((at for at, each in enumerate(records) if len(each.cells) == width), 0)
    below = next((at for at, each in enumerate(reversed(records)) if len(each.cells) == width), 0)
    return min(above + below, len(records) // (2 if width >= WIDE else 3))


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
