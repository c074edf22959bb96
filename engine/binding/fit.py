"""How well a column's values fit a field's type and constraints, from the profile alone."""

from collections.abc import Iterable

from engine.kinds import DATE_FORMATS, NUMBER_READINGS, TIME_FORMATS
from engine.profile import ColumnProfile
from plans.template import FieldType, TemplateField

#: Types whose values are told from others by their look; text and plain numbers are not.
TELLING = frozenset(
    {
        FieldType.EMAIL, FieldType.URL, FieldType.DOMAIN, FieldType.PHONE, FieldType.UUID,
        FieldType.DATE, FieldType.DATETIME, FieldType.ENUM, FieldType.BOOLEAN,
    }
)  # fmt: skip


def best(column: ColumnProfile, prefix: str, names: Iterable[str]) -> float:
    """The highest rate among kinds of one family, such as every date format."""
    return max((column.rate(f"{prefix}:{name}") for name in names), default=0.0)


def dated(column: ColumnProfile) -> float:
    """Share of values that are a date in the column's best format."""
    return best(column, "date", DATE_FORMATS)


def numeric(column: ColumnProfile) -> float:
    """Share of values that are a number in the column's best reading."""
    return best(column, "number", (f"{decimal}{group}" for decimal, group in NUMBER_READINGS))


def fit(column: ColumnProfile, field: TemplateField) -> float | None:
    """Share of filled values the field's type could hold; None when the column is empty."""
    real = column.filled * (1 - column.rate("null_word"))
    if real < 1:
        return None
    share = _fit(column, field) * column.filled / real
    return min(1.0, share)


def _fit(column: ColumnProfile, field: TemplateField) -> float:
    rate = column.rate
    match field.type:
        case FieldType.INTEGER | FieldType.DECIMAL:
            return numeric(column)
        case FieldType.BOOLEAN:
            return rate("boolean")
        case FieldType.DATE | FieldType.DATETIME:
            return max(dated(column), rate("excel_serial"), rate("epoch"))
        case FieldType.TIME:
            return max(rate("clock"), best(column, "time", TIME_FORMATS))
        case FieldType.EMAIL | FieldType.UUID | FieldType.JSON:
            return rate(field.type.value)
        case FieldType.URL | FieldType.DOMAIN:
            return max(rate("url") + rate("domain"), rate("email") * 0.5)
        case FieldType.PHONE:
            return max(rate("phone"), rate("integer") if column.min_length >= 7 else 0.0)
        case FieldType.ENUM:
            return known(column, field.values)
        case FieldType.COUNTRY:
            return max(rate("code2"), rate("code3"), rate("letters"))
        case FieldType.CURRENCY:
            return max(rate("code3"), 0.9 * rate("letters"))
        case _:
            return _text(column, field)


def known(column: ColumnProfile, words: tuple[str, ...]) -> float:
    """Share of the most frequent values that are one of these words."""
    folded = {each.casefold() for each in words}
    seen = sum(count for _, count in column.top)
    return sum(count for value, count in column.top if value.casefold() in folded) / max(seen, 1)


def _text(column: ColumnProfile, field: TemplateField) -> float:
    """Any text is a string; one that is plainly something else is a weaker one."""
    if field.max_length is not None and column.min_length > field.max_length:
        return 0.0
    odd = max(column.rate("email"), dated(column), column.rate("url"), column.rate("uuid"))
    return 1.0 - 0.5 * odd
