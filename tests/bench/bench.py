"""`make bench SIZE=1m`: the whole import against the floor, and validation against its peers.

Every step runs in a child process of its own; times are CPU seconds, since the machine may be
shared. The floor is what nobody can do without: parse each cell as text and write Parquet.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import bench_data
import bench_peers
import bench_steps

from engine import sandbox
from engine.intake import IntakeLimits, Staged, stage
from engine.outcome import Outcome
from plans.plan import Read

THREADS = 2


class Meter:
    """Runs steps in sandbox children and keeps what each spent."""

    def __init__(self, folder: Path, readable: tuple[Path, ...]) -> None:
        self.limits = partial(
            sandbox.Limits, folder=folder, readable=readable, memory=6 << 30, seconds=7_200.0
        )
        self.spent: dict[str, sandbox.Usage] = {}

    def __call__(
        self, name: str, work: Callable[..., Any], *args: Any, threads: int = THREADS
    ) -> Any:
        found: list[sandbox.Usage] = []
        limits = self.limits(threads=threads)
        answer = sandbox.call(work, *args, limits=limits, usage=found.append)
        self.spent[name] = found[0]
        cpu, rss = found[0].cpu, found[0].rss >> 20
        print(f"  {name:<28} {cpu:8.2f} CPU s  {rss:6} MiB", flush=True)
        return answer

    def cpu(self, *names: str) -> float:
        return sum(self.spent[name].cpu for name in names)


def main() -> None:
    """Measure one size and print the figures, one `name=value` a line at the end."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("size", choices=bench_data.SIZES)
    options.add_argument("--folder", type=Path, default=Path("/tmp/reknit-bench"))
    options.add_argument("--peers", type=Path, help="python of an environment with the bench extra")
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rows = bench_data.SIZES[given.size]
    table, users, bad = bench_data.write(given.folder, rows)
    print(f"{rows} rows x 15 columns, {table.stat().st_size >> 20} MiB, {bad} bad cells")
    figures = imported(given.folder, table, users, bad=bad, rows=rows)
    if given.peers:
        ours = rows / figures["validate_cpu"]
        staged = f"of them {figures['staging_cpu']:.2f} CPU s to prove, hash and count the file"
        print(f"  {'validation':<28} {'rows/CPU s':>12}  bad cells")
        print(f"  {'reknit':<28} {ours:>12.0f}  {bad}; {staged}")
        figures |= peers(given.peers, table, users, bad=bad, rows=rows, ours=ours)
    for name, value in figures.items():
        print(f"{name}={value:.2f}")


def imported(folder: Path, table: Path, users: Path, *, bad: int, rows: int) -> dict[str, float]:
    """The floor, the first run, the re-run and validation alone; stops where a count is wrong."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    meter = Meter(work, (table, users))
    floors = []
    for number in (1, 2):
        assert meter(f"floor {number}", bench_steps.floor, table, work) == rows
        floors.append(meter.cpu(f"floor {number}"))
    take = partial(stage, folder=work, read=Read(), limits=IntakeLimits())
    tables: tuple[Staged, ...] = meter("stage users", partial(take, users, name="users.csv"))
    tables += meter("stage", partial(take, table, name="companies.csv"))
    jobs = meter("profile, bind, compile", bench_steps.bound, tables)
    judge = partial(bench_steps.judged, jobs)
    outcome = meter("execute and report", partial(judge, work / "first", write=True))
    checked(outcome, rows, bad)
    revised = meter("compile anew", bench_steps.revised, tables, jobs)
    meter(
        "execute and report anew", partial(bench_steps.judged, revised, work / "again", write=True)
    )
    checked(meter("validate", partial(judge, work / "validated", write=False)), rows, bad)
    texts = bench_steps.as_text(tables, jobs)
    told = meter("validate as the peers do", partial(bench_steps.judged, texts, work / "text", write=False))  # fmt: skip
    checked(told, rows, bad)
    for threads in (1, 4) if rows <= 1_000_000 else ():
        name = f"validate, {threads} threads"
        checked(meter(name, partial(judge, work / name, write=False, threads=threads), threads=threads), rows, bad)  # fmt: skip
    whole = meter.cpu("stage users", "stage", "execute and report")
    first = whole + meter.cpu("profile, bind, compile")
    again = meter.cpu("compile anew", "execute and report anew")
    ours = [usage.rss for name, usage in meter.spent.items() if not name.startswith("floor")]
    return {
        "rows": float(rows),
        "floor_cpu_s": min(floors),
        "whole_import_cpu_s": whole,
        "whole_import_cpu_ratio": whole / min(floors),
        "with_profile_and_binding_cpu_ratio": first / min(floors),
        "rerun_ratio": again / first,
        "rss_mib": max(ours) / (1 << 20),
        "validate_cpu": meter.cpu("stage", "validate as the peers do"),
        "staging_cpu": meter.cpu("stage"),
    }


def checked(outcome: Outcome, rows: int, bad: int) -> None:
    """Every bad cell found, none too many, each at its row."""
    sheet = outcome.sheets[1]
    found = (sheet.accounting.read, sheet.cells, bench_steps.misplaced(outcome))
    if found != (rows, bad, 0):
        sys.exit(f"wrong result: {found} rows, bad cells, misplaced; expected {(rows, bad, 0)}")


def peers(
    python: Path, table: Path, users: Path, *, bad: int, rows: int, ours: float
) -> dict[str, float]:
    """Ours ÷ peer in rows a CPU second: validation with a row number for every bad cell."""
    figures = {}
    for name in bench_peers.PEERS:
        command = [str(python), str(Path(bench_peers.__file__)), name, str(table), str(users)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **QUIET}
        )
        try:
            told = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
            print(f"  {name:<28} skipped: {reason[:150]}")
            continue
        speed, differs = rows / told["cpu"], "" if told["bad"] == bad else " (differs)"
        without = bench_peers.MODULES[name][1]
        print(f"  {name:<28} {speed:>12.0f}  {told['bad']}{differs}; {without}")
        figures[f"peer_{name}"] = ours / speed
    return figures


#: Peers must not call home.
QUIET = {"GX_ANALYTICS_ENABLED": "false", "POLARS_MAX_THREADS": str(THREADS)}


if __name__ == "__main__":
    main()
