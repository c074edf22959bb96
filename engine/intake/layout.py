"""Text tables without a delimiter: drawn with lines (psql, mysql, SAP, Markdown), or aligned by
blanks. A file is only read so where its lines agree; the lines that rule a table are no records.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

from engine.errors import SourceCode, SourceError
from engine.intake.cells import shape
from engine.intake.parse import Record
from engine.intake.source import Choice
from plans.plan import Read

#: A line that does not have the columns of its table: a title, a remark, or a broken row.
OUTSIDE = "outside_columns"
#: Characters and lines looked at to find the columns; fewest lines that agree without a
#: rule, and most places where they are blank.
SAMPLE, LINES, FEWEST, MOST = 1 << 16, 1_000, 3, 500
#: Share of the lines that has to agree below a rule; how sure rules, and borders alone, make it.
AGREE, RULED, FRAMED = 0.75, 0.95, 0.85
#: What tells cells apart in a drawing, what only rules, and where rules cross.
_BOX = "\u2502\u2503\u2551\u2506\u250a"
_MARKS = "|" + _BOX
_STROKES = ("--", "==", "\u2500\u2500", "\u2501\u2501", "\u2550\u2550")
_RULES = "-+=|: \t" + "".join(map(chr, range(0x2500, 0x2580)))
_CROSSING = re.compile(r"[+|\u2502\u2503\u2551\u253c-\u254b\u256a-\u256c]")
#: Rules below the names of aligned columns, one for each.
_UNDERLINES = re.compile(r"\s*(?:-+|=+)(?:\s+(?:-+|=+))+\s*")

Gap = tuple[int, int]
Cut = Callable[[str], list[str] | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """How lines become cells: `cut` gives None for a line without the table's columns."""

    choice: Choice
    cut: Cut
    headed: bool  #: a rule stands right below the names


def find(text: str, read: Read, *, delimiter: str) -> Layout | None:
    """The layout of a sample of text; None where it is delimited, most likely as given here."""
    if read.layout == "delimited" or (read.delimiter is not None and read.layout is None):
        return None
    lines = [_bare(line) for line in text[:SAMPLE].splitlines()[:LINES]]
    ways: dict[str, Callable[[Sequence[str]], Layout | None]] = {
        "drawn": _drawn,
        "aligned": partial(_aligned, delimiter=delimiter),
    }
    wanted = ways if read.layout is None else {read.layout: ways[read.layout]}
    found = next((each for way in wanted.values() if (each := way(lines))), None)
    if read.layout is None:
        return found
    if found is None:
        message = f"the lines have no columns that are {read.layout}"
        raise SourceError(SourceCode.OPTION, message, place="layout")
    return replace(found, choice=replace(found.choice, confidence=1.0, given=True))


def records(
    lines: Iterable[str],
    layout: Layout,
    *,
    on_rule: Callable[[], object] = bool,
    longest: int = 2_000_000,
) -> Iterator[Record]:
    """A record of each line that rules nothing."""
    row = 0
    for number, line in enumerate(lines, 1):
        text = _bare(line)
        if len(text) > longest:
            message = f"a line of more than {longest:,} characters; split or shorten it"
            raise SourceError(SourceCode.FIELD_TOO_LARGE, message, place=f"line {number}")
        if _rules(text):
            on_rule()
            continue
        row += 1
        cells = layout.cut(text) if text else [""]
        if cells is None:
            yield Record(row, number, [text.strip()], text, OUTSIDE)
        else:
            yield Record(row, number, cells, text)


def _rules(text: str) -> bool:
    return not text.strip(_RULES) and any(stroke in text for stroke in _STROKES)


def _bare(line: str) -> str:
    return line.replace("\f", "").rstrip()


def _layout(kind: str, sure: float, cut: Cut, *, headed: bool) -> Layout:
    others = (("delimited", round(1 - sure, 3)),)
    choice = Choice(what="layout", value=kind, confidence=round(sure, 3), others=others)
    return Layout(choice=choice, cut=cut, headed=headed)


def _drawn(lines: Sequence[str]) -> Layout | None:
    """Most lines hold as many verticals as each other, and have borders or crossing rules."""
    lines = [line.strip() for line in lines if line]
    rules = [line for line in lines if _rules(line)]
    rows = [line for line in lines if any(mark in line for mark in _MARKS)]
    rows = [line for line in rows if not _rules(line)]
    if len(rows) < 2 or len(rows) + len(rules) < 0.5 * len(lines):
        return None
    marks = "|" if max(_MARKS, key="".join(rows).count) == "|" else _BOX
    framed = sum(line[0] in marks and line[-1] in marks for line in rows) >= 0.9 * len(rows)
    # Markdown writes `\|` in a cell; elsewhere a backslash may end one.
    tried = []
    for mark in (f"[{marks}]", rf"(?<!\\)[{marks}]"):
        cut = partial(_between, mark=mark, framed=framed)
        tried.append((Counter(len(cut(line) or ()) for line in rows).most_common(1)[0], cut))
    (width, agree), cut = max(tried, key=lambda each: each[0][1])
    if agree < AGREE * len(rows):
        return None
    crossed = width > 1 and any(len(_CROSSING.split(rule.strip("+|"))) == width for rule in rules)
    if crossed or (framed and rules):
        inside = [line for line in lines if cut(line) or _rules(line)]
        return _layout("drawn", RULED, cut, headed=_headed(inside))
    if framed and width > 1 and len(lines) == agree >= FEWEST:
        return _layout("drawn", FRAMED, cut, headed=False)
    return None


def _between(text: str, *, mark: str, framed: bool) -> list[str] | None:
    """The cells between verticals."""
    parts = re.split(mark, text.strip())
    if len(parts) == 1 or (framed and (len(parts) < 3 or parts[0] or parts[-1])):
        return None
    return [part.strip().replace("\\|", "|") for part in (parts[1:-1] if framed else parts)]


def _headed(lines: Sequence[str]) -> bool:
    """Whether one row stands above a rule and others below, where not every row is ruled."""
    runs = groupby(lines, lambda line: not _rules(line))
    rows = [len([*run]) for is_row, run in runs if is_row]
    return len(rows) > 1 and rows[0] == 1 and (max(rows) > 1 or len(rows) == 2)


def _aligned(lines: Sequence[str], *, delimiter: str) -> Layout | None:
    """The lines of the longest paragraph are blank at the same places, and no delimiter is there."""
    runs = [[*run] for filled, run in groupby(lines, bool) if filled]
    block = max(runs, key=lambda run: (any(map(_UNDERLINES.fullmatch, run)), len(run)), default=[])
    rows = [line for line in block if not _rules(line)]
    if any("\t" in line for line in rows):
        return None
    rule = next((line for line in block if _UNDERLINES.fullmatch(line)), None)
    if rule is not None:
        cut = partial(_cut, gaps=[each.span() for each in re.finditer(r"(?<=\S)\s+(?=\S)", rule)])
        agree = sum(cut(line) is not None for line in rows) >= AGREE * len(rows)
        return _layout("aligned", RULED, cut, headed=_headed(block)) if rows and agree else None
    # A title may stand right above the table, and a remark right below it.
    for top, bottom in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0)):
        part = rows[top : len(rows) - bottom]
        gaps = _gaps(part)
        if gaps and not _delimited(part, gaps, delimiter):
            sure = min(RULED, 0.6 + 0.05 * len(part))
            return _layout("aligned", sure, partial(_cut, gaps=gaps), headed=False)
    return None


def _gaps(lines: Sequence[str]) -> list[Gap]:
    """Where every line is blank, two columns wide at least once; narrow ones need more."""
    if len(lines) < FEWEST or not all("  " in line for line in lines):
        return []
    filled = 0
    for line in lines:
        for word in re.finditer(r"\S+", line):
            filled |= (1 << word.end()) - (1 << word.start())
    found = [each.span() for each in re.finditer("0+", format(filled, "b")[::-1]) if each.start()]
    wide = [gap for gap in found if gap[1] - gap[0] > 1]
    if len(found) > MOST:
        return []
    return [gap for gap in found if gap in wide or _parts(lines, gap[0], found)] if wide else []


def _parts(lines: Sequence[str], at: int, gaps: Sequence[Gap]) -> bool:
    """Whether one blank place parts columns: they are filled, and most lines have more blanks there
    or all another kind of value behind than before it.
    """
    start = max((end for _, end in gaps if end <= at), default=0)
    end = min((start for start, _ in gaps if start > at), default=None)
    pairs = [(line[start:at].split()[-1:], line[at:end].split()[:1]) for line in lines]
    kinds = [(shape(left[0]), shape(right[0])) for left, right in pairs if left and right]
    padded = sum("  " in line[at - 1 : at + 2] for line in lines) > 0.5 * len(lines)
    filled = len(kinds) > 0.5 * len(lines)
    # The names above may be words on both sides.
    alike = sum(left == right for left, right in kinds)
    return filled and (padded or alike <= (len(kinds) > FEWEST))


def _delimited(lines: Sequence[str], gaps: Sequence[Gap], delimiter: str) -> bool:
    """Whether the blanks only pad cells that a delimiter parts."""
    if delimiter == " ":
        return False
    counts = sorted(line.count(delimiter) for line in lines)
    if len(gaps) <= counts[len(counts) // 2]:
        return True
    columns = zip(*(_cut(line, gaps=gaps) or () for line in lines), strict=True)
    return any(
        all(cell.startswith(delimiter) or cell.endswith(delimiter) for cell in column)
        for column in columns
    )


def _cut(line: str, *, gaps: Sequence[Gap]) -> list[str] | None:
    """The cells between gaps; a value may reach into one, not over it."""
    cells, at = [], 0
    for start, end in gaps:
        blank = line.find(" ", start, end)
        if blank < 0:
            if len(line) >= end:
                return None
            blank = len(line)
        cells.append(line[at:blank].strip())
        at = blank
    return [*cells, line[at:].strip()]
