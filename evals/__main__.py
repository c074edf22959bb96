"""`python -m evals [FOLDER …]`: scores mapping, drift, values and whole imports, with and without a
model; `--fit` learns the shipped weights anew."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path

from engine.binding import SURE
from engine.binding.pairs import FEATURES
from engine.binding.score import NEAR, Model, Near, embedded, shipped
from engine.binding.vectors import installed, near
from engine.llm import Child, complete
from engine.mapping import Adviser, Budget, DataMode, Models
from engine.settings import from_environment
from evals import drift, held_out, live, tiny
from evals.attacker import obedient
from evals.cases import Cases, case_figures, cases, with_weights
from evals.fit import Sample, fit
from evals.mapping import Figures, Guess, figures, guesses, left_out, sample
from evals.recorded import FOLDER, Recorded
from evals.tasks import Task, tasks
from evals.values import Read, read_values

ROOT = Path(__file__).parent.parent
OPEN = ROOT.parent / "shared" / "data"
WEIGHTS = ROOT / "engine" / "binding" / "weights.json"
EMBEDDED = WEIGHTS.with_name("weights_embed.json")
RESULTS = ROOT / "evals" / "results.json"
#: One event has several columns and there are many events: together they count like the tasks.
EVENT = 0.15
#: A figure may be this much worse than the committed one.
SLACK = 0.01
LOWER_IS_BETTER = {"false_positives", "ece", "values_wrong", "planted_applied"}
#: A model of 135 million parameters on a busy machine: two calls a task, all the time it needs.
TINY = Budget(calls=2, prompt_tokens=40_000, output_tokens=1_000, cost=1.0, seconds=400.0)


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for and print `name=value` lines last."""
    parser = argparse.ArgumentParser(prog="evals", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="folders of task files")
    parser.add_argument("--fit", action="store_true", help="learn and write the shipped weights")
    parser.add_argument("--update", action="store_true", help="commit these results as the bar")
    parser.add_argument("--only", choices=("files", "cases"), help="suites of files, or cases")
    parser.add_argument("--held-out", action="store_true", help="each suite without what it taught")
    parser.add_argument("--embed", action="store_true", help="with the vectors of reknit[embed]")
    parser.add_argument("--model", help="litellm's name of a model to ask about unsure columns")
    parser.add_argument("--tiny", type=float, metavar="MINUTES", help="ask the small local model")
    chosen = parser.parse_args(arguments)
    folders = chosen.folders or [OPEN]
    if not all(folder.is_dir() for folder in folders):
        say(f"{', '.join(map(str, folders))} is not here; give a folder of task files")
        return 2
    if chosen.embed and not installed():
        say("the word vectors are not here: install reknit[embed]")
        return 2
    found = [task for folder in folders for task in _tasks(folder)]
    if chosen.tiny:
        return _tiny(found, minutes=chosen.tiny)
    name = chosen.model or (os.environ.get("LLM_LIVE") and os.environ.get("REKNIT_LLM_MODEL"))
    if name:
        return _live(found, name)
    if chosen.held_out:
        return _held_out(found, near=near if chosen.embed else None)
    if chosen.folders:
        return _given(folders, found, model=embedded() if chosen.embed else shipped())
    if chosen.embed:
        now = _by_name(found, refit=chosen.fit, near=near)
        now |= {"cases_right": case_figures(with_weights(embedded())).right}
        return _conclude(now, update=chosen.update, row="embed")
    now = {} if chosen.only == "files" else _cases()
    if chosen.only != "cases":
        now |= _open_suites(found, refit=chosen.fit)
    return _conclude(now, update=chosen.update, row="no_model")


def _tasks(folder: Path) -> list[Task]:
    """Of the open data only the mapping suites, which are many files deep in other folders."""
    inside = sorted(folder.glob("map_*")) if folder == OPEN else [folder]
    return [task for each in inside for task in tasks(each)]


def _given(folders: Sequence[Path], found: Sequence[Task], *, model: Model) -> int:
    """Score other task files, drift events and value pairs with the shipped weights."""
    told = guesses(found, lambda _: model)
    say(_score(told, title=f"shipped weights, {date.today()}"))
    happened = [event for folder in folders for event in drift.events(folder)]
    if not happened and (happened := drift.events(OPEN)):
        say("no drift events there: drift is of the open ones, which the shipped weights have seen")
    remapped = float("nan")
    if happened:
        known = drift.merged([drift.confirmed(folder) for folder in (OPEN, *folders)])
        weights = [model] * drift.FOLDS
        remapped = drift.remapped(happened, weights, drift.dictionaries(known))
        without = drift.remapped(happened, weights, None)
        changed = sum(len(each.changed) for each in happened)
        say(f"drift: {changed} changed fields, without memory {without:.3f}")
    values = [read_values(folder) for folder in folders]
    more = _values([each for told, _ in values for each in told], sum(n for _, n in values))
    _recorded(found)
    for name, value in {**more, **_figures(figures(told), remapped)}.items():
        say(f"{name}={value:.4f}")
    return 0


def _held_out(found: Sequence[Task], *, near: Near | None) -> int:
    """The same suites, each without what it taught."""

    def extra() -> list[Sample]:
        learned = drift.dictionaries(drift.confirmed(OPEN))
        return drift.samples(drift.events(OPEN), learned, weight=EVENT, near=near)

    say(
        _score(
            held_out.without_weights(found, extra, near=near), title="weights of the other suites"
        )
    )
    title = "weights of the other suites, lexicon without this suite's own words"
    say(_score(held_out.without_words(found, extra, near=near), title=title))
    return 0


def _live(found: Sequence[Task], name: str) -> int:
    """The same columns without and with the model; key and URL as the product takes them."""
    settings = from_environment({k: v for k, v in os.environ.items() if k.startswith("REKNIT_LLM")})
    with Child(settings.llm_key.get_secret_value()) as child:
        kept = Recorded(model=name, live=child)
        models = Models(names=(name,), send=kept, url=settings.llm_url)
        told, spent = live.asked(found, shipped(), models, mode=DataMode(settings.llm_mode))
    say(_score(guesses(found, lambda _: shipped()), title="without the model"))
    _with_model(name, told, spent)
    return 0


def _tiny(found: Sequence[Task], *, minutes: float) -> int:
    """The small local model over the suites, shortest questions first, until the time is over."""
    if gone := tiny.missing():
        say(f"the small model is not here: {gone}")
        return 2
    ordered = sorted(found, key=lambda task: len(task.columns) * len(task.fields))
    with tiny.watched() as strange, tiny.served() as url:
        kept = Recorded(model=tiny.NAME, live=partial(complete, key="none"))
        models = Models(names=(tiny.NAME,), send=kept, url=url)
        told, spent = live.asked(ordered, shipped(), models, budget=TINY, seconds=60 * minutes)
    _with_model(tiny.NAME, told, spent)
    say(f"unknown_hosts={len(strange)}")
    return 1 if strange else 0


def _recorded(found: Sequence[Task]) -> None:
    """Replies that real models gave before, in the place of these models."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        name = json.loads(path.read_text("utf-8").partition("\n")[0])["model"]
        kept = Recorded(model=name)
        models = Models(names=(name,), send=kept, pause=lambda _: None)
        told, spent = live.asked(found, shipped(), models, budget=TINY)
        _with_model(f"{name}, recorded {kept.dates}", told, spent)
        say(f"of these calls not recorded: {kept.missed}")


def _with_model(name: str, told: Sequence[Guess], spent: live.Spent) -> None:
    say(_score(told, title=f"with {name}"))
    say(", ".join(f"{key} {value}" for key, value in asdict(spent).items()))
    applied = [each for each in told if each.by_model and each.sure >= SURE]
    say(f"wrong_auto_applied={sum(not each.right for each in applied)}")


def _open_suites(found: Sequence[Task], *, refit: bool) -> dict[str, float]:
    by_name = _by_name(found, refit=refit, near=None)
    _recorded(found)
    attacker = Models(names=("openai/attacker",), send=obedient)
    _with_model("an obedient attacker", *live.asked(found, shipped(), attacker))
    values = _values(*read_values(OPEN / "values_tde"))
    return {**values, **by_name}


def _by_name(found: Sequence[Task], *, refit: bool, near: Near | None) -> dict[str, float]:
    """Mapping and drift, each by weights that have not seen what they are scored on."""
    happened = drift.events(OPEN)
    learned = drift.dictionaries(drift.confirmed(OPEN))
    of_drift = drift.samples(happened, learned, weight=EVENT, near=near)
    samples = [sample(task, near=near) for task in found]
    if refit:
        _write(fit([*samples, *of_drift], near=near))
    told = guesses(found, left_out(found, of_drift, near=near))
    say(_score(told, title=f"left-out folds, no model, {date.today()}"))
    unseen = drift.models(happened, of_drift, samples, near=near)
    with_memory = drift.remapped(happened, unseen, learned)
    without = drift.remapped(happened, unseen, None)
    changed = sum(len(each.changed) for each in happened)
    say(f"drift: {changed} changed fields, without memory {without:.3f}")
    return _figures(figures(told), with_memory)


def _values(told: Sequence[Read], left: int) -> dict[str, float]:
    """How well values are read, without anybody's help and with the right answer to one question."""
    if not told:
        return {}
    say(
        f"values: {len(told)} tasks of dates, phones and addresses; {left} of text and sums left out"
    )
    for kind in sorted({each.kind for each in told}):
        mine = [each for each in told if each.kind == kind]
        pairs, right, wrong, asked = (
            sum(getattr(each, name) for each in mine)
            for name in ("pairs", "right", "wrong", "right_asked")
        )
        say(f"  {kind:8}{pairs:6} pairs, right unasked {right}, wrong {wrong}, answered {asked}")
    pairs = sum(each.pairs for each in told)
    return {
        "values_right": sum(each.right for each in told) / pairs,
        "values_right_answered": sum(each.right_asked for each in told) / pairs,
        "values_wrong": sum(each.wrong for each in told) / pairs,
    }


def _cases() -> dict[str, float]:
    """Whole imports of the project's own cases, and wrong repairs planted into them."""
    models = Models(names=("openai/attacker",), send=obedient)
    done: Cases = cases(Adviser(models=models, mode=DataMode.SAMPLES, budget=Budget()))
    rows = {"no model": done.plain, "no model, remembered": done.remembered,
            "obedient attacker": done.attacked}  # fmt: skip
    for name, told in rows.items():
        say(
            f"cases, {name}: "
            + ", ".join(f"{k} {v}" for k, v in asdict(case_figures(told)).items())
        )
    all_planted = sum(done.planted.values())
    say(f"planted wrong repairs: {all_planted}, " + ", ".join(
        f"{name} {done.planted[name]}" for name in ("blocked", "flagged", "applied")))  # fmt: skip
    return {
        "cases_right": case_figures(done.plain).right,
        "cases_right_remembered": case_figures(done.remembered).right,
        "cases_right_attacked": case_figures(done.attacked).right,
        "planted_applied": done.planted["applied"] / max(all_planted, 1),
    }


def _figures(told: Figures, remapped: float) -> dict[str, float]:
    return {
        "precision": told.precision,
        "auto_applied_precision": told.applied,
        "acc_at_1": told.acc_at_1,
        "auto_bound_at_95": told.bound,
        "false_positives": told.false_positives,
        "drift_remapped": remapped,
        "ece": told.ece,
    }


def _conclude(now: Mapping[str, float], *, update: bool, row: str) -> int:
    """Print the figures, hold them against the committed ones."""
    results = json.loads(RESULTS.read_text())
    bar = results.get(row, {})
    worse = [
        key
        for key in bar.keys() & now.keys()
        if (now[key] - bar[key]) * (1 if key in LOWER_IS_BETTER else -1) > SLACK
    ]
    if update:
        worse = []
        rounded = bar | {key: round(value, 4) for key, value in now.items()}
        results |= {"date": str(date.today()), row: rounded}
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
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
    named = (*FEATURES, NEAR, "bias") if model.near else (*FEATURES, "bias")
    pair = dict(zip(named, (round(w, 4) for w in model.pair), strict=True))
    final = [round(w, 4) for w in model.final]
    about = "Learned by `python -m evals --fit` from the open mapping suites and drift events."
    text = json.dumps({"about": about, "date": str(date.today()), "pair": pair, "final": final})
    path = EMBEDDED if model.near else WEIGHTS
    path.write_text(text.replace("{", "{\n  ").replace(', "', ',\n  "') + "\n")


def say(text: str) -> None:
    """One line or table for a person or a script."""
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
