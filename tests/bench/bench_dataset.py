"""How long upsert, undo and export of a sheet take: `python tests/bench/bench_dataset.py [1m|10m [tries]]`.

Every step runs in a process of its own and prints wall and CPU seconds and peak memory; ratios
are to the plain DuckDB step that moves the same rows. One figure a line, `name=value`.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from engine.dataset import Location, undo, upsert
from engine.export import Selection, Shape, write

SIZES = {"100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
PEOPLE = """
    SELECT 'user' || i || '@example.com' AS email, 'First' || (i % 5000) AS first_name,
    'Last' || (hash(i) % 90000) AS last_name, '+4930' || (1000000 + i % 9000000) AS phone,
    (hash(i * 7 + {salt}) % 1000000 / 100)::DECIMAL(18, 4) AS amount,
    DATE '2020-01-01' + (i % 2000)::INT AS joined,
    TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_seconds(i % 1000000) AS seen, i % 2 = 0 AS active,
    (i % 100)::BIGINT AS score, 'City' || (i % 3000) AS city, 'DE' AS country,
    'note ' || (hash(i + {salt})) AS note, 'in.csv' AS _file, (i - {low} + 1)::BIGINT AS _row
    FROM range({low}, {high}) t(i)
"""


def plain() -> duckdb.DuckDBPyConnection:
    """DuckDB as the peer: same threads, no other work."""
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("SET enable_progress_bar = false")
    return connection


def make_files(folder: Path, rows: int) -> None:
    """The table, 1M rows half of which are its last ones, and rows from all over it."""
    many = min(rows, 1_000_000)
    files = {"base": (0, rows, 1), "next": (rows - many // 2, rows + many // 2, 2)}
    for name, (low, high, salt) in files.items():
        made = PEOPLE.format(low=low, high=high, salt=salt)
        plain().execute(f"COPY ({made}) TO '{folder}/{name}.parquet' (FORMAT parquet)")
    for name, size in (("few", 2_000), ("scattered", many // 2)):
        plain().execute(
            f"COPY (SELECT * REPLACE ('new ' || note AS note) FROM '{folder}/base.parquet' "
            f"USING SAMPLE {size}) TO '{folder}/{name}.parquet' (FORMAT parquet)"
        )


def bring(folder: Path, name: str, run: str) -> None:
    upsert(
        Location(url=str(folder / "sheet")), [folder / name], identity=(("email",),), run=run,
        plan_version="1", scratch=folder / "scratch",
    )  # fmt: skip


def export(folder: Path) -> None:
    write(
        Location(url=str(folder / "sheet")), Selection(), to=folder / "out.csv", shape=Shape(),
        scratch=folder,
    )  # fmt: skip


def bare_csv(folder: Path) -> None:
    plain().execute(f"COPY (FROM '{folder}/base.parquet') TO '{folder}/bare.csv' (HEADER)")


def bare_parquet(folder: Path, name: str) -> None:
    plain().execute(f"COPY (FROM '{folder}/{name}') TO '{folder}/bare.parquet' (FORMAT parquet)")


STEPS: dict[str, Callable[[Path], None]] = {
    "bare_parquet_base": lambda folder: bare_parquet(folder, "base.parquet"),
    "bare_parquet_next": lambda folder: bare_parquet(folder, "next.parquet"),
    "bare_csv": bare_csv,
    "create": lambda folder: bring(folder, "base.parquet", "r1"),
    "upsert_2k": lambda folder: bring(folder, "few.parquet", "r2"),
    "upsert_next": lambda folder: bring(folder, "next.parquet", "r2"),
    "upsert_scattered": lambda folder: bring(folder, "scattered.parquet", "r2"),
    "upsert_unchanged": lambda folder: bring(folder, "base.parquet", "r2"),
    "undo": lambda folder: undo(
        Location(url=str(folder / "sheet")), "r2", undo_run="u", scratch=folder / "scratch"
    ) and None,
    "export_csv": export,
}  # fmt: skip


def measured(step: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--step", step, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def one_step(step: str, folder: Path) -> None:
    started, before = time.perf_counter(), cpu_seconds()
    STEPS[step](folder)
    told = {
        "wall": time.perf_counter() - started,
        "cpu": cpu_seconds() - before,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    sys.stdout.write(json.dumps(told))


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def best(step: str, folder: Path, *, fresh: Path | None, repeats: int = 3) -> dict[str, float]:
    """The quickest of several tries, each on the table as `fresh` has it; `undo` has one only."""
    tries = []
    for _ in range(repeats):
        if step != "undo":
            shutil.rmtree(folder / "sheet", ignore_errors=True)
            if fresh:
                shutil.copytree(fresh, folder / "sheet")
        tries.append(measured(step, folder))
        if step == "undo":
            break
    found = {
        "wall": min(each["wall"] for each in tries),
        "cpu": min(each["cpu"] for each in tries),
        "rss": max(each["rss"] for each in tries),
    }
    for unit, value in found.items():
        say(f"{step}_{unit}", value)
    return found


def say(name: str, value: float) -> None:
    sys.stdout.write(f"{name}={value:.2f}\n")
    sys.stdout.flush()


def main(rows: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory(prefix="reknit-bench-") as name:
        folder, kept = Path(name), Path(name) / "kept"
        # In a process of its own: a child's peak memory begins at its parent's.
        subprocess.run([sys.executable, __file__, "--make", name, str(rows)], check=True)
        base = best("bare_parquet_base", folder, fresh=None, repeats=repeats)
        same = best("bare_parquet_next", folder, fresh=None, repeats=repeats)
        create = best("create", folder, fresh=None, repeats=repeats)
        shutil.copytree(folder / "sheet", kept)
        ours = {
            step: best(step, folder, fresh=kept, repeats=repeats)
            for step in ("upsert_2k", "upsert_scattered", "upsert_next", "undo")
        }
        best("upsert_unchanged", folder, fresh=kept, repeats=repeats)
        csv, bare = (
            best("export_csv", folder, fresh=kept, repeats=repeats),
            best("bare_csv", folder, fresh=kept, repeats=repeats),
        )
        for unit in ("wall", "cpu"):
            say(f"create_per_bare_parquet_{unit}", create[unit] / base[unit])
            ratio = ours["upsert_next"][unit] / same[unit]
            say(f"upsert_next_per_bare_parquet_of_the_same_rows_{unit}", ratio)
            for step, found in ours.items():
                say(f"{step}_per_create_{unit}", found[unit] / create[unit])
            say(f"export_csv_per_bare_csv_{unit}", csv[unit] / bare[unit])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        one_step(sys.argv[2], Path(sys.argv[3]))
    elif sys.argv[1:2] == ["--make"]:
        make_files(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        size, repeats = (*sys.argv[1:], *("1m", "3")[len(sys.argv) - 1 :])
        main(SIZES[size.lower()], int(repeats))
