"""`python -m evals [FOLDER …]`: scores mapping and drift; `--fit` learns the shipped weights anew."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from engine.binding.pairs import FEATURES
from engine.binding.score import Model, shipped
from engine.llm import Child
from engine.mapping import DataMode, Models
from engine.settings import from_environment
from evals import drift, live
from evals.fit import Sample, fit
from evals.mapping import Figures, Guess, figures, guesses, left_out, sample
from evals.tasks import tasks

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
    parser.add_argument("--model", help="litellm's name of a model to ask about unsure columns")
    parser.add_argument("--tasks", type=int, default=1_000, help="at most so many with --model")
    chosen = parser.parse_args(arguments)
    if chosen.model:
        return _live(chosen.folders or sorted(OPEN.glob("map_*")), chosen.model, chosen.tasks)
    if chosen.folders:
        return _given(chosen.folders)
    if not OPEN.is_dir():
        say("../shared/data is not here; give a folder of task files")
        return 2
    return _open_suites(refit=chosen.fit, update=chosen.update)


def _given(folders: Sequence[Path]) -> int:
    """Score other task files, and drift events where there are some, with the shipped weights."""
    found = [task for folder in folders for task in tasks(folder)]
    told = guesses(found, lambda _: shipped())
    say(_score(told, title=f"shipped weights, {date.today()}"))
    happened = [event for folder in folders for event in drift.events(folder)]
    remapped = float("nan")
    if happened:
        known = drift.merged([drift.confirmed(folder) for folder in (OPEN, *folders)])
        weights = [shipped()] * drift.FOLDS
        remapped = drift.remapped(happened, weights, drift.dictionaries(known))
        say(f"drift: {sum(len(each.changed) for each in happened)} changed fields")
    for name, value in _figures(figures(told), remapped).items():
        say(f"{name}={value:.4f}")
    return 0


def _live(folders: Sequence[Path], name: str, most: int) -> int:
    """The same columns without and with the model; key and URL as the product takes them."""
    found = [task for folder in folders for task in tasks(folder)][:most]
    settings = from_environment({k: v for k, v in os.environ.items() if k.startswith("REKNIT_LLM")})
    with Child(settings.llm_key.get_secret_value()) as child:
        models = Models(names=(name,), send=child, url=settings.llm_url)
        mode = DataMode(settings.llm_mode)
        told, spent = live.asked(found, shipped(), models, mode=mode)
    say(_score(guesses(found, lambda _: shipped()), title="without the model"))
    say(_score(told, title=f"with {name}, mode {mode}, {date.today()}"))
    for key, value in asdict(spent).items():
        say(f"{key}={value}")
    return 0


def _open_suites(*, refit: bool, update: bool) -> int:
    found = [task for folder in sorted(OPEN.glob("map_*")) for task in tasks(folder)]
    happened = drift.events(OPEN)
    learned = drift.dictionaries(drift.confirmed(OPEN))
    of_drift = drift.samples(happened, learned, weight=EVENT)
    if refit:
        _write(fit([*(sample(task) for task in found), *of_drift]))
    model = left_out(found, of_drift)
    told = guesses(found, model)
    say(_score(told, title=f"left-out folds, no model, {date.today()}"))
    of_tasks: list[Sample] = [sample(task) for task in found]
    unseen = drift.models(happened, of_drift, of_tasks)
    with_memory = drift.remapped(happened, unseen, learned)
    without = drift.remapped(happened, unseen, None)
    say(
        f"drift: {sum(len(e.changed) for e in happened)} changed fields, without memory {without:.3f}"
    )
    return _conclude(_figures(figures(told), with_memory), update=update)


def _figures(told: Figures, remapped: float) -> dict[str, float]:
    return {
        "acc_at_1": told.acc_at_1,
        "auto_bound_at_95": told.bound,
        "precision": told.precision,
        "auto_applied_precision": told.applied,
        "false_positives": told.false_positives,
        "drift_remapped": remapped,
        "ece": told.ece,
    }


def _conclude(now: dict[str, float], *, update: bool) -> int:
    """Print the figures, hold them against the committed ones."""
    worse = []
    if RESULTS.exists() and not update:
        bar = json.loads(RESULTS.read_text())["no_model"]
        lower = {"false_positives", "ece"}
        worse = [k for k in bar if (now[k] - bar[k]) * (1 if k in lower else -1) > SLACK]
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


def _score(told: Sequence[Guess], *, title: str) -> str:
    lines = [title, _HEAD]
    for suite in sorted({each.suite for each in told}):
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
