"""Real tables spoilt the way public files are: the nearest thing to files nobody here has seen.

Each kind of trouble is a function from a table to the lines of a file and what a careful person
would read out of them. Half of the files have a second trouble of their own: another delimiter,
encoding or line end.
"""

import csv
import io
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evals.intake.rewritten import keep, tables

Rows = list[list[str]]
_NOTES = (
    "Source: national statistics",
    "* provisional",
    "Note: figures may not add up to the total",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Spoilt:
    """Text lines around and inside of a table, and the table as it is meant."""

    names: list[str]  #: empty without a header
    body: Rows
    above: tuple[str, ...] = ()
    head: Rows | None = None  #: as written, where that is not the names
    written: Sequence[Sequence[str] | str] | None = None  #: rows or whole lines, likewise
    below: tuple[str, ...] = ()
    quoting: int = csv.QUOTE_MINIMAL
    quote: str = '"'
    escape: str | None = None
    delimiters: str = ",,;\t|"
    tail: str = ""  #: ends every line


Trouble = Callable[[list[str], Rows, random.Random], Spoilt]


def write(folders: Sequence[Path], out: Path, *, seed: int = 8, each: int = 8) -> int:
    """Fill `out` with csv/, clean/ and parameters/: every table with `each` troubles."""
    for part in ("csv", "clean", "parameters"):
        (out / part).mkdir(parents=True)
    draw, count = random.Random(seed), 0
    for name, table in tables(folders):
        if any("\r" in cell for row in table for cell in row):
            continue
        for trouble in draw.sample(list(TROUBLES), each):
            body = table[1 : 1 + draw.choice([3, 6, 12, 30, 120])]
            spoilt = TROUBLES[trouble](table[0], body, draw)
            _write_one(f"{trouble}_{count:04d}_{name}", spoilt, draw, out)
            count += 1
    return count


def _write_one(name: str, spoilt: Spoilt, draw: random.Random, out: Path) -> None:
    delimiter = draw.choice(spoilt.delimiters)
    lines = any("\n" in cell for row in spoilt.body for cell in row)
    end = draw.choice(["\n", "\r\n"] if lines else ["\n", "\n", "\r\n", "\r\n", "\r"])
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=delimiter,
        quoting=spoilt.quoting,
        quotechar=spoilt.quote,
        escapechar=spoilt.escape,
        doublequote=spoilt.escape is None,
        lineterminator=spoilt.tail.replace(",", delimiter) + end,
    )
    head = spoilt.head if spoilt.head is not None else [spoilt.names] if spoilt.names else []
    for row in [*spoilt.above, *head, *(spoilt.written or spoilt.body), *spoilt.below]:
        if isinstance(row, str):
            text.write(row.replace("\x1f", delimiter) + end)
        else:
            writer.writerow(row)
    width = len(spoilt.names or spoilt.body[0])
    given = {
        "delimiter": delimiter,
        "quotechar": spoilt.quote,
        "escapechar": spoilt.escape or spoilt.quote,
        "header_lines": max(len(head), int(bool(spoilt.names))),
        "preamble_lines": len(spoilt.above),
        "column_names": spoilt.names,
        "n_columns": width,
    }
    rows = [spoilt.names, *spoilt.body] if spoilt.names else spoilt.body
    keep(name, text.getvalue(), rows, given, draw=draw, out=out)


def _plain(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    return Spoilt(names=names, body=body, quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))


def _titles(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    lines = [
        ("Table 4: Persons by region and year",),
        ("Monthly report", "Period: January - March 2021", ""),
        ("Statistics office", "", "Last updated 14/03/2021", "Unit: thousands", ""),
        ("Query:\x1fall", f"Rows:\x1f{len(body)}", "Created:\x1f2021-03-14", ""),
        ("# made by a tool", "#", "# columns are described below"),
        ("Title\x1f" + "\x1f" * (len(names) - 2), "\x1f" * (len(names) - 1)),
        ('"A title that runs over', 'two lines"', ""),
    ]
    return Spoilt(names=names, body=body, above=draw.choice(lines))


def _notes(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    lines = [*draw.sample(_NOTES, draw.choice([1, 2]))]
    if draw.random() < 0.4:
        lines = [each + "\x1f" * (len(names) - 1) for each in lines]
    gap = [""] if draw.random() < 0.6 else []
    return Spoilt(names=names, body=body, below=(*gap, *lines))


def _total(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    row = [draw.choice(["Total", "TOTAL:", "Sum"]), *["99" for _ in names[1:-1]], ""]
    return Spoilt(names=names, body=body, below=("\x1f".join(row[: len(names) // 2]),))


def _groups(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    """A row of titles above the names, each over two columns; names alone say too little."""
    group = [""] + [f"Group {at // 2 + 1}" if at % 2 == 0 else "" for at in range(len(names) - 1)]
    under = [names[0]] + [("men", "women")[at % 2] for at in range(len(names) - 1)]
    spans = [group[0]] + [f"Group {at // 2 + 1}" for at in range(len(names) - 1)]
    joined = [f"{a} {b}".strip() for a, b in zip(spans, under, strict=True)]
    return Spoilt(names=joined, body=body, head=[group, under])


def _years(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    years = [names[0], *(str(2001 + at) for at in range(6))]
    rows = [[row[0], *(f"{draw.random() * 90:.1f}" for _ in range(6))] for row in body]
    return Spoilt(names=years, body=rows)


def _headless(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    return Spoilt(names=[], body=body)


def _numbered(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [[str(at), *row] for at, row in enumerate(body, draw.choice([0, 1]))]
    return Spoilt(names=["", *names], body=rows, quoting=draw.choice([0, csv.QUOTE_NONNUMERIC]))


def _trailing(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    return Spoilt(names=[*names, ""], body=[[*row, ""] for row in body])


def _short(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    """Empty cells at the end of some rows are not written."""
    cut = {at: draw.randint(2, len(names) - 1) for at in range(len(body)) if draw.random() < 0.3}
    rows = [
        [*row[: cut.get(at, 99)], *[""] * (len(row) - cut.get(at, 99))]
        for at, row in enumerate(body)
    ]
    return Spoilt(
        names=names, body=rows, written=[row[: cut.get(at, 99)] for at, row in enumerate(body)]
    )


def _gaps(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    lines: list[Sequence[str] | str] = []
    for row in body:
        lines.append(row)
        if draw.random() < 0.2:
            lines.append(draw.choice(["", "\x1f" * (len(names) - 1)]))
    return Spoilt(names=names, body=body, written=lines)


def _several(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    other = [f"Region{draw.choice('XYZ')}\x1fCount", *(f"area {at}\x1f{at * 7}" for at in range(5))]
    return Spoilt(
        names=names, body=body, below=("", *draw.choice([[], ["Second table", ""]]), *other)
    )


def _inner_quotes(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    """Quotes in unquoted cells, as nicknames and inches are written."""
    rows = [
        ['5" pipe ' + row[0] if draw.random() < 0.3 else f'the "{row[0]}" one', *row[1:]]
        for row in ([re.sub(r"[\t|\r\n]", " ", cell) for cell in row] for row in body)
    ]
    return Spoilt(
        names=names, body=rows, quoting=csv.QUOTE_NONE, quote="\x02", escape=None, delimiters="\t|"
    )


def _unescaped(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    """Every cell quoted, and quotes inside of them not doubled."""
    rows = [[f'{row[0]} "{row[0]}" x', *row[1:]] for row in body]
    lines = ["\x1f".join(f'"{cell}"' for cell in row) for row in [names, *rows]]
    return Spoilt(names=names, body=rows, head=[], written=lines)


def _backslash(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [[f'{row[0]} "x", y;', *row[1:]] for row in body]
    return Spoilt(names=names, body=rows, escape="\\", quoting=csv.QUOTE_ALL)


def _apostrophes(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [[f"{row[0]}, {row[-1]}; x", *row[1:]] for row in body]
    return Spoilt(names=names, body=rows, quote="'", quoting=csv.QUOTE_ALL, delimiters=",;")


def _lines_in_cells(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [[*row, draw.choice(["one\ntwo", "a, b\n\nc", "single"])] for row in body]
    return Spoilt(names=[*names, "Remarks"], body=rows)


def _decimal_comma(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [[*row, f"{draw.randint(0, 9999)},{draw.randint(0, 99):02d}"] for row in body]
    return Spoilt(names=[*names, "Betrag"], body=rows, delimiters=";;\t")


def _thousands(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [
        [*row, f"{draw.randint(0, 9_999_999):,}", f"${draw.randint(0, 9_999):,}.00"] for row in body
    ]
    return Spoilt(names=[*names, "Count", "Cost"], body=rows, delimiters=",")


def _spaced(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [["_".join(cell.split()) or "-" for cell in row] for row in body]
    return Spoilt(names=["_".join(name.split()) for name in names], body=rows, delimiters=" ")


def _one_column(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [
        [row[0] + draw.choice(["", "", "", "", "", " and more", ", x"])] for row in [*body, *body]
    ]
    return Spoilt(
        names=["Description"],
        body=rows,
        head=[],
        written=["Description", *(row[0] for row in rows)],
    )


def _one_row(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    return Spoilt(names=names, body=body[:1])


def _all_text(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    words = ["north", "south", "east", "west", "upper", "lower", "old", "new", "great"]
    rows = [[" ".join(draw.sample(words, draw.choice([1, 2, 3]))) for _ in names] for _ in body]
    return Spoilt(names=names, body=rows)


def _sparse(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    rows = [[row[0], *(cell if draw.random() < 0.4 else "" for cell in row[1:])] for row in body]
    return Spoilt(names=names, body=rows)


def _twice(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    return Spoilt(names=[*names, names[-1]], body=[[*row, row[-1]] for row in body])


def _commented(names: list[str], body: Rows, draw: random.Random) -> Spoilt:
    return replace(_plain(names, body, draw), above=("#" + "\x1f".join(names[:2]), "# v2"))


TROUBLES: dict[str, Trouble] = {
    trouble.__name__.strip("_"): trouble
    for trouble in (
        _plain, _titles, _notes, _total, _groups, _years, _headless, _numbered, _trailing, _short,
        _gaps, _several, _inner_quotes, _unescaped, _backslash, _apostrophes, _lines_in_cells,
        _decimal_comma, _thousands, _spaced, _one_column, _one_row, _all_text, _sparse, _twice,
        _commented,
    )
}  # fmt: skip
