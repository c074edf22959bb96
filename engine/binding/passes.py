"""The passes, cheapest first: each claims columns for what earlier ones left open."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from engine.binding.bound import Pass
from engine.binding.fit import TELLING, fit, known
from engine.binding.learned import Learned, support
from engine.binding.memory import Memory, shape
from engine.binding.pairs import Side, in_company
from engine.binding.positions import displaced
from engine.binding.score import Model, scores
from engine.binding.words import concepts, normalised
from engine.intake.source import Source
from engine.profile import Profile
from plans.plan import Column
from plans.template import TemplateField


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """One incoming column the plan asks for, and every (field, place in its mapping) it feeds."""

    column: Column
    feeds: tuple[tuple[str, int], ...]
    fields: tuple[TemplateField, ...]
    words: tuple[str, ...] = ()  #: values the plan's own transforms know how to read

    @property
    def known(self) -> tuple[str, ...]:
        """Names the plan and the template know it by, the plan's own first."""
        if len(self.feeds) > 1 or self.feeds[0][1]:
            return self.column.names
        field = self.fields[0]
        return (*self.column.names, *names(field))


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One pass's say: this column feeds that."""

    wanted: Wanted
    column: int
    by: Pass
    score: float
    evidence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Everything the passes may look at."""

    template: str
    source: Source
    profile: Profile
    memory: Memory
    given: Mapping[tuple[str, int], int]
    learned: Learned | None = None
    unmapped: tuple[TemplateField, ...] = ()  #: fields of the template that nothing feeds
    weights: Model | None = None  #: the shipped ones, unless told otherwise

    def header(self, column: int) -> str:
        """The column's header as it stands."""
        return self.source.columns[column]


#: A weaker claim is not even worth asking about.
WORTH = 0.2

Claims = list[Claim]
Finder = Callable[[Task, Collection[Wanted], Collection[int]], Claims]


def names(field: TemplateField) -> tuple[str, ...]:
    """What the template calls the field."""
    return tuple(each for each in (field.title, field.name, *field.synonyms) if each)


def given(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """What the call said."""
    told = "the call said so"
    return [
        Claim(wanted=each, column=task.given[feed], by=Pass.GIVEN, score=1.0, evidence=told)
        for each in wanted
        for feed in each.feeds[:1]
        if feed in task.given
    ]


def remembered(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """What a confirmed run did with a file of this very shape, where the plan's header is gone."""
    seen = shape(task.source)
    same = [m for m in task.memory if m.shape == seen and m.template == task.template]
    claims = []
    for each in wanted:
        field, place = each.feeds[0]
        for entry in same:
            if entry.field != field or place >= len(entry.headers) or _stands(task, each):
                continue
            evidence = f"a file of this shape was bound so before ({entry.trust})"
            claims += [
                Claim(wanted=each, column=at, by=Pass.REMEMBERED, score=1.0, evidence=evidence)
                for at in free
                if task.header(at) and task.header(at) == entry.headers[place]
            ][:1]
    return claims


def exact(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """The plan's header letter by letter, or its position where it gives one."""
    claims, moved = [], _moved(task, wanted)
    for each in wanted:
        column = each.column
        if each in moved:
            claims += _elsewhere(task, each, moved[each])
            continue
        at = next((i for i in sorted(free) if task.header(i) == column.header), None)
        if at is not None and column.header is not None:
            evidence = f"header {column.header!r}"
        elif column.position is not None and (column.header is None or not task.source.header_rows):
            at, evidence = column.position, f"column number {column.position} (from 0)"
        if at is not None and at in free:
            claims.append(Claim(wanted=each, column=at, by=Pass.EXACT, score=1, evidence=evidence))
    return claims


def normalised_header(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """The plan's header without case, accents and punctuation."""
    return [
        Claim(
            wanted=each,
            column=at,
            by=Pass.NORMALISED,
            score=0.995,
            evidence=f"{task.header(at)!r} is {each.column.header!r} written differently",
        )
        for each in wanted
        for at in free
        if _same(each.column.header, task.header(at))
    ]


def alias(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """A header the plan knows the column by as well."""
    claims = []
    for each in wanted:
        for rank, name in enumerate(each.column.aliases):
            score = 0.995 - 0.0001 * min(rank, 50)
            evidence = f"{name!r} is an alias of {each.column.names[0]!r} in the plan"
            claims += [
                Claim(wanted=each, column=at, by=Pass.ALIAS, score=score, evidence=evidence)
                for at in sorted(free)
                if task.header(at) == name or _same(name, task.header(at))
            ]
    return claims


def synonym(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """A name or synonym of the field, or a header of the same meaning."""
    claims = []
    read = in_company([_column(task, at) for at in range(len(task.source.columns))])
    for each in wanted:
        for at in free:
            header, meaning = task.header(at), concepts(read[at].names[0])
            told = next((name for name in each.known if _same(name, header)), None)
            means = next((name for name in each.known if concepts(name) == meaning), None)
            if header and (told or means) and _plausible(task, each, at):
                score = 0.99 if told else 0.982
                field = each.feeds[0][0]
                known = f"{header!r} is a known name of {field!r}"
                evidence = known if told else f"{header!r} means the same as {means!r}"
                claims.append(
                    Claim(wanted=each, column=at, by=Pass.ALIAS, score=score, evidence=evidence)
                )
    return claims


def likely(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """Everything that speaks for a pair, weighed into one calibrated confidence."""
    asked, columns = list(wanted), sorted(free)
    sides = [_side(task, each) for each in asked] + _unmapped(task)
    fits = [[_telling_fit(task, each, at) for each in asked] for at in columns]
    told = scores(
        sides,
        [_column(task, at) for at in columns],
        fits=[[*row, *([None] * (len(sides) - len(asked)))] for row in fits],
        learned=task.learned,
        model=task.weights,
    )
    claims = []
    for c, at in enumerate(columns):
        for w, each in enumerate(asked):
            if (score := float(told.sure[c, w])) >= WORTH:
                by, evidence = _reason(task, each, at, score)
                claims.append(Claim(wanted=each, column=at, by=by, score=score, evidence=evidence))
    return claims


def values(task: Task, wanted: Collection[Wanted], free: Collection[int]) -> Claims:
    """A telling type that only this column's values have, and only this field wants."""
    claims = []
    for each in wanted:
        if not _telling(each):
            continue
        fitting = [at for at in free if (_fits(task, each, at) or 0.0) >= 0.9]
        kind = each.fields[0].type
        rivals = [w for w in wanted if w is not each and _telling(w) and w.fields[0].type is kind]
        if len(fitting) == 1 and not rivals:
            evidence = f"the only free column whose values are of type {kind}"
            claims.append(
                Claim(wanted=each, column=fitting[0], by=Pass.VALUES, score=0.9, evidence=evidence)
            )
    return claims


#: The order is the order of trust. Adding a pass is adding a line.
PASSES: tuple[Finder, ...] = (
    given, remembered, exact, normalised_header, alias, synonym, likely, values,
)  # fmt: skip


def _moved(task: Task, wanted: Collection[Wanted]) -> dict[Wanted, int | None]:
    """What a file without headers holds elsewhere than the plan's numbers say."""
    if task.source.header_rows:
        return {}
    numbered = {
        each: each.column.position
        for each in wanted
        if each.column.header is None and each.column.position is not None
    }
    telling = [each for each in numbered if _telling(each) and len(each.feeds) == 1]
    width = len(task.source.columns)
    return displaced(numbered, telling=telling, fit=partial(_fits, task), width=width)


def _elsewhere(task: Task, wanted: Wanted, at: int | None) -> Claims:
    """One number's values stand under another; where nobody can tell, nothing is claimed."""
    if at is None:
        return []
    was, kind = wanted.column.position, wanted.fields[0].type
    evidence = (
        f"the values of column number {at} (from 0) are of type {kind}, those of {was} are not"
    )
    if not _telling(wanted):
        evidence = (
            f"column number {at} (from 0) is left when the others stand where their values are"
        )
    return [Claim(wanted=wanted, column=at, by=Pass.VALUES, score=0.985, evidence=evidence)]


def _same(name: str | None, header: str) -> bool:
    return bool(name) and bool(header) and normalised(name or "") == normalised(header) != ""


def _stands(task: Task, wanted: Wanted) -> bool:
    return wanted.column.header is not None and wanted.column.header in task.source.columns


def _telling(wanted: Wanted) -> bool:
    return all(field.type in TELLING for field in wanted.fields)


def _fits(task: Task, wanted: Wanted, at: int) -> float | None:
    """How the column fits the worst of its fields; None when nothing can be told."""
    single = len(wanted.feeds) == 1 and not wanted.feeds[0][1]
    if at >= len(task.profile.columns) or not single:
        return None
    column = task.profile.columns[at]
    share = fit(column, wanted.fields[0])
    return share if share is None else max(share, known(column, wanted.words))


def _plausible(task: Task, wanted: Wanted, at: int) -> bool:
    share = _fits(task, wanted, at)
    return share is None or share >= 0.3


def _side(task: Task, wanted: Wanted) -> Side:
    field, place = wanted.feeds[0]
    alone = len(wanted.feeds) == 1 and not place
    return Side(
        names=wanted.known,
        key=field if alone else "",
        about=wanted.fields[0].description if alone else "",
    )


def _unmapped(task: Task) -> list[Side]:
    """Fields nothing feeds: a column may be theirs."""
    return [Side(names=names(field), about=field.description) for field in task.unmapped]


def _column(task: Task, at: int) -> Side:
    return Side(
        names=(task.header(at),),
        values=task.profile.columns[at] if at < len(task.profile.columns) else None,
    )


def _telling_fit(task: Task, wanted: Wanted, at: int) -> float | None:
    """How the values fit, where that tells something: nearly every text fits a string."""
    share = _fits(task, wanted, at)
    return share if share is not None and (_telling(wanted) or share < 0.5) else None


def _reason(task: Task, wanted: Wanted, at: int, score: float) -> tuple[Pass, str]:
    header, name = task.header(at), wanted.known[0] if wanted.known else ""
    if task.learned and wanted.known:
        said = support(task.learned, header).get(wanted.feeds[0][0])
        if said is not None and said.header > said.against and said.header > 0.5:
            told = f"{header!r} fed {wanted.feeds[0][0]!r} in confirmed files ({score:.2f})"
            return Pass.REMEMBERED, told
    return Pass.FUZZY, f"{header!r} is likely {name!r} by name and values ({score:.2f})"
