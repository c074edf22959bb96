"""The careful reader: lines of text to records, in any dialect, with the text of what is broken.

Quotes open only at the start of a cell (white space before them allowed). A quote inside a quoted
cell that no delimiter follows is part of the cell. A quote that opens and never closes is part of
its cell too: the record is marked, and reading goes on right behind it.
"""

import contextlib
import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from engine.errors import SourceCode, SourceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How cells and records are told apart; `""` where there is no such character."""

    delimiter: str
    quote: str = '"'
    escape: str = ""


class Record(NamedTuple):
    """One record: its cells, one at least; its first physical line (1-based), its text, what is
    wrong with it.
    """

    row: int
    line: int
    cells: list[str]
    text: str
    problem: str = ""


#: Nothing closes the quote before the end of the file, or of what one record may hold.
UNCLOSED = "unclosed_quote"
#: What follows proves that the quote opened nothing.
STRAY = "stray_quote"
#: Characters read in vain behind quotes that never close, before a file is given up.
MAX_VAIN = 64 << 20


class _Unclosed(Exception):
    """The quoted cell does not end. Its line as bare text goes on from `at`, where that is known;
    `proven` when what stands there shows that the quote opened nothing.
    """

    def __init__(self, *, proven: bool, at: int = 0) -> None:
        self.proven, self.at = proven, at


def parse(lines: Iterable[str], dialect: Dialect, *, longest: int = 2_000_000) -> Iterator[Record]:
    """Records in order; a blank line is a record of one empty cell."""
    source = _Lines(lines, longest)
    row = 0
    while (text := source.first()) is not None:
        row += 1
        line, body = source.line, text.rstrip("\r\n")
        if not (_in(dialect.quote, body) or _in(dialect.escape, body)):
            yield Record(row, line, body.split(dialect.delimiter), body)
            continue
        strict = _strict(source, dialect)
        cells, problem = (strict, "") if strict is not None else _cells(source, dialect)
        taken = source.taken
        yield Record(row, line, cells, body if len(taken) == 1 else "".join(taken), problem)


class _Lines:
    """Physical lines, and those of the present record so that they can be given back."""

    def __init__(self, lines: Iterable[str], longest: int) -> None:
        self._source, self._again, self._longest = iter(lines), deque[str](), longest
        self.taken: list[str] = []
        self.line = 1
        self._spent = self._vain = 0

    def first(self) -> str | None:
        self.line += len(self.taken)
        text = self._next()
        self.taken = [] if text is None else [text]
        self._spent = len(text or "")
        if self._spent > self._longest:
            raise SourceError(
                SourceCode.FIELD_TOO_LARGE,
                f"a line of more than {self._longest:,} characters; split or shorten it",
                place=f"line {self.line}",
            )
        return text

    def more(self) -> str:
        text = self._next()
        if text is None:
            raise _Unclosed(proven=False)
        self.taken.append(text)
        self._spent += len(text)
        if self._spent > self._longest:
            raise _Unclosed(proven=False)
        return text.rstrip("\r\n")

    def rest(self) -> Iterator[str]:
        """The lines of this record, as many as are asked for."""
        yield self.taken[0]
        with contextlib.suppress(_Unclosed):
            while True:
                self.more()
                yield self.taken[-1]

    def give_back(self, keep: int) -> None:
        """The record has only `keep` lines; the others come again."""
        back = self.taken[keep:]
        self._again.extendleft(reversed(back))
        del self.taken[keep:]
        self._spent -= sum(map(len, back))
        self._vain += sum(map(len, back))
        if self._vain > MAX_VAIN:
            raise SourceError(
                SourceCode.UNCLOSED_QUOTE,
                "many lines open a quote that nothing closes; check the quote character",
                place=f"line {self.line}",
            )

    def _next(self) -> str | None:
        return self._again.popleft() if self._again else next(self._source, None)


def _strict(source: _Lines, dialect: Dialect) -> list[str] | None:
    """The record by the csv module, five times faster, where its way of reading is beyond doubt."""
    if dialect.escape or len(dialect.delimiter) > 1 or not dialect.quote:
        return None
    spaced = dialect.delimiter + " " + dialect.quote
    reader = csv.reader(
        source.rest(), delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True
    )
    try:
        cells = next(reader)
    except csv.Error:
        cells = None
    if cells is None or any(spaced in each or each[:1].isspace() for each in source.taken):
        source.give_back(1)
        return None
    return cells


def _in(mark: str, body: str) -> bool:
    return mark != "" and mark in body


def _cells(source: _Lines, dialect: Dialect) -> tuple[list[str], str]:
    """The cells of the record whose first line was taken, and what is wrong with its quotes."""
    cells, at, taken, problem = [], 0, source.taken, ""
    while True:
        body = taken[-1].rstrip("\r\n")
        opened, lines = _opening(body, at, dialect), len(taken)
        if opened:
            start = at
            try:
                cell, at = _quoted(source, opened, dialect)
                body = taken[-1].rstrip("\r\n")
            except _Unclosed as unclosed:
                source.give_back(lines)
                problem = STRAY if unclosed.proven and problem != UNCLOSED else UNCLOSED
                end = _find(body, dialect.delimiter, max(start, unclosed.at))
                cell, at = body[start:end], end
        else:
            cell, at = _bare(body, at, dialect)
        cells.append(cell)
        if at >= len(body):
            return cells, problem
        at += len(dialect.delimiter)


def _opening(body: str, at: int, dialect: Dialect) -> int:
    """The place after an opening quote, 0 where the cell is bare."""
    if not dialect.quote:
        return 0
    while body[at : at + 1] in (" ", "\t") and not body.startswith(dialect.delimiter, at):
        at += 1
    return at + 1 if body.startswith(dialect.quote, at) else 0


def _bare(body: str, at: int, dialect: Dialect) -> tuple[str, int]:
    end = _find(body, dialect.delimiter, at)
    if not dialect.escape or dialect.escape not in body[at:end]:
        return body[at:end], end
    parts, start = [], at
    while start < len(body) and not body.startswith(dialect.delimiter, start):
        if body[start] == dialect.escape and start + 1 < len(body):
            start += 1
        parts.append(body[start])
        start += 1
    # `\\N` is how databases write a missing value; without its escape it would be a letter.
    raw = body[at:start]
    return (raw if raw == dialect.escape + "N" else "".join(parts)), start


def _quoted(source: _Lines, at: int, dialect: Dialect) -> tuple[str, int]:
    """The value of a quoted cell whose text begins at `at`, and where it ended on its last line."""
    taken, quote = source.taken, dialect.quote
    escape = dialect.escape if dialect.escape != dialect.quote else ""
    body, parts, first = taken[-1].rstrip("\r\n"), [], len(taken)
    while True:
        found = body.find(quote, at)
        escaped = body.find(escape, at, found if found >= 0 else len(body)) if escape else -1
        if escaped >= 0 and escaped + 1 < len(body):
            parts.append(body[at:escaped] + body[escaped + 1])
            at = escaped + 2
        elif found < 0:
            parts.append(taken[-1][at:])
            body, at = source.more(), 0
        elif body.startswith(quote, found + 1):
            parts.append(body[at : found + 1])
            at = found + 2
        elif (end := _closing(body, found, dialect)) >= 0:
            return "".join(parts) + body[at:found], end
        elif _looks_opening(body, found, dialect):
            raise _Unclosed(proven=True)
        elif first == len(taken) and not _closes_later(body, found, dialect):
            raise _Unclosed(proven=True, at=found)
        else:
            parts.append(body[at : found + 1])
            at = found + 1


def _closing(body: str, quote_at: int, dialect: Dialect) -> int:
    """Where the cell ends if the quote at that place closes it, else -1."""
    end = quote_at + 1
    while body[end : end + 1] in (" ", "\t") and not body.startswith(dialect.delimiter, end):
        end += 1
    return end if end >= len(body) or body.startswith(dialect.delimiter, end) else -1


def _looks_opening(body: str, quote_at: int, dialect: Dialect) -> bool:
    return quote_at == 0 or body.endswith(dialect.delimiter, 0, quote_at)


def _closes_later(body: str, quote_at: int, dialect: Dialect) -> bool:
    """Whether a later quote of this line closes the cell before another cell opens."""
    at = body.find(dialect.quote, quote_at + 1)
    while at >= 0:
        if _closing(body, at, dialect) >= 0:
            return not _looks_opening(body, at, dialect)
        if _looks_opening(body, at, dialect):
            return False
        at = body.find(dialect.quote, at + 1)
    return False


def _find(body: str, delimiter: str, at: int) -> int:
    found = body.find(delimiter, at)
    return len(body) if found < 0 else found
