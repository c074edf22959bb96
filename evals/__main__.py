"""`python -m evals [FOLDER …]`: scores mapping and drift; `--fit` learns the shipped weights anew."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from engine.binding.pairs import FEATURES
from engine.binding.score import Model, shipped
from evals import drift
from evals.fit import Sample, fit
from evals.mapping import Figures, Guess, figures, guesses, left_out, sample
from evals.tasks import Task, tasks

ROOT = Path(__file__).parent.parent
OPEN = ROOT.parent / "shared" / "data"
WEIGHTS = ROOT / "engine" / "binding" / "weights.json"
RESULTS = ROOT / "evals" / "results.json"
#: One event has several columns and there are many events: together they count like the tasks.
EVENT = 0.15
#: A figure may be this much worse than the committed one.
SLACK = 0.01


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for and print `name=value` lines last."""
    parser = argparse.ArgumentParser(prog="evals", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of task files")
    parser.add_argument("--fit", action="store_true", help="learn and write the shipped weights")
    parser.add_argument("--update", action="store_true", help="commit these results as the bar")
    chosen = parser.parse_args(arguments)
    if chosen.folders:
        found = [task for folder in chosen.folders for task in tasks(folder)]
        say(_score(found, lambda task: shipped(), title="shipped weights"))
        return 0
    if not OPEN.is_dir():
        say("../shared/data is not here; give a folder of task files")
        return 2
    return _open_suites(refit=chosen.fit, update=chosen.update)


def _open_suites(*, refit: bool, update: bool) -> int:
    found = [task for folder in sorted(OPEN.glob("map_*")) for task in tasks(folder)]
    happened = drift.events(OPEN)
    learned = drift.dictionaries(drift.confirmed(OPEN))
    of_drift = drift.samples(happened, learned, weight=EVENT)
    if refit:
        _write(fit([*(sample(task) for task in found), *of_drift]))
    model = left_out(found, of_drift)
    say(_score(found, model, title=f"left-out folds, no model, {date.today()}"))
    of_tasks: list[Sample] = [sample(task) for task in found]
    unseen = drift.models(happened, of_drift, of_tasks)
    with_memory = drift.remapped(happened, unseen, learned)
    without = drift.remapped(happened, unseen, None)
    say(
        f"drift: {sum(len(e.changed) for e in happened)} changed fields, without memory {without:.3f}"
    )
    return _conclude(figures(guesses(found, model)), with_memory, update=update)


def _conclude(told: Figures, remapped: float, *, update: bool) -> int:
    """Print the figures, hold them against the committed ones."""
    now = {
        "acc_at_1": told.acc_at_1,
        "auto_bound_at_95": told.bound,
        "precision": told.precision,
        "false_positives": told.false_positives,
        "drift_remapped": remapped,
        "ece": told.ece,
    }
    worse = []
    if RESULTS.exists() and not update:
        bar = json.loads(RESULTS.read_text())["no_model"]
        lower = {"false_positives", "ece"}
        worse = [k for k in now if (now[k] - bar[k]) * (1 if k in lower else -1) > SLACK]
    if update:
        rounded = {key: round(value, 4) for key, value in now.items()}
        RESULTS.write_text(
            json.dumps({"date": str(date.today()), "no_model": rounded}, indent=2) + "\n"
        )
    for key in worse:
        say(f"worse than committed: {key}")
    for key, value in now.items():
        say(f"{key}={value:.4f}")
    return 1 if worse else 0


def _score(found: Sequence[Task], model: object, *, title: str) -> str:
    told = guesses(found, model)  # type: ignore[arg-type]
    lines = [title, _HEAD]
    for suite in sorted({task.suite for task in found}):
        lines.append(_row(suite, [each for each in told if each.suite == suite]))
    return "\n".join([*lines, _row("all", told)])


_HEAD = (
    f"{'suite':24}{'matched':>8}{'unmatched':>10}{'acc@1':>8}{'MRR':>8}{'F1':>8}"
    f"{'bound':>8}{'prec.':>8}{'FP':>8}{'ECE':>8}"
)


def _row(name: str, told: Sequence[Guess]) -> str:
    f = figures(told)
    return (
        f"{name:24}{f.matched:8}{f.columns - f.matched:10}{f.acc_at_1:8.3f}{f.mrr:8.3f}{f.f1:8.3f}"
        f"{f.bound:8.3f}{f.precision:8.3f}{f.false_positives:8.3f}{f.ece:8.3f}"
    )


def _write(model: Model) -> None:
    pair = dict(zip((*FEATURES, "bias"), (round(w, 4) for w in model.pair), strict=True))
    final = [round(w, 4) for w in model.final]
    about = "Learned by `python -m evals --fit` from the open mapping suites and drift events."
    text = json.dumps({"about": about, "date": str(date.today()), "pair": pair, "final": final})
    WEIGHTS.write_text(text.replace("{", "{\n  ").replace(', "', ',\n  "') + "\n")


def say(text: str) -> None:
    """One line or table for a person or a script."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
