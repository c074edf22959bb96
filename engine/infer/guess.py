"""What type a column has and how its values are written, told from its whole profile."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.binding.words import concepts
from engine.kinds import DATE_FORMATS, NUMBER_READINGS, TIME_FORMATS
from engine.profile import ColumnProfile
from plans.template import FieldType
from plans.transforms import (
    Boolean,
    Country,
    Currency,
    Date,
    DateTime,
    Domain,
    Email,
    Nulls,
    Number,
    Phone,
    Transform,
    Url,
)

#: Messy files have bad cells; a column is of a type when this share of its values is.
MOSTLY = 0.9
#: An enum has at most this many values, and each stands in several rows.
FEW = 12
#: Digits that are no number: the next file may have some with leading zeros.
_LABELS = frozenset({"postal_code", "phone", "mobile", "fax", "account_number", "iban", "sku"})
_SIMPLE: tuple[tuple[FieldType, Transform | None], ...] = (
    (FieldType.UUID, None), (FieldType.EMAIL, Email()), (FieldType.URL, Url()),
    (FieldType.DOMAIN, Domain()), (FieldType.JSON, None),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """A type, the transforms that read it, and what a person should know about the choice."""

    type: FieldType = FieldType.STRING
    transforms: tuple[Transform, ...] = ()
    values: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Habits:
    """How the table writes dates and numbers where a column of it proves that."""

    day_first: bool | None = None
    decimal: str | None = None


def habits(columns: Sequence[ColumnProfile]) -> Habits:
    """What columns of one reading tell about those of two."""
    orders = {order for each in columns if len(order := _orders(each)) == 1}
    marks = {mark for each in columns if len(mark := _decimals(each)) == 1}
    return Habits(
        day_first=next(iter(orders)) == {"day"} if len(orders) == 1 else None,
        decimal=next(iter(next(iter(marks)))) if len(marks) == 1 else None,
    )


def guess(column: ColumnProfile, habits: Habits) -> Guess:
    """The narrowest type nearly all values have."""
    found = _typed(column, habits)
    if found.type in (FieldType.STRING, FieldType.ENUM) or not column.rate("null_word"):
        return found
    return Guess(
        type=found.type, transforms=(Nulls(), *found.transforms), values=found.values,
        note=found.note,
    )  # fmt: skip


def share(column: ColumnProfile, kind: str) -> float:
    """Share of the values that are no placeholder."""
    real = 1 - column.rate("null_word")
    return min(1.0, column.rate(kind) / real) if real > 0 else 0.0


def _typed(column: ColumnProfile, habits: Habits) -> Guess:
    if not column.filled or column.rate("null_word") >= 1:
        return Guess(note="no values to tell the type from")
    for kind, transform in _SIMPLE:
        if share(column, kind.value) >= MOSTLY:
            return Guess(type=kind, transforms=(transform,) if transform else ())
    return (
        _dated(column, habits)
        or _boolean(column)
        or _coded(column)
        or _numeric(column, habits)
        or _phone(column)
        or _enum(column)
        or Guess()
    )


def _dated(column: ColumnProfile, habits: Habits) -> Guess | None:
    fits = {fmt: share(column, f"date:{fmt}") for fmt in DATE_FORMATS}
    if max(fits.values()) < 0.5:
        return None
    if share(column, "%Y%m%d") and "date" not in " ".join(concepts(column.header)):
        return None
    best = max(fits.values())
    good = [fmt for fmt in DATE_FORMATS if fits[fmt] == best]
    orders = {_order(fmt) for fmt in good} & {"day", "month"}
    if len(orders) == 2:
        if habits.day_first is None:
            return Guess(note=f"dates whose order nothing proves: {' or '.join(good[:2])}")
        good = [fmt for fmt in good if (_order(fmt) == "day") is habits.day_first]
    if best < MOSTLY:
        others = sorted(fits, key=lambda fmt: -fits[fmt])
        second = next((f for f in others if f not in good and _order(f) == _order(good[0])), None)
        if second is None or best + fits[second] < MOSTLY:
            return None
        good.append(second)
    formats = tuple(dict.fromkeys((good[0], *good[1:2]) if best < MOSTLY else good[:1]))
    return _moment(column, formats)


def _moment(column: ColumnProfile, formats: tuple[str, ...]) -> Guess:
    iso = formats == ("%Y-%m-%d",)
    if column.rate("timed") < 0.5:
        return Guess(type=FieldType.DATE, transforms=() if iso else (Date(formats=formats),))
    if iso:
        return Guess(type=FieldType.DATETIME)
    clock = max(TIME_FORMATS, key=lambda fmt: column.rate(f"time:{fmt}"))
    between = ", " if any(", " in each for each in column.samples) else " "
    zone = "%z" if column.rate("zoned") > 0.5 else ""
    whole = tuple(f"{fmt}{between}{clock}{zone}" for fmt in formats)
    return Guess(type=FieldType.DATETIME, transforms=(DateTime(formats=whole),))


def _boolean(column: ColumnProfile) -> Guess | None:
    if share(column, "boolean") < MOSTLY or column.distinct > 6:
        return None
    words = {value.casefold() for value, _ in column.top}
    hinted = bool({"is", "has", "can"} & set(column.header.casefold().split("_")[0].split()))
    if words <= {"0", "1", "x"} and not (hinted and len(words) == 2):
        return None
    return Guess(type=FieldType.BOOLEAN, transforms=(Boolean(),))


def _coded(column: ColumnProfile) -> Guess | None:
    meaning = set(concepts(column.header))
    if "country" in meaning and share(column, "letters") >= MOSTLY:
        return Guess(type=FieldType.COUNTRY, transforms=(Country(),))
    if meaning == {"currency"} and share(column, "code3") >= MOSTLY:
        return Guess(type=FieldType.CURRENCY, transforms=(Currency(),))
    return None


def _numeric(column: ColumnProfile, habits: Habits) -> Guess | None:
    label = _LABELS & set(concepts(column.header))
    if label or share(column, "leading_zero") > 0.01 or column.max_length > 25:
        return None
    fits = {each: share(column, f"number:{''.join(each)}") for each in NUMBER_READINGS}
    best = max(fits.values())
    if best < MOSTLY or share(column, "phone") > 0.5:
        return None
    decimals = {mark for (mark, _), fit in fits.items() if fit == best}
    if share(column, "integer") >= MOSTLY and share(column, "integer") >= best - 0.001:
        long = column.max_length > 15
        return Guess() if long else Guess(type=FieldType.INTEGER)
    if len(decimals) == 2 and _marked(column):
        if habits.decimal is None:
            return Guess(note="numbers whose decimal mark nothing proves: '.' or ','")
        decimals = {habits.decimal}
    mark = "." if "." in decimals else ","
    group = next(each for each in NUMBER_READINGS if each[0] == mark and fits[each] == best)[1]
    plain = share(column, "plain") >= best and mark == "."
    number = () if plain else (Number.model_validate({"decimal": mark, "thousands": group}),)
    return Guess(type=FieldType.DECIMAL, transforms=number)


def _phone(column: ColumnProfile) -> Guess | None:
    if share(column, "phone") < 0.6 or not {"phone", "mobile", "fax"} & set(
        concepts(column.header)
    ):
        return None
    abroad = sum(count for value, count in column.top if value.startswith(("+", "00")))
    if abroad < MOSTLY * sum(count for _, count in column.top):
        return Guess(
            note="phone numbers without a country code: {op: phone, region: US} reads them"
        )
    return Guess(type=FieldType.PHONE, transforms=(Phone(),))


def _enum(column: ColumnProfile) -> Guess | None:
    values = tuple(value for value, _ in column.top)
    few = column.distinct <= FEW and column.distinct * 8 <= column.filled
    if not few or share(column, "letters") < 1 or column.max_length > 40:
        return None
    folded = {value.casefold() for value in values}
    if len(folded) < 2 or len(folded) != len(values):
        return None
    return Guess(type=FieldType.ENUM, values=tuple(sorted(values)))


def _orders(column: ColumnProfile) -> frozenset[str]:
    fits = {fmt: share(column, f"date:{fmt}") for fmt in DATE_FORMATS}
    good = [fmt for fmt in DATE_FORMATS if fits[fmt] >= MOSTLY and fits[fmt] == max(fits.values())]
    return frozenset(_order(fmt) for fmt in good) & {"day", "month"}


def _order(fmt: str) -> str:
    return (
        {"%d": "day", "%m": "month"}.get(fmt[:2], "other") if fmt[3:5] in ("%m", "%d") else "other"
    )


def _decimals(column: ColumnProfile) -> frozenset[str]:
    if not _marked(column):
        return frozenset()
    fits = {each: share(column, f"number:{''.join(each)}") for each in NUMBER_READINGS}
    best = max(fits.values())
    return frozenset(mark for (mark, _), fit in fits.items() if fit == best >= MOSTLY)


def _marked(column: ColumnProfile) -> bool:
    """Whether marks stand in the numbers at all: digits alone fit every reading."""
    fits = {share(column, f"number:{''.join(each)}") for each in NUMBER_READINGS}
    return len(fits) > 1 or min(fits) < MOSTLY
