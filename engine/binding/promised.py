"""What values a field's name promises, and how well a column keeps it: a birth date holds dates."""

from collections.abc import Callable, Iterable, Mapping

from engine.binding.fit import dated, numeric
from engine.binding.words import concepts
from engine.profile import ColumnProfile

Kept = Callable[[ColumnProfile], float]

#: Below this share of values a promise is broken.
BROKEN = 0.3


def _phone(column: ColumnProfile) -> float:
    return max(column.rate("phone"), column.rate("integer") if column.min_length >= 6 else 0.0)


def _moment(column: ColumnProfile) -> float:
    return max(dated(column), column.rate("excel_serial"), column.rate("epoch"))


def _web(column: ColumnProfile) -> float:
    return column.rate("url") + column.rate("domain")


def _words(column: ColumnProfile) -> float:
    """Neither numbers nor moments nor addresses of machines: what people and places are called."""
    other = max(numeric(column), dated(column), column.rate("email"), _web(column))
    return 1 - min(1.0, other)


def _code(column: ColumnProfile) -> float:
    """Short letters: codes of countries and currencies, or their names."""
    return max(column.rate("code2"), column.rate("code3"), column.rate("letters"))


_PROMISES: Mapping[Kept, str] = {
    _moment: "date birth_date anniversary created_at updated_at start_date end_date due_date "
    "close_date value_date booking_date purchase_date",
    numeric: "amount price total tax discount balance debit credit quantity cost fee net gross "
    "subtotal purchase_cost revenue employees latitude longitude percent probability weight "
    "length width height year month day age count stock rate",
    _phone: "phone mobile fax pager",
    lambda column: column.rate("email"): "email",
    _web: "website domain",
    _code: "currency country",
    _words: "first_name last_name middle_name full_name name company city street department "
    "job_title manager owner supplier customer payee brand notes description product",
}
_KEPT = {concept: kept for kept, concepts in _PROMISES.items() for concept in concepts.split()}


def promised(names: Iterable[str], column: ColumnProfile | None) -> tuple[float, float]:
    """How much of the promise is kept beyond words, and 1.0 where it is broken."""
    if column is None or column.filled < 1:
        return 0.0, 0.0
    last = [meaning[-1] for name in names if (meaning := concepts(name))]
    promises = {_KEPT[each] for each in last if each in _KEPT}
    if len(promises) != 1:
        return 0.0, 0.0
    (kept,) = promises
    share = kept(column)
    return (0.0 if kept is _words else share), float(share < BROKEN)
