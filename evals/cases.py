"""Scores whole imports: every file of every case of fixtures/ under the case's first plan."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.binding import Memory, Remembered, Scope, Trust, shape
from engine.binding.score import Model
from engine.mapping import Adviser
from engine.pipeline import Attempt, attempt
from engine.tables import Box, InputFile, Tables, read
from evals.planted import planted
from plans.plan import Read
from tests.cases import CASES, expected, files, version


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How one file of a case ended without anybody's help, beside how it should."""

    case: str
    step: str
    right: bool  #: status and every count are as the case says
    read: int
    valid: int
    questions: int
    heals: int
    by_model: int  #: heals that a model said: never any
    calls: int
    tokens: int
    cost: float


@dataclass(frozen=True, kw_only=True)
class CaseFigures:
    """What the files of all cases come to."""

    files: int
    right: float
    valid: float  #: share of the rows that are valid before anybody is asked
    questions: int
    heals: int
    by_model: int
    calls: int
    tokens: int
    cost: float


@dataclass(kw_only=True)
class Cases:
    """Every file's end without memory, with what another company confirmed, and with a bad model."""

    plain: list[Ended] = field(default_factory=list)
    remembered: list[Ended] = field(default_factory=list)
    attacked: list[Ended] = field(default_factory=list)
    planted: Counter[str] = field(default_factory=Counter)


def cases(attacker: Adviser) -> Cases:
    """Run them all."""
    found = Cases()
    for case in CASES:
        with TemporaryDirectory() as folder:
            _case(found, case, Path(folder), attacker)
    return found


def with_weights(weights: Model) -> list[Ended]:
    """How they end when columns are matched by these weights."""
    found = []
    for case in CASES:
        with TemporaryDirectory() as folder:
            for step, box, tables in _steps(case, Path(folder)):
                made = attempt(version(case), tables, box=box, weights=weights)
                found.append(_ended(case, step, made))
    return found


def case_figures(told: Sequence[Ended]) -> CaseFigures:
    """Add them up."""
    return CaseFigures(
        files=len(told),
        right=sum(each.right for each in told) / max(len(told), 1),
        valid=sum(each.valid for each in told) / max(sum(each.read for each in told), 1),
        questions=sum(each.questions for each in told),
        heals=sum(each.heals for each in told),
        by_model=sum(each.by_model for each in told),
        calls=sum(each.calls for each in told),
        tokens=sum(each.tokens for each in told),
        cost=sum(each.cost for each in told),
    )


def _case(found: Cases, case: str, folder: Path, attacker: Adviser) -> None:
    plan = version(case)
    for number, (step, box, tables) in enumerate(_steps(case, folder)):
        made = attempt(plan, tables, box=box)
        again = attempt(plan, tables, box=box, memory=_confirmed(made))
        attacked = attempt(plan, tables, box=box, adviser=attacker)
        for told, ended in ((found.plain, made), (found.remembered, again),
                            (found.attacked, attacked)):  # fmt: skip
            told.append(_ended(case, step, ended))
        if number == 0:
            bound = [each.bound for each in made.inputs]
            found.planted += planted(plan, bound, folder=box.folder / "planted")


def _steps(case: str, folder: Path) -> Iterator[tuple[str, Box, Tables]]:
    """Every file of the case as it is read under the case's plan."""
    for step in expected(case).steps:
        paths = files(case, step)
        box = Box(folder=folder / step, readable=paths)
        box.folder.mkdir()
        inputs = [InputFile(name=path.name, path=path) for path in paths]
        yield step, box, read(inputs, plan=version(case).plan, given=Read(), box=box)


def _ended(case: str, step: str, made: Attempt) -> Ended:
    end = expected(case).steps[step]
    counted = {
        each.sheet: (rows.read, rows.valid, rows.invalid, rows.duplicate, rows.skipped)
        for each in made.outcome.sheets
        for rows in [each.accounting]
    }
    exchanges = made.advice.exchanges if made.advice else ()
    heals = (*made.healed, *made.approved)
    return Ended(
        case=case,
        step=step,
        right=counted == dict(end.sheets) and made.status == end.status,
        read=made.outcome.accounting.read,
        valid=made.outcome.accounting.valid,
        questions=len(made.proposal.questions) if made.proposal else 0,
        heals=len(heals),
        by_model=sum(each.by == "model" for each in heals),
        calls=sum(bool(each.prompt) for each in exchanges),
        tokens=sum(each.prompt_tokens + each.output_tokens for each in exchanges),
        cost=sum(each.cost or 0.0 for each in exchanges),
    )


def _confirmed(made: Attempt) -> Memory:
    """What another company of the source confirmed for the very same headers."""
    return tuple(
        Remembered(
            template=made.version.plan.sheet(each.bound.binding.sheet).template,
            field=bound.field,
            headers=tuple(each.bound.staged.source.columns[at] for at in bound.columns),
            shape=shape(each.bound.staged.source),
            scope=Scope.SOURCE,
            trust=Trust.APPROVED,
        )
        for each in made.inputs
        for bound in each.bound.binding.bounds
    )
