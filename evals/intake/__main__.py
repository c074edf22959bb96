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

from evals.intake import dialects, encodings, pollock, preambles, rewritten, speed, wild, workbooks
from evals.intake.pollock import Result

#: Where the lists of files read wrong go.
WRONG = Path("out/evals-intake")
#: More kinds of trouble than this are single files.
MANY = 40
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
        peers = not options.no_peers
        folder = unpack("pollock_polluted/polluted_files", where) / "polluted_files"
        lines |= figures("pollock", report(folder, peers=peers))
        files = unpack("dialects_w3c/files", where)
        real = [files, unpack("demo_business/snipeit_sample_csvs", where)]
        real.append(unpack("demo_business/csv2ofx_exports", where))
        rewritten.write(real, where / "rewritten")
        lines |= figures("rewritten", report(where / "rewritten", peers=peers))
        wild.write(real, where / "wild")
        lines |= figures("wild", report(where / "wild", peers=peers))
        edges = unpack("csv_edge_cases/csv_edge_cases", where)
        books = unpack("xlsx_torture/calamine_tests", where)
        lines |= preamble_table([files, edges, books], where / "located")
        lines |= dialect_table(files)
        lines |= encoding_table(unpack("encodings/char_dataset", where))
        lines |= workbook_table([books, unpack("xlsx_torture/sheetjs_subset", where)])
        lines |= speed_table(where / "speed")
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
    shapes = pollock.shapes(results[0])
    if len(shapes) < MANY:
        print(f"\n{'shape':32}{'files':>6}{'mean':>8}{'perfect':>9}")
    for shape, (files, mean, perfect) in shapes.items() if len(shapes) < MANY else ():
        print(f"{shape:32}{files:6}{mean:8.3f}{perfect:9}")
    for kind, (files, bad) in pollock.calibration(results[0]).items():
        print(f"{kind:6}: {files} files, {bad} of them with a wrong cell or name")
    lines = pollock.wrong(results[0])
    out = WRONG / f"{folder.name}.txt"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(["Pollock sum, exact rows, file, what was noted", *lines, ""]))
    print(f"{len(lines)} files not perfect, worst first, in {out}; the worst:")
    print("\n".join(lines[:8]))
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


def preamble_table(folders: list[Path], work: Path) -> dict[str, float]:
    """The row of the names in real files that begin with something else."""
    work.mkdir()
    files, found = preambles.evaluate(folders, work)
    print(f"\npreambles: {len(files)} real files, row of the names found")
    for reader, wrong in found.items():
        told = ", ".join(f"{name} (row {row})" for name, row in list(wrong.items())[:4])
        print(f"{reader:18}{len(files) - len(wrong):4}  wrong: {told}")
    return {
        f"preambles_{reader.replace(' ', '_')}": len(files) - len(wrong)
        for reader, wrong in found.items()
    }


def speed_table(work: Path) -> dict[str, float]:
    """What detection costs at a million rows."""
    work.mkdir()
    detected, staged = speed.measure(work)
    share = detected / staged
    print(
        f"\na million rows: {staged:.2f} CPU s staged, {detected:.3f} of them ({share:.1%}) detection"
    )
    return {"staging_cpu_seconds": round(staged, 3), "detection_share": round(share, 4)}


def encoding_table(folder: Path) -> dict[str, float]:
    """Text decoded as the folder's encoding decodes it."""
    total, wrong = encodings.evaluate(folder)
    print(f"\nencodings: {total} files, text decoded identically")
    out = {}
    for detector, files in wrong.items():
        share = 1 - len(files) / total
        print(f"{detector:18}{share:8.3f}  wrong: {', '.join(files[:6])}")
        out[f"encodings_{detector.replace(' ', '_').replace('-', '_')}"] = round(share, 4)
    for kind, (files, bad) in encodings.calibration(folder).items():
        print(f"a few foreign words among plain rows, {kind}: {files} files, {bad} decoded wrongly")
        out |= {f"encodings_{kind}": files, f"encodings_{kind}_wrong": bad}
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
