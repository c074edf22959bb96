"""Rules that look beyond their row: uniqueness, references, the identity key."""

from collections.abc import Iterator

from engine.compiler.feeds import Feed
from engine.compiler.program import Across, CellCode, Check
from engine.sql import literal
from plans.plan import Duplicates, SheetPlan
from plans.template import OnInvalid, Severity, Template, UniqueTogether

Ruled = tuple[tuple[Across, Check], ...]


def rules(
    sheet: SheetPlan, template: Template, feeds: tuple[Feed, ...], *, numbers: Iterator[int]
) -> Ruled:
    """Every rule across rows with its check, in the template's order."""
    found: list[tuple[Across, Check]] = []
    alone = {key[0] for key in template.identity if len(key) == 1}
    for feed in feeds:
        field = feed.field
        # An identity key has its own policy for rows that come twice.
        if field.unique and field.name not in alone:
            found.append(_of_field(feed, next(numbers), CellCode.UNIQUE, _UNIQUE))
        if field.references:
            parent = (field.references.template, field.references.field)
            message = f"no row of {parent[0]} has this {parent[1]}"
            found.append(_of_field(feed, next(numbers), CellCode.REFERENCE, message, parent=parent))
    by_name = {feed.field.name: feed for feed in feeds}
    for rule in template.rules:
        if isinstance(rule, UniqueTogether):
            parts = tuple(by_name[name] for name in rule.fields)
            found.append(_together(parts, next(numbers), rule.severity))
    return tuple(found)


_UNIQUE = "the value stands in another row too"


def identity(template: Template, feeds: tuple[Feed, ...]) -> str | None:
    """The row's identity as text: its first key with every field filled."""
    if not template.identity:
        return None
    by_name = {feed.field.name: feed for feed in feeds}
    keys = [tuple(by_name[name] for name in key) for key in template.identity]
    texts = [f"'{n}:' || {together(key)}" for n, key in enumerate(keys)]
    return f"coalesce({', '.join(texts)})"


def identity_raw(template: Template, feeds: tuple[Feed, ...]) -> str:
    """The customer's text of the identity, every key's fields."""
    keys = {name for key in template.identity for name in key}
    raws = [f"raw{feed.at}" for feed in feeds if feed.field.name in keys]
    return f"concat_ws(' | ', {', '.join(raws)})" if raws else "NULL"


def named(template: Template) -> frozenset[str]:
    """Fields whose own text is needed after the pass."""
    names = {name for key in template.identity for name in key}
    names |= {field.name for field in template.fields if field.unique or field.references}
    for rule in template.rules:
        if isinstance(rule, UniqueTogether):
            names.update(rule.fields)
    return frozenset(names)


def duplicate(sheet: SheetPlan, template: Template, feeds: tuple[Feed, ...], number: int) -> Check:
    """The check that names a row whose identity came twice."""
    named = {name for key in template.identity for name in key}
    rejects = sheet.duplicates is Duplicates.REJECT
    stays = {
        Duplicates.FIRST: "the first row with this identity stays",
        Duplicates.LAST: "the last row with this identity stays",
        Duplicates.REJECT: "another row has this identity too",
    }
    fields = [feed for feed in feeds if feed.field.name in named]
    return Check(
        number=number,
        field=fields[0].field.name if len(fields) == 1 else None,
        columns=tuple(column for feed in fields for column in feed.columns),
        code=CellCode.DUPLICATE,
        message=stays[sheet.duplicates],
        on_invalid=OnInvalid.REJECT if rejects else OnInvalid.WARN,
        severity=Severity.ERROR if rejects else Severity.WARNING,
    )


def together(parts: tuple[Feed, ...]) -> str:
    """The values as one text that no other values give; NULL when one is empty."""
    last = f"CAST(f{parts[-1].at} AS VARCHAR)"
    texts = [f"CAST(f{feed.at} AS VARCHAR)" for feed in parts[:-1]]
    # Each length in front: ('a', 'bc') and ('ab', 'c') differ.
    return " || ".join([*(f"length({text}) || {literal(':')} || {text}" for text in texts), last])


def _of_field(
    feed: Feed,
    number: int,
    code: CellCode,
    message: str,
    *,
    parent: tuple[str, str] | None = None,
) -> tuple[Across, Check]:
    listed = feed.on_invalid not in (OnInvalid.REJECT, OnInvalid.STOP)
    check = Check(
        number=number,
        field=feed.field.name,
        columns=feed.columns,
        code=code,
        message=message,
        on_invalid=feed.on_invalid,
        severity=Severity.WARNING if listed else Severity.ERROR,
    )
    return Across(check=number, key=together((feed,)), raw=f"raw{feed.at}", output=feed.at, parent=parent), check  # fmt: skip


def _together(parts: tuple[Feed, ...], number: int, severity: Severity) -> tuple[Across, Check]:
    names = ", ".join(feed.field.name for feed in parts)
    check = Check(
        number=number,
        field=None,
        columns=tuple(column for feed in parts for column in feed.columns),
        code=CellCode.UNIQUE_TOGETHER,
        message=f"another row has the same {names}",
        on_invalid=OnInvalid.WARN if severity is Severity.WARNING else OnInvalid.REJECT,
        severity=severity,
    )
    raw = f"concat_ws(' | ', {', '.join(f'raw{feed.at}' for feed in parts)})"
    return Across(check=number, key=together(parts), raw=raw), check
