"""What a sheet of a million cells takes: `python tests/bench/bench_workbook.py [rows]`, ten columns.

One figure a line, `name=value`: CPU seconds and peak memory of the child that reads it.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

import xlsxwriter

from engine import sandbox
from engine.intake import IntakeLimits, stage
from plans.plan import Read

COLUMNS = 10


def written(path: Path, rows: int) -> Path:
    """A sheet of numbers, dates as text and words that repeat."""
    with xlsxwriter.Workbook(path, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Data")
        sheet.write_row(0, 0, [f"column {n}" for n in range(COLUMNS)])
        for n in range(1, rows):
            cells = [n, n / 7, f"user{n}@example.org", "2024-02-29", f"city {n % 500}"]
            sheet.write_row(n, 0, [*cells, n % 2, n * 3, "open", "EUR", f"note {n}"])
    return path


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    used: list[sandbox.Usage] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = written(folder / "book.xlsx", rows)
        limits = sandbox.Limits(folder=folder, readable=(path,))
        work = partial(
            stage, path, name=path.name, folder=folder, read=Read(), limits=IntakeLimits()
        )
        (table,) = sandbox.call(work, limits=limits, usage=used.append)
    print(f"cells={rows * COLUMNS}\nrecords={table.records}")
    print(f"cpu_seconds={used[-1].cpu:.2f}\npeak_mib={used[-1].rss >> 20}")


if __name__ == "__main__":
    main()
