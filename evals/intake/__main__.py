"""`python -m evals.intake [FOLDER]`: scores intake and its peers; FOLDER has `csv/` and `clean/`.

Without a folder the open sets of `../shared/data` are scored. Ends with one `name=value` a line.
"""

# ruff: noqa: T201 - printing is what it is for

import argparse
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from evals.intake import dialects, encodings, pollock, workbooks
from evals.intake.pollock import Result

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m evals.intake", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="has csv/ and clean/")
    parser.add_argument("--no-peers", action="store_true", help="only Reknit")
    options = parser.parse_args()
    if options.folder is not None:
        say(figures("folder", report(options.folder, peers=not options.no_peers)))
        return 0
    if not DATA.exists():
        print(f"{DATA} is not there: nothing to score")
        return 1
    lines: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        folder = unpack("pollock_polluted/polluted_files", where) / "polluted_files"
        lines |= figures("pollock", report(folder, peers=not options.no_peers))
        lines |= dialect_table(unpack("dialects_w3c/files", where))
        lines |= encoding_table(unpack("encodings/char_dataset", where))
        lines |= workbook_table(
            [unpack(f"xlsx_torture/{name}", where) for name in ("calamine_tests", "sheetjs_subset")]
        )
    say(lines)
    return 0


def unpack(name: str, where: Path) -> Path:
    """Extract an archive of the shared data."""
    target = where / name.replace("/", "-")
    with tarfile.open(DATA / f"{name}.tar.xz") as opened:
        opened.extractall(target, filter="data")
    return target


def report(folder: Path, *, peers: bool) -> list[Result]:
    """Score a folder; print readers, shapes, and the files read wrong."""
    started = time.perf_counter()
    results = pollock.evaluate(folder, peers=peers)
    print(f"\n{folder.name}: {len(results[0].scores)} files, {time.perf_counter() - started:.0f} s")
    head = f"{'reader':18}{'simple':>9}{'weighted':>10}{'header':>8}{'record':>8}{'cell':>7}"
    print(f"{head}{'exact':>8}{'errors':>8}{'perfect':>9}")
    for each in results:
        errors = round(sum(1 - score.success for score in each.scores.values()))
        print(
            f"{each.reader:18}{each.simple:9.4f}{each.weighted:10.4f}{each.part('header'):8.3f}"
            f"{each.part('record'):8.3f}{each.part('cell'):7.3f}{each.part('exact'):8.3f}"
            f"{errors:8}{each.perfect:9}"
        )
    print(f"\n{'shape':32}{'files':>6}{'mean':>8}{'perfect':>9}")
    for shape, (files, mean, perfect) in pollock.shapes(results[0]).items():
        print(f"{shape:32}{files:6}{mean:8.3f}{perfect:9}")
    worst = sorted(results[0].scores.items(), key=lambda item: item[1].pollock)[:20]
    print(
        "\nlowest: " + ", ".join(f"{name} {s.pollock:.2f}" for name, s in worst if s.pollock < 10)
    )
    return results


def figures(name: str, results: list[Result]) -> dict[str, float]:
    """What a script reads."""
    out: dict[str, float] = {}
    for each in results:
        reader = each.reader.replace(" ", "_")
        out[f"{name}_{reader}_simple"] = round(each.simple, 4)
        out[f"{name}_{reader}_weighted"] = round(each.weighted, 4)
        out[f"{name}_{reader}_perfect"] = each.perfect
    return out


def dialect_table(root: Path) -> dict[str, float]:
    """Delimiter and quote of the W3C files."""
    truth = dialects.truths(DATA / "dialects_w3c" / "W3C-CSVW-dialect_annotations.txt")
    folder = next(root.rglob("addresses.csv")).parent
    truth = {name: pair for name, pair in truth.items() if (folder / name).exists()}
    print(f"\nW3C dialects: {len(truth)} files, delimiter and quote right")
    out = {}
    for sniffer, wrong in dialects.evaluate(folder, truth).items():
        share = 1 - len(wrong) / len(truth)
        print(f"{sniffer:18}{share:8.3f}  wrong: {', '.join(list(wrong)[:4])}")
        out[f"w3c_{sniffer.replace(' ', '_')}"] = round(share, 4)
    return out


def encoding_table(folder: Path) -> dict[str, float]:
    """Text decoded as the folder's encoding decodes it."""
    total, wrong = encodings.evaluate(folder)
    print(f"\nencodings: {total} files, text decoded identically")
    out = {}
    for detector, files in wrong.items():
        share = 1 - len(files) / total
        print(f"{detector:18}{share:8.3f}  wrong: {', '.join(files[:6])}")
        out[f"encodings_{detector.replace(' ', '_').replace('-', '_')}"] = round(share, 4)
    return out


def workbook_table(folders: list[Path]) -> dict[str, float]:
    """Workbooks opened, or refused with a code."""
    found = workbooks.evaluate(folders)
    print(f"\nworkbooks: {sum(found.values())} files")
    for outcome, count in found.most_common():
        print(f"{outcome:30}{count:5}")
    crashed = found.get("crashed", 0)
    return {
        "workbooks": sum(found.values()),
        "workbooks_read": found["read"],
        "workbooks_crashed": crashed,
    }


def say(lines: dict[str, float]) -> None:
    """One `name=value` a line."""
    print()
    for name, value in lines.items():
        print(f"{name}={value:g}")


sys.exit(main())
