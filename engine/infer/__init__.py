"""Drafts a plan, and templates where none fits, from sample files; a person reviews the draft."""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from engine.binding import bind
from engine.binding.fit import fit
from engine.binding.words import concepts, normalised, words
from engine.infer.guess import Guess, Habits, guess, habits
from engine.intake.source import Staged
from engine.profile import ColumnProfile, Profile
from plans.plan import Plan, SheetPlan
from plans.template import FieldType, Template, TemplateField

__all__ = ["infer"]

#: A given template is used when this share of the file's columns find a field in it.
COVERS = 0.3
#: A draft is reviewed, so it may bind what a run would only ask about.
LIKELY = 0.8
#: What identifies a row, best first.
_IDENTITY = ("id", "email", "sku", "serial", "asset_tag", "invoice_number", "order_number",
             "customer_id", "iban", "number", "reference", "domain")  # fmt: skip

Table = tuple[Staged, Profile]
Document = dict[str, Any]


def infer(
    tables: Sequence[Staged],
    profiles: Sequence[Profile],
    *,
    name: str = "draft",
    templates: Sequence[Template] = (),
) -> Plan:
    """A plan that reads these tables; its own `templates` are those that none of the given fits.

    `profiles` should be of whole tables: what is proven on a part is not proven.
    """
    groups = _grouped(list(zip(tables, profiles, strict=True)))
    sheets: list[Document] = []
    drafted: list[Document] = []
    for group in groups:
        chosen = _chosen(group, templates)
        taken = {each["template"] for each in drafted} | {each["name"] for each in sheets}
        if chosen is None:
            title = _free(_title(group[0][0], len(tables)), taken)
            sheet, template = _draft(group, title)
            drafted.append(template)
        else:
            sheet = _fitted(group, chosen, _free(chosen.template, taken))
        sheets.append({**sheet, "files": _files(group) if len(groups) > 1 else {}})
    return Plan.model_validate({"plan": _slug(name, "draft").replace("_", "-"),
                                "templates": drafted, "sheets": sheets})  # fmt: skip


def _grouped(tables: Sequence[Table]) -> list[list[Table]]:
    """Tables of nearly the same headers feed one sheet."""
    groups: list[list[Table]] = []
    for table in tables:
        mine = _headers(table)
        for group in groups:
            theirs = _headers(group[0])
            if mine and len(mine & theirs) >= 0.8 * max(len(mine), len(theirs)):
                group.append(table)
                break
        else:
            groups.append([table])
    return groups


def _headers(table: Table) -> set[str]:
    return {normalised(header) for header in table[0].source.columns if header}


def _chosen(group: Sequence[Table], templates: Sequence[Template]) -> Template | None:
    """The given template that most columns fit, if enough do."""
    staged, profile = group[0]
    scored = [(len(_places(staged, profile, each)), each) for each in templates]
    best = max(scored, key=lambda each: each[0], default=None)
    if best is None or best[0] < max(2, COVERS * sum(1 for c in profile.columns if c.filled)):
        return None
    return best[1]


def _places(staged: Staged, profile: Profile, template: Template) -> dict[str, int]:
    """Field to column: what binds surely, then what is likely and fits, one column a field."""
    columns = [
        {"field": f.name, "from": {"header": f.title or f.name, "aliases": [f.name, *f.synonyms]}}
        for f in template.fields
    ]
    sheet = SheetPlan.model_validate({"template": template.template, "columns": columns})
    binding = bind(sheet, template, staged.source, profile)
    places = {each.field: each.columns[0] for each in binding.bounds}
    for each in binding.candidates:
        free = each.field not in places and each.columns[0] not in places.values()
        share = fit(profile.columns[each.columns[0]], template.field(each.field))
        if free and each.score >= LIKELY and (share is None or share >= 0.5):
            places[each.field] = each.columns[0]
    return places


def _fitted(group: Sequence[Table], template: Template, name: str) -> Document:
    staged, profile = group[0]
    known = habits(profile.columns)
    places = _places(staged, profile, template)
    mappings = [
        _mapping(field, profile.columns[places[field.name]], known, profile=profile)
        for field in template.fields
        if field.name in places
    ]
    mappings.sort(key=lambda each: places[each["field"]])
    return {"template": template.template, "name": name, "columns": mappings}


def _mapping(
    field: TemplateField, column: ColumnProfile, known: Habits, *, profile: Profile
) -> Document:
    """Reads the column into a field of a given type; guessed transforms only where types agree."""
    found = guess(column, known)
    alike = {field.type, found.type} <= {FieldType.INTEGER, FieldType.DECIMAL} or (
        {field.type, found.type} <= {FieldType.DATE, FieldType.DATETIME}
    )
    transforms: list[object] = [
        each for each in found.transforms if field.type is found.type or alike
    ]
    by_type = {FieldType.PHONE: "phone", FieldType.COUNTRY: "country", FieldType.URL: "url",
               FieldType.DOMAIN: "domain", FieldType.EMAIL: "email",
               FieldType.CURRENCY: "currency", FieldType.BOOLEAN: "boolean"}  # fmt: skip
    if not transforms and field.type in by_type:
        transforms = [by_type[field.type]]
    return {**_feed(field.name, column, profile), "transforms": transforms}


def _draft(group: Sequence[Table], title: str) -> tuple[Document, Document]:
    """A sheet and a new template with one field a column."""
    profile = group[0][1]
    known = habits(profile.columns)
    fields: list[Document] = []
    mappings: list[Document] = []
    for column in profile.columns:
        found = guess(column, known)
        name = _free(_slug(column.header, f"column_{column.index}"), {f["name"] for f in fields})
        fields.append(_field(name, column, found, whole=profile.whole and len(group) == 1))
        mappings.append({**_feed(name, column, profile), "transforms": list(found.transforms)})
    identity = _identity(profile, fields)
    template = {"template": title, "fields": fields, "identity": [[identity]] if identity else []}
    return {"template": title, "name": title, "columns": mappings}, template


def _field(name: str, column: ColumnProfile, found: Guess, *, whole: bool) -> Document:
    full = whole and column.filled == column.rows and not column.rate("null_word")
    return {
        "name": name,
        "type": found.type,
        "title": column.header if normalised(column.header) != normalised(name) else "",
        "description": found.note,
        "required": full and column.rows > 1,
        "values": list(found.values),
    }


def _feed(field: str, column: ColumnProfile, profile: Profile) -> Document:
    """By header; a column without one, or whose header stood before, by its number."""
    before = {each.header for each in profile.columns[: column.index]}
    known = column.header and column.header not in before
    return {"field": field, "from": column.header if known else column.index}


def _identity(profile: Profile, fields: Sequence[Document]) -> str | None:
    """A full column without a repetition whose name says that it identifies."""
    found: dict[int, str] = {}
    for column, field in zip(profile.columns, fields, strict=True):
        unique = column.filled == column.rows == column.distinct > 1
        meaning = concepts(column.header)
        if unique and meaning:
            for rank, concept in enumerate(_IDENTITY):
                if concept in meaning or meaning[-1] == concept:
                    found.setdefault(rank, field["name"])
    return found[min(found)] if found else None


def _title(staged: Staged, tables: int) -> str:
    source = staged.source
    stem = PurePath(source.member or source.file).name.partition(".")[0]
    named = source.sheet and (tables > 1 or not re.search(r"[A-Za-z]{3}", stem))
    return _slug(source.sheet if named and source.sheet else re.sub(r"\d+", "", stem), "rows")


def _files(group: Sequence[Table]) -> Document:
    """Patterns that find the next export of the same name: digits may differ."""
    names = [re.sub(r"\d+", "*", each.source.file) for each, _ in group]
    sheets = [each.source.sheet for each, _ in group if each.source.sheet]
    return {"names": list(dict.fromkeys(names)), "sheets": list(dict.fromkeys(sheets))}


def _slug(text: str, otherwise: str) -> str:
    """A name of the plan language: the words, else what they mean, else the given one."""
    for parts in (words(text), concepts(text)):
        slug = re.sub(r"[^a-z0-9_]", "", "_".join(parts)).strip("_")[:60]
        if re.match(r"[a-z]", slug):
            return slug
        if re.search(r"[a-z]", slug):
            return f"n_{slug}"[:60]
    return otherwise


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
