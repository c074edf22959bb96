"""Binds what the plan asks for to the columns that came, or abstains."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from engine.binding.bound import Binding, Bound, Pass
from engine.binding.learned import learn
from engine.binding.matching import match
from engine.binding.memory import Memory, Remembered, Scope, Trust, shape
from engine.binding.passes import PASSES, Claim, Task, Wanted
from engine.binding.score import Model
from engine.errors import CompileError
from engine.intake.source import Source
from engine.profile import Profile
from plans.plan import Column, SheetPlan
from plans.plan import Mapping as PlanMapping
from plans.template import Template
from plans.transforms import Boolean, ValueMap

__all__ = [
    "PASSES", "Binding", "Bound", "Memory", "Pass", "Remembered", "Scope", "Trust", "bind", "match",
    "shape",
]  # fmt: skip

#: Below this nothing is bound unasked: of what is weighed so high, .996 is right in the open suites'
#: left-out folds.
SURE = 0.98
#: What people confirmed elsewhere needs less: at .96 .998 of it is right on real drift.
LEAST = {Pass.REMEMBERED: 0.96}
#: How far a claim must be ahead of its rivals. A plan lists its aliases in order of preference,
#: and of two columns of one name the first is meant.
MARGINS = {
    Pass.NORMALISED: 0.001,
    Pass.ALIAS: 0.00005,
    Pass.FUZZY: 0.05,
    Pass.VALUES: 0.05,
}

Given = Mapping[str, int | str | Sequence[int | str]]


def bind(
    sheet: SheetPlan,
    template: Template,
    source: Source,
    profile: Profile,
    *,
    memory: Memory = (),
    given: Given | None = None,
    weights: Model | None = None,
) -> Binding:
    """Which column feeds which field. What is not sure is a candidate, never a binding."""
    told = _given(given or {}, template, source)
    wanted = _wanted(sheet, template, told)
    mapped = [mapping.field for mapping in sheet.mappings]
    task = Task(
        template=template.template,
        source=source,
        profile=profile,
        memory=memory,
        given=told,
        learned=learn(memory, template=template.template) if memory else None,
        weights=weights,
        unmapped=tuple(each for each in template.fields if each.name not in mapped),
    )
    taken, doubts = _claims(task, wanted)
    fields = list(dict.fromkeys(feed[0] for each in wanted for feed in each.feeds))
    slots = {feed: taken[each] for each in wanted if each in taken for feed in each.feeds}
    bounds = tuple(b for field in fields if (b := _bound(field, slots, wanted, doubts)))
    found = {each.field for each in bounds}
    used = {column for each in bounds for column in each.columns}
    return Binding(
        sheet=sheet.name,
        bounds=bounds,
        missing=tuple(field for field in fields if field not in found),
        extra=tuple(at for at in range(len(source.columns)) if at not in used),
        candidates=_candidates(doubts, found, used),
    )


def _claims(task: Task, wanted: tuple[Wanted, ...]) -> tuple[dict[Wanted, Claim], list[Claim]]:
    """The claims that stand, and those that were too weak or too close to call."""
    taken: dict[Wanted, Claim] = {}
    doubts: list[Claim] = []
    contested: set[Wanted] = set()
    free = set(range(len(task.source.columns)))
    for finder in PASSES:
        left = [each for each in wanted if each not in taken]
        if not left:
            break
        claims = finder(task, left, free)
        for claim in sorted(claims, key=lambda each: (-each.score, each.column)):
            shared = claim.by is Pass.GIVEN
            if claim.wanted in taken or not (shared or claim.column in free):
                continue
            close = claim.score - _rival(claim, claims, free) < MARGINS.get(claim.by, 0.0)
            torn = claim.wanted in contested and claim.by is not Pass.REMEMBERED
            sure = claim.score >= LEAST.get(claim.by, SURE)
            if not sure or close or torn:
                doubts.append(claim)
                if sure:
                    # Two columns of one meaning: no later, weaker look settles that.
                    contested.add(claim.wanted)
                continue
            taken[claim.wanted] = claim
            free.discard(claim.column)
    return taken, doubts


def _rival(claim: Claim, claims: Iterable[Claim], free: Collection[int]) -> float:
    """The best other claim for the same thing or the same column."""
    return max(
        (
            each.score
            for each in claims
            if each is not claim
            and each.column in free
            and (each.wanted is claim.wanted) != (each.column == claim.column)
        ),
        default=0.0,
    )


def _bound(
    field: str,
    slots: Mapping[tuple[str, int], Claim],
    wanted: Iterable[Wanted],
    doubts: Iterable[Claim],
) -> Bound | None:
    places = [place for each in wanted for name, place in each.feeds if name == field]
    claims = [slots.get((field, place)) for place in sorted(places)]
    sure = [claim for claim in claims if claim is not None]
    if len(sure) != len(claims):
        return None
    weakest = min(sure, key=lambda each: each.score)
    others = [d for d in doubts if d.wanted is weakest.wanted and d.column != weakest.column]
    second = max(others, key=lambda each: each.score, default=None)
    return Bound(
        field=field,
        columns=tuple(claim.column for claim in sure),
        by=weakest.by,
        score=weakest.score,
        evidence="; ".join(dict.fromkeys(claim.evidence for claim in sure)),
        runner_up=(second.column, second.score) if second else None,
    )


def _candidates(
    doubts: Iterable[Claim], found: Collection[str], used: Collection[int]
) -> tuple[Bound, ...]:
    """Open claims, the best one for each field and column, likeliest first."""
    best: dict[tuple[str, int], Bound] = {}
    for claim in sorted(doubts, key=lambda each: -each.score):
        for field, _ in claim.wanted.feeds:
            if field not in found and claim.column not in used:
                bound = Bound(
                    field=field,
                    columns=(claim.column,),
                    by=claim.by,
                    score=claim.score,
                    evidence=claim.evidence,
                )
                best.setdefault((field, claim.column), bound)
    return tuple(sorted(best.values(), key=lambda each: -each.score))


def _wanted(
    sheet: SheetPlan, template: Template, given: Mapping[tuple[str, int], int]
) -> tuple[Wanted, ...]:
    """Every column asked for, once; fields of one column share it."""
    feeds: dict[tuple[str | None, int | None], list[tuple[Column, str, int]]] = {}
    for mapping in sheet.mappings:
        for place, column in enumerate(mapping.columns):
            if not any(field == mapping.field for field, _ in given):
                key = (column.header, column.position)
                feeds.setdefault(key, []).append((column, mapping.field, place))
    told = [
        Wanted(column=Column(position=at), feeds=(feed,), fields=(template.field(feed[0]),))
        for feed, at in given.items()
    ]
    asked = [
        Wanted(
            column=_merged([column for column, _, _ in each]),
            feeds=tuple((field, place) for _, field, place in each),
            fields=tuple(template.field(field) for _, field, _ in each),
            words=_words(sheet.mapping(each[0][1])),
        )
        for each in feeds.values()
    ]
    return (*told, *asked)


def _words(mapping: PlanMapping | None) -> tuple[str, ...]:
    """The values a mapping has a meaning for: what it maps, and its words for yes and no."""
    told: list[str] = []
    for each in mapping.transforms if mapping else ():
        if isinstance(each, ValueMap):
            told += each.values
        if isinstance(each, Boolean):
            told += (*each.true, *each.false)
    return tuple(told)


def _merged(columns: Sequence[Column]) -> Column:
    """One column that goes by every alias its mappings know."""
    aliases = dict.fromkeys(alias for column in columns for alias in column.aliases)
    first = columns[0]
    return Column(header=first.header, aliases=tuple(aliases), position=first.position)


def _given(given: Given, template: Template, source: Source) -> dict[tuple[str, int], int]:
    """(field, place) → column; CompileError for a field or column that is not there."""
    told = {}
    for field, value in given.items():
        if field not in {each.name for each in template.fields}:
            raise CompileError(f"mapping: template {template.template!r} has no field {field!r}")
        columns = [value] if isinstance(value, (int, str)) else list(value)
        for place, column in enumerate(columns):
            told[(field, place)] = _place(column, field, source)
    return told


def _place(column: int | str, field: str, source: Source) -> int:
    if isinstance(column, int) and 0 <= column < len(source.columns):
        return column
    if isinstance(column, str) and column in source.columns:
        return source.columns.index(column)
    have = ", ".join(repr(each) for each in source.columns[:20])
    raise CompileError(
        f"mapping: field {field!r} asks for column {column!r}, but {source.file} has: {have}"
    )
