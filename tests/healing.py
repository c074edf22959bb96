"""Runs a plan over small tables the way the pipeline does, in this process, for tests of healing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.binding import bind
from engine.drift import Drift, drifts
from engine.execute import execute
from engine.intake.source import Staged
from engine.outcome import Outcome
from engine.profile import profile
from engine.proposal import Repair
from engine.questions import heals
from engine.repair import BoundTable, repairs
from engine.trial import jobs_of, tried
from plans.changes import apply
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version, next_version


@dataclass(frozen=True, kw_only=True)
class Healed:
    """What one look at a table gave."""

    version: PlanVersion
    tables: tuple[BoundTable, ...]
    outcome: Outcome
    drifts: tuple[Drift, ...]
    repairs: tuple[Repair, ...]
    safe: tuple[Repair, ...]


def version_of(field: dict[str, Any], mapping: dict[str, Any], **template: Any) -> PlanVersion:
    """A plan of one sheet with a row number `n` and one field `x` fed from column "X"."""
    fields = [{"name": "n", "type": "integer", "required": True}, {"name": "x", **field}]
    columns = [{"field": "n", "from": "N"}, {"field": "x", "from": "X", **mapping}]
    return first_version(
        Plan.model_validate({"plan": "p", "sheets": [{"template": "things", "columns": columns}]}),
        (Template.model_validate({"template": "things", "fields": fields, **template}),),
    )


def look(version: PlanVersion, tables: Sequence[Staged], folder: Path) -> Healed:
    """Bind, run, look for repairs and try them."""
    sheet = version.plan.sheets[0]
    template = version.template(sheet.template)
    bound = []
    for at, staged in enumerate(tables):
        seen = profile(staged)
        binding = bind(sheet, template, staged.source, seen)
        bound.append(BoundTable(table=at, staged=staged, profile=seen, binding=binding))
    made = tuple(jobs_of(version, bound).values())
    (folder / "out").mkdir(parents=True, exist_ok=True)
    outcome = execute(made, folder=folder / "out", threads=2, write=False)
    found = repairs(version, bound, outcome)
    judged = tried(version, bound, found, folder=folder / "trial", threads=2)
    return Healed(
        version=version,
        tables=tuple(bound),
        outcome=outcome,
        drifts=tuple(d for each in bound for d in drifts(sheet, each.staged.source, each.binding)),
        repairs=judged,
        safe=heals(judged),
    )


def with_repairs(version: PlanVersion, made: Sequence[Repair]) -> PlanVersion:
    """The next version."""
    plan = apply(version.plan, *(change for each in made for change in each.changes))
    return next_version(version, plan)
