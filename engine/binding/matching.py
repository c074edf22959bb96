"""Which staged table feeds which sheet of the plan: by name, by header, by content."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

from engine.binding.fit import fit
from engine.binding.similar import similarity
from engine.binding.words import concepts, normalised
from engine.intake.source import Source, Staged
from engine.profile import Profile
from plans.plan import Files, Plan, SheetPlan
from plans.template import Template

#: A table whose headers and values speak less for a sheet than this is left out.
ENOUGH = 0.34


def match(
    tables: Sequence[Staged],
    plan: Plan,
    templates: Sequence[Template],
    *,
    profiles: Sequence[Profile] | None = None,
) -> tuple[tuple[str, int], ...]:
    """(sheet name, table index) pairs in the plan's order; tables that fit nowhere are left out.

    A file pattern that fits decides; the header decides between sheets of one pattern, and where
    no pattern fits. A table feeds one sheet, unless several name it by pattern and want it.
    """
    known = {each.template: each for each in templates}
    pairs: list[tuple[str, int]] = []
    scores: dict[int, float] = {}
    places = [_place(table.source) for table in tables]
    for at, table in enumerate(tables):
        profile = profiles[at] if profiles else None
        named = [sheet for sheet in plan.sheets if _named(sheet.files, table.source)]
        scored = [
            (_overlap(sheet, known.get(sheet.template), table.source, profile), sheet)
            for sheet in named
            or [s for s in plan.sheets if not (s.files.names or s.files.sheets)]
            or plan.sheets
        ]
        pairs += [(sheet.name, at) for sheet in _chosen(scored, named=bool(named), plan=plan)]
        # The name of a file that holds several tables speaks for none of them.
        sure = named and places.count(_place(table.source)) == 1
        scores[at] = 1.0 if sure else max((score for score, _ in scored), default=0.0)
    # Beside a table that fits, one that fits nowhere is a note or a cover sheet.
    if max(scores.values(), default=0.0) >= ENOUGH:
        pairs = [pair for pair in pairs if scores[pair[1]] > 0.1]
    order = [sheet.name for sheet in plan.sheets]
    return tuple(sorted(pairs, key=lambda pair: (order.index(pair[0]), pair[1])))


def _chosen(
    scored: Sequence[tuple[float, SheetPlan]], *, named: bool, plan: Plan
) -> list[SheetPlan]:
    if len(plan.sheets) == 1 or (named and len(scored) == 1):
        return [sheet for _, sheet in scored]
    best = max((score for score, _ in scored), default=0.0)
    if best < ENOUGH and not named:
        return []
    if named:
        # One export may feed several sheets: contacts and their companies.
        return [sheet for score, sheet in scored if score >= max(ENOUGH, 0.8 * best)] or [
            max(scored, key=lambda each: each[0])[1]
        ]
    return [max(scored, key=lambda each: each[0])[1]]


def _place(source: Source) -> tuple[str | None, ...]:
    return source.file, source.digest, source.member, source.sheet


def _named(files: Files, source: Source) -> bool:
    if not (files.names or files.sheets):
        return False
    names = {PurePath(each).name.casefold() for each in (source.file, source.member) if each}
    fits = any(fnmatchcase(name, glob.casefold()) for name in names for glob in files.names)
    sheet = (source.sheet or "").casefold()
    tab = any(fnmatchcase(sheet, glob.casefold()) for glob in files.sheets)
    return (fits or not files.names) and (tab or not files.sheets)


def _overlap(
    sheet: SheetPlan, template: Template | None, source: Source, profile: Profile | None
) -> float:
    """How much of what the sheet wants the table seems to have, 0..1."""
    wanted = [mapping for mapping in sheet.mappings if mapping.columns]
    if not wanted:
        return 0.0
    if any(column.header is None for mapping in wanted for column in mapping.columns):
        return _typed(sheet, template, profile)
    headers = {normalised(header) for header in source.columns}
    meanings = {concepts(header) for header in source.columns}
    points = 0.0
    for mapping in wanted:
        name = mapping.columns[0].names
        if any(normalised(each) in headers for each in name):
            points += 1
        elif any(concepts(each) in meanings for each in name):
            points += 0.8
        elif any(similarity(each, header) > 0.8 for each in name for header in source.columns):
            points += 0.6
    filename = normalised(f"{PurePath(source.file).stem} {source.sheet or ''}")
    tells = 0.1 if normalised(sheet.template).rstrip("s") in filename else 0.0
    return min(1.0, points / len(wanted) + tells)


def _typed(sheet: SheetPlan, template: Template | None, profile: Profile | None) -> float:
    """Columns by position: whether the values there have the fields' types."""
    if template is None or profile is None:
        return 0.0
    shares = []
    for mapping in sheet.mappings:
        for column in mapping.columns[:1]:
            at = column.position
            inside = at is not None and at < len(profile.columns)
            share = fit(profile.columns[at or 0], template.field(mapping.field)) if inside else 0.0
            shares.append(0.5 if share is None else share)
    return sum(shares) / max(len(shares), 1)
