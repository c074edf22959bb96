"""Immutable plan versions: canonical JSON, digest, what differs between two."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import Field

from plans.document import Document
from plans.errors import PlanInvalid, Problem
from plans.plan import Plan
from plans.template import Template
from plans.transforms import Lookup


class PlanVersion(Document):
    """A numbered plan with the templates it was made for; `digest` covers both."""

    number: int = Field(ge=1)
    plan: Plan
    templates: tuple[Template, ...]
    digest: str
    parent: str | None = None
    author: str = ""
    reason: str = ""

    def template(self, name: str) -> Template:
        """The template of that name; KeyError when there is none."""
        for template in self.templates:
            if template.template == name:
                return template
        raise KeyError(name)


def canonical(document: Document) -> str:
    """Canonical JSON: sorted keys, no white space, defaults left out so that new options keep old digests."""
    values = document.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def digest(plan: Plan, templates: tuple[Template, ...]) -> str:
    """SHA-256 (hex) over the plan and its templates in name order."""
    parts = [canonical(plan)]
    parts += [canonical(each) for each in sorted(templates, key=lambda each: each.template)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def first_version(
    plan: Plan, templates: tuple[Template, ...], *, author: str = "", reason: str = ""
) -> PlanVersion:
    """Version 1 of a plan; `templates` adds to those inside the plan. PlanInvalid if they do not fit."""
    used = _used(plan, templates)
    return PlanVersion(
        number=1, plan=plan, templates=used, digest=digest(plan, used), author=author, reason=reason
    )


def next_version(
    version: PlanVersion, plan: Plan, *, author: str = "", reason: str = ""
) -> PlanVersion:
    """The version after `version`, with the same templates."""
    used = _used(plan, version.templates)
    return PlanVersion(
        number=version.number + 1,
        plan=plan,
        templates=used,
        digest=digest(plan, used),
        parent=version.digest,
        author=author,
        reason=reason,
    )


def verify(version: PlanVersion) -> bool:
    """Whether the version's content still has its digest."""
    return digest(version.plan, version.templates) == version.digest


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One place where two documents differ; a missing side is None."""

    path: str
    before: Any
    after: Any


def diff(before: Document, after: Document) -> tuple[Difference, ...]:
    """Every leaf that differs. Sheets, mappings, fields and columns are matched by name, not position."""
    left = before.model_dump(mode="json", exclude_defaults=True)
    right = after.model_dump(mode="json", exclude_defaults=True)
    return tuple(_differences("", left, right))


def _differences(path: str, left: Any, right: Any) -> list[Difference]:
    if left == right:
        return []
    pair = (_keyed(left), _keyed(right))
    if isinstance(pair[0], dict) and isinstance(pair[1], dict):
        found: list[Difference] = []
        for key in dict.fromkeys((*pair[0], *pair[1])):
            below = f"{path}.{key}".lstrip(".")
            found += _differences(below, pair[0].get(key), pair[1].get(key))
        # The same parts in another order: order means something for transforms.
        return found or [Difference(path=path, before=list(pair[0]), after=list(pair[1]))]
    return [Difference(path=path, before=left, after=right)]


def _keyed(value: Any) -> Any:
    """Lists of named things as a mapping by name."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return value
    for key in ("name", "field", "template", "op", "header"):
        names = [each.get(key) for each in value]
        if value and all(names) and len(set(names)) == len(names):
            return dict(zip(names, value, strict=True))
    return value


def _used(plan: Plan, templates: tuple[Template, ...]) -> tuple[Template, ...]:
    """The templates the plan needs, its own first; PlanInvalid for missing ones and unknown fields."""
    known = {each.template: each for each in (*templates, *plan.templates)}
    wanted = list(dict.fromkeys(sheet.template for sheet in plan.sheets))
    used = {name: known[name] for name in wanted if name in known}
    problems = [
        Problem(path=f"sheets[{at}].template", message=f"there is no template {sheet.template!r}")
        for at, sheet in enumerate(plan.sheets)
        if sheet.template not in known
    ]
    problems += [
        Problem(path=path, message=_no_field(used[template], field))
        for path, template, field in (*_named_by(plan), *_referred(used.values()))
        if template in used and field not in {each.name for each in used[template].fields}
    ]
    if problems:
        raise PlanInvalid(f"plan {plan.plan}", tuple(problems))
    return tuple(used.values())


def _no_field(template: Template, field: str) -> str:
    near = get_close_matches(field, [each.name for each in template.fields], n=1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return f"template {template.template!r} has no field {field!r}{meant}"


def _named_by(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Every field a sheet names: its path, template and name."""
    for at, sheet in enumerate(plan.sheets):
        for number, mapping in enumerate(sheet.mappings):
            path = f"sheets[{at}].columns[{number}]"
            yield f"{path}.field", sheet.template, mapping.field
            for place, each in enumerate(mapping.transforms):
                if isinstance(each, Lookup):
                    for name in (each.match, each.take):
                        yield f"{path}.transforms[{place}]", each.template, name


def _referred(templates: Iterable[Template]) -> Iterator[tuple[str, str, str]]:
    for template in templates:
        for field in template.fields:
            if to := field.references:
                yield f"templates.{template.template}.{field.name}", to.template, to.field
