"""Delimiter and quote against an annotated truth file (`name|encoding|delimiter|quote|escape|end`)."""

import csv
import warnings
from collections.abc import Callable
from pathlib import Path

import clevercsv
import duckdb

from engine.intake import dialect, encoding
from plans.plan import Read

_NAMES = {
    "comma": ",", "semicolon": ";", "tab": "\t", "vslash": "|", "pipe": "|", "space": " ",
    "colon": ":", "caret": "^", "tilde": "~", "hash": "#", "doublequote": '"',
    "singlequote": "'", "none": "", "": "",
}  # fmt: skip
Pair = tuple[str, str]


def truths(path: Path) -> dict[str, Pair]:
    """Delimiter and quote of each annotated file."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    out = {}
    for line in lines[1:]:
        cells = line.split("|")
        out[cells[0]] = (_NAMES.get(cells[2], cells[2]), _NAMES.get(cells[3], cells[3]))
    return out


def ours(path: Path) -> Pair:
    """The dialect intake would use."""
    head = path.read_bytes()[: 1 << 20]
    found = encoding.detect(head, whole=True, given=None)
    used = dialect.detect(encoding.decode(head[found.skip :], found.name)[0], Read()).dialect
    return used.delimiter, used.quote


def duckdb_sniffed(path: Path) -> Pair:
    """DuckDB's `sniff_csv`."""
    with duckdb.connect() as connection:
        row = connection.execute(
            "select Delimiter, Quote from sniff_csv(?)", [str(path)]
        ).fetchone()
    delimiter, quote = row or ("", "")
    return delimiter, "" if quote in ("\0", "(empty)") else quote


def clever_sniffed(path: Path) -> Pair:
    """CleverCSV's `detect_dialect`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = clevercsv.detect_dialect(str(path))
    return (found.delimiter, found.quotechar) if found else ("", "")


def standard_sniffed(path: Path) -> Pair:
    """Python's `csv.Sniffer`."""
    found = csv.Sniffer().sniff(path.read_text(errors="replace")[: 1 << 16])
    return found.delimiter, found.quotechar or ""


SNIFFERS: dict[str, Callable[[Path], Pair]] = {
    "reknit": ours,
    "duckdb sniff_csv": duckdb_sniffed,
    "clevercsv": clever_sniffed,
    "csv.Sniffer": standard_sniffed,
}


def evaluate(folder: Path, truth: dict[str, Pair]) -> dict[str, dict[str, tuple[Pair, Pair]]]:
    """By sniffer, the files it got wrong: (truth, found). A quote the file does not use is no matter."""
    wrong: dict[str, dict[str, tuple[Pair, Pair]]] = {}
    for sniffer, sniff in SNIFFERS.items():
        wrong[sniffer] = {}
        for name, expected in truth.items():
            try:
                found = sniff(folder / name)
            except Exception:  # noqa: BLE001 - a sniffer that fails is wrong
                found = ("", "")
            if not same(folder / name, expected, found):
                wrong[sniffer][name] = (expected, found)
    return wrong


def same(path: Path, expected: Pair, found: Pair) -> bool:
    """Equal where it makes a difference: quotes only if the file holds one of the two."""
    data = path.read_bytes()
    used = [quote for quote in (expected[1], found[1]) if quote and quote.encode() in data]
    delimiter = found[0].strip() or found[0]
    return delimiter == expected[0] and (not used or expected[1] == found[1])
