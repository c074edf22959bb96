"""A model's answer as repairs: typed changes that are tried like any other, and wait for a person."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

from engine.kinds import NUMBER_READINGS
from engine.mapping.answers import Answer, Joint, Marked, Match, Meaning, Measured, Part, Written
from engine.mapping.openings import Open
from engine.mapping.shown import clean
from engine.mapping.units import factor, pattern
from engine.proposal import Repair, RepairKind
from engine.repair.dates import order
from plans.changes import (
    AddAlias,
    AddBooleans,
    AddFormats,
    AddMapping,
    AddTransform,
    Change,
    MapValues,
    SetColumns,
    SetNumber,
)
from plans.plan import Column
from plans.plan import Mapping as PlanMapping
from plans.template import FieldType
from plans.transforms import Join, Number, RegexReplace, Split, Transform

#: A model's word multiplies the odds the data gives by this; it never makes anything sure.
WORD, CEILING = 4.0, 0.97
#: What only a model says is likely; what it says although the data could mean something else is not.
SAID, TORN = 0.8, 0.6


def advised(left: Open, answer: Answer, *, model: str) -> Iterator[Repair]:
    """Every repair the answer stands for; what the file's own values contradict is left out."""
    by = model or "the model"
    for match in answer.matches:
        if match.column != -1:
            yield _match(left, match, by=by)
    for field in dict.fromkeys(each.field for each in answer.meanings):
        yield from _meanings(left, field, answer.meanings, by=by)
    for written in answer.dates:
        yield from _dates(left, written, by=by)
    for marked in answer.numbers:
        yield from _numbers(left, marked, by=by)
    for measured in answer.units:
        yield _unit(left, measured, by=by)
    for said in answer.composed:
        yield from _composed(left, said, by=by)


def confidence(prior: float) -> float:
    """The data's odds, raised by the model's word: confidence is computed, never asked."""
    prior = min(max(prior, 0.05), 0.95)
    odds = WORD * prior / (1 - prior)
    return min(CEILING, odds / (1 + odds))


def _repair(
    left: Open,
    field: str,
    name: str,
    *changes: Change,
    kind: RepairKind,
    summary: str,
    evidence: str,
    sure: float = SAID,
) -> Repair:
    return Repair(
        id=f"{left.sheet.name}.{field}.{name}",
        kind=kind,
        sheet=left.sheet.name,
        field=field,
        changes=changes,
        summary=summary,
        evidence=evidence,
        confidence=sure,
        by="model",
    )


def _match(left: Open, said: Match, *, by: str) -> Repair:
    header, mapping = left.header(said.column), left.mapping(said.field)
    prior = dict(left.of(said.field).candidates)[said.column]
    change: Change
    if mapping is None or not mapping.columns:
        new = PlanMapping.model_validate({"field": said.field, "from": header})
        change = AddMapping(sheet=left.sheet.name, mapping=new)
    else:
        name = mapping.columns[0].names[0]
        change = AddAlias(sheet=left.sheet.name, field=said.field, header=name, alias=header)
    return _repair(
        left,
        said.field,
        f"column-{said.column}",
        change,
        kind=RepairKind.REBIND if mapping else RepairKind.COLUMN,
        summary=f"Feed {said.field} from column {clean(header)!r}",
        evidence=f"{by} chose it; by itself the data says {prior:.2f}",
        sure=confidence(prior),
    )


def _meanings(left: Open, field: str, said: Iterable[Meaning], *, by: str) -> Iterator[Repair]:
    """What each unknown value means. Values that become one can never be told apart again."""
    unknown = left.of(field).unknown
    values = {unknown[each.value][0]: each.means for each in said if each.field == field}
    often = Counter(values.values())
    boolean = left.of(field).field.type is FieldType.BOOLEAN
    for joined in (False, True):
        mine = {
            old: new for old, new in values.items() if (often[new] > 1 and not boolean) == joined
        }
        if mine:
            shown = ", ".join(f"{clean(old)!r} → {new!r}" for old, new in list(mine.items())[:4])
            s = "s" if len(mine) > 1 else ""
            what = f"Map {len(mine)} value{s} of {field}" + (", several to one" if joined else "")
            yield _repair(
                left,
                field,
                "meanings-joined" if joined else "meanings",
                _mapped(left, field, mine, boolean=boolean),
                kind=RepairKind.VALUES,
                summary=f"{what}: {shown}",
                evidence=f"{by} thinks so"
                + ("; afterwards nobody can tell these values apart" if joined else ""),
                sure=TORN if joined else SAID,
            )


def _mapped(left: Open, field: str, values: dict[str, str], *, boolean: bool) -> Change:
    if boolean:
        yes = tuple(old for old, new in values.items() if new == "yes")
        no = tuple(old for old in values if old not in yes)
        return AddBooleans(sheet=left.sheet.name, field=field, true=yes, false=no)
    return MapValues(sheet=left.sheet.name, field=field, values=values)


def _dates(left: Open, said: Written, *, by: str) -> Iterator[Repair]:
    asked = left.of(said.field)
    between = "T" if any("T" in value[8:12] for value, _ in asked.unread) else " "
    fmt = f"{said.date}{between}{said.time}" if said.time else said.date
    reads = sum(_reads(value, fmt) for value, _ in asked.unread)
    other = sum(_reads(value, _turned(fmt)) for value, _ in asked.unread)
    # A day of 13 or more settles the order, whatever anybody says.
    if not reads or other > reads:
        return
    torn = other == reads and _turned(fmt) != fmt
    first = order(fmt)
    change = AddFormats(
        sheet=left.sheet.name,
        field=said.field,
        kind="datetime" if asked.field.type is FieldType.DATETIME else "date",
        formats=(fmt,),
    )
    yield _repair(
        left,
        said.field,
        f"format-{first.split()[0]}" if torn else "format-said",
        change,
        kind=RepairKind.AMBIGUOUS_FORMAT if torn else RepairKind.FORMAT,
        summary=f"Read {said.field} {first} ({fmt}), as {by} thinks",
        evidence=f"{by} thinks so; the values alone can be read both ways"
        if torn
        else f"{by} chose the format, and the values agree with its order",
        sure=TORN if torn else SAID,
    )


def _turned(fmt: str) -> str:
    """The same format with day and month changed round, where both are numbers."""
    if not {"%d", "%m"} <= set(re.findall("%.", fmt)):
        return fmt
    return fmt.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _reads(value: str, fmt: str) -> bool:
    try:
        datetime.strptime(value.strip(), fmt)
    except ValueError:
        return False
    return True


def _numbers(left: Open, said: Marked, *, by: str) -> Iterator[Repair]:
    asked = left.of(said.field)
    values = [value for value, _ in asked.unread]
    if not any(_marked(value, said.decimal, said.thousands) for value in values):
        return
    torn = any(
        decimal != said.decimal and all(_marked(value, decimal, group) for value in values)
        for decimal, group in NUMBER_READINGS
    )
    point = "point" if said.decimal == "." else "comma"
    number = _number(left, said.field, decimal=said.decimal, thousands=said.thousands)
    yield _repair(
        left,
        said.field,
        f"number-{point}" if torn else "number-said",
        SetNumber(sheet=left.sheet.name, field=said.field, number=number),
        kind=RepairKind.AMBIGUOUS_FORMAT if torn else RepairKind.FORMAT,
        summary=f"Read {said.field} with a decimal {point}, as {by} thinks",
        evidence=f"{by} thinks so" + ("; the values alone can be read both ways" if torn else ""),
        sure=TORN if torn else SAID,
    )


def _marked(value: str, decimal: str, thousands: str) -> bool:
    """Whether the figure in a text is a number with these marks."""
    found = re.search(r"\d[\d., ']*", value)
    mark, group = re.escape(decimal), re.escape(thousands)
    whole = rf"(\d{{1,3}}({group}\d{{3}})+|\d+)" if thousands else r"\d+"
    return bool(found and re.fullmatch(rf"{whole}({mark}\d+)?", found[0].rstrip()))


def _number(left: Open, field: str, **update: str) -> Number:
    mapping = left.mapping(field)
    present = [each for each in (mapping.transforms if mapping else ()) if isinstance(each, Number)]
    return Number.model_validate({**dict(present[-1] if present else Number()), **update})


def _unit(left: Open, said: Measured, *, by: str) -> Repair:
    unit = left.of(said.field).unit
    scale = factor(unit, said.unit) or "1"
    bare = RegexReplace(pattern=pattern(unit), by="")
    number = _number(left, said.field, scale=scale)
    return _repair(
        left,
        said.field,
        "unit",
        AddTransform(sheet=left.sheet.name, field=said.field, transform=bare, at="start"),
        SetNumber(sheet=left.sheet.name, field=said.field, number=number),
        kind=RepairKind.VALUES,
        summary=f"Take {unit!r} off {said.field}"
        + (
            f" and multiply by {scale}, to have {said.unit or 'plain numbers'}"
            if scale != "1"
            else ""
        ),
        evidence=f"every unread number ends in {unit!r}; {by} thinks {said.field} is in"
        f" {said.unit or 'plain numbers'}",
        sure=SAID if scale == "1" else TORN,
    )


def _composed(left: Open, said: Part | Joint, *, by: str) -> Iterator[Repair]:
    """A field cut out of a column, or put together from several."""
    cut = isinstance(said, Part)
    columns = (said.column,) if isinstance(said, Part) else said.columns
    if cut and not _separated(left, columns[0], said.separator):
        return
    transform: Transform = (
        Split(separator=said.separator, part=said.part, rest=said.rest)
        if isinstance(said, Part)
        else Join(separator=said.separator)
    )
    headers = [left.header(at) for at in columns]
    shown = ", ".join(repr(clean(each)) for each in headers)
    yield _repair(
        left,
        said.field,
        f"{'part' if cut else 'join'}-{'-'.join(map(str, columns))}",
        *_fed(left, said.field, headers, transform),
        kind=RepairKind.COLUMN,
        summary=f"Cut {said.field} out of column {shown}"
        if cut
        else f"Put {said.field} together from columns {shown}",
        evidence=f"{by} thinks so; files with the former column will be asked about",
        sure=SAID,
    )


def _separated(left: Open, column: int, separator: str) -> bool:
    """Whether most values seen of the column have the separator inside."""
    seen = left.table.profile.columns[column].samples
    return 2 * sum(separator in value.strip() for value in seen) > len(seen)


def _fed(left: Open, field: str, headers: list[str], transform: Transform) -> tuple[Change, ...]:
    sheet = left.sheet.name
    if left.mapping(field) is None:
        raw = {"field": field, "from": headers, "transforms": [transform]}
        return (AddMapping(sheet=sheet, mapping=PlanMapping.model_validate(raw)),)
    # The combining transform first: several columns without one are no mapping.
    columns = tuple(Column(header=each) for each in headers)
    return (
        AddTransform(sheet=sheet, field=field, transform=transform, at="start"),
        SetColumns(sheet=sheet, field=field, columns=columns),
    )
