"""How numbers are written, proven on the whole column."""

from collections.abc import Sequence

from engine.kinds import NUMBER_READINGS
from engine.profile import Reading
from engine.proposal import Repair, RepairKind
from engine.repair.case import Case
from plans.changes import AddTransform, Change, SetNumber
from plans.template import FieldType
from plans.transforms import Number

Marks = tuple[str, str]


def numbers(case: Case) -> list[Repair]:
    """Decimal and thousands marks, currency signs, percent and parentheses."""
    if case.field.type not in (FieldType.INTEGER, FieldType.DECIMAL):
        return []
    told = [each for each in case.readings if "null_word" not in each.kinds]
    present = _present(case)
    unread = [each for each in told if not _read(each, present)]
    numeric = [each for each in told if marks(each)]
    if not any(each in numeric for each in unread):
        return []
    shared = [each for each in NUMBER_READINGS if all(each in marks(r) for r in numeric)]
    if any("percent" in each.kinds for each in unread):
        return _percent(case, shared or [(".", "")], present)
    marked = [each for each in numeric if len(marks(each)) < len(NUMBER_READINGS)]
    decimals = {decimal for decimal, _ in shared}
    if not shared:
        return []
    if marked and len(decimals) > 1:
        return [_one(case, _least(shared, mark), present, sure=False) for mark in sorted(decimals)]
    mark = present.decimal if present and not marked else min(decimals, key=".,".index)
    return [_one(case, _least(shared, mark), present, sure=True)]


def marks(reading: Reading) -> frozenset[Marks]:
    """Every (decimal, thousands) pair that reads these cells."""
    return frozenset(each for each in NUMBER_READINGS if f"number:{''.join(each)}" in reading.kinds)


def _present(case: Case) -> Number | None:
    found = [each for each in case.mapping.transforms if isinstance(each, Number)]
    return found[-1] if found else None


def _read(reading: Reading, present: Number | None) -> bool:
    if present is None:
        return "plain" in reading.kinds
    return (present.decimal, present.thousands) in marks(reading)


def _least(shared: Sequence[Marks], decimal: str) -> Marks:
    """The reading with this decimal mark that needs the fewest thousands marks."""
    return next(each for each in shared if each[0] == decimal)


def _one(case: Case, chosen: Marks, present: Number | None, *, sure: bool) -> Repair:
    number = _number(chosen, present)
    says = f"decimal {chosen[0]!r}" + (f" and thousands {chosen[1]!r}" if chosen[1] else "")
    return case.repair(
        "number" if sure else f"number-{'point' if chosen[0] == '.' else 'comma'}",
        RepairKind.FORMAT if sure else RepairKind.AMBIGUOUS_FORMAT,
        _change(case, number),
        summary=f"Read {case.field.name} with {says}",
        evidence=f"the whole column fits {says}, such as {_examples(case)}"
        if sure
        else f"nothing in the column tells: {_examples(case)} can be read both ways",
        confidence=0.99 if sure else 0.5,
    )


def _percent(case: Case, shared: Sequence[Marks], present: Number | None) -> list[Repair]:
    chosen = shared[0]
    words = {"keep": "12 % as 12", "divide": "12 % as 0.12"}
    return [
        case.repair(
            f"percent-{how}",
            RepairKind.AMBIGUOUS_FORMAT,
            _change(case, _number(chosen, present).model_copy(update={"percent": how})),
            summary=f"Read {case.field.name} with percent signs, {said}",
            evidence=f"the column has percent signs, such as {_examples(case)}",
            confidence=0.5,
        )
        for how, said in words.items()
    ]


def _number(chosen: Marks, present: Number | None) -> Number:
    old = present or Number()
    return Number.model_validate({**dict(old), "decimal": chosen[0], "thousands": chosen[1]})


def _change(case: Case, number: Number) -> Change:
    if case.combines and _present(case) is None:
        return AddTransform(
            sheet=case.sheet.name, field=case.field.name, transform=number, at="start"
        )
    return SetNumber(sheet=case.sheet.name, field=case.field.name, number=number)


def _examples(case: Case) -> str:
    return ", ".join(repr(value) for value in list(case.values)[:3])
