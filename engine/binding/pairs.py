"""What speaks for and against one column feeding one field: features of names and of values."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import log, sqrt

from rapidfuzz import fuzz

from engine.binding.learned import Support
from engine.binding.promised import promised
from engine.binding.similar import alike, same
from engine.binding.words import concepts, normalised, words
from engine.profile import ColumnProfile

#: Words that exclude each other: a home phone is no work phone.
_RIVALS = (
    frozenset({"work", "home", "other", "billing", "shipping", "mailing"}),
    frozenset({"phone", "mobile", "fax", "pager", "email", "website", "skype", "messenger"}),
    frozenset({"first_name", "last_name", "middle_name", "nickname", "maiden_name"}),
    frozenset({"street", "city", "state", "postal_code", "country", "po_box"}),
    frozenset({"start_date", "end_date", "created_at", "updated_at", "birth_date", "anniversary",
               "due_date", "close_date", "value_date", "booking_date", "hire_date", "expiry_date",
               "termination_date", "invoice_date", "order_date", "delivery_date", "purchase_date",
               "last_activity"}),
    frozenset({"customer_id", "supplier_id", "employee_id", "order_number", "invoice_number", "sku",
               "transaction_id", "ticket_id", "serial", "asset_tag", "check_number", "barcode",
               "account_number", "tracking_number", "postal_code", "tax_id", "national_id"}),
    frozenset({"debit", "credit", "balance", "tax", "discount", "total"}),
    frozenset({"assistant", "manager", "spouse", "children", "parent"}),
    frozenset({"id", "email", "phone", "status", "type", "description", "quantity", "price"}),
    frozenset({"day", "month", "year"}), frozenset({"latitude", "longitude"}),
    frozenset({"primary", "secondary", "other"}),
    frozenset({"customer", "supplier", "employee", "driver", "doctor", "teacher"}),
    frozenset({"price", "cost", "purchase_cost", "tax", "discount", "shipping_cost", "quantity"}),
)  # fmt: skip

#: A plain address or phone is the first of several; these words say first, and second.
_FIRST = frozenset({"primary", "work", "billing", "mailing"})
_SECOND = frozenset({"secondary", "other", "home", "shipping"})
_FURTHER = (("2",), ("3",), ("4",), ("5",))

FEATURES = (
    "letters", "words", "meaning", "covers_field", "covers_column", "same", "same_meaning",
    "inside", "initials", "head", "number_differs", "rivals", "loosely", "all_names", "all_rivals",
    "rank_agrees", "rank_differs", "described",
    "fits", "misfits", "promised", "broken", "kinds", "shapes", "shared_values", "shared_words", "lengths", "unlike",
    "remembered", "remembered_often", "remembered_words", "remembered_elsewhere",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One end of a pair: what it is called and, where known, what its values look like."""

    names: tuple[str, ...]
    key: str = ""  #: the field's name in memory
    about: str = ""  #: a longer description
    values: ColumnProfile | None = None


#: Words that say which of several, not what.
_WHICH = _FIRST | _SECOND
_FIRST_NAME, _LAST_NAME = ("first_name",), ("last_name",)

Weights = dict[str, float]
Alike = Callable[[str, str], float]
NOTHING = Support()


def in_company(sides: Sequence[Side]) -> list[Side]:
    """A bare "name" beside a first name alone is the last name, and the other way round."""
    meanings = {concepts(name) for side in sides for name in side.names}
    missing = {_LAST_NAME, _FIRST_NAME} - meanings
    if len(missing) != 1:
        return list(sides)
    meant = " ".join(missing.pop()).replace("_", " ")
    return [
        replace(side, names=(meant,)) if {concepts(n) for n in side.names} == {("name",)} else side
        for side in sides
    ]


def weights(sides: Iterable[Side]) -> Weights:
    """How telling each word or concept is: one that stands in every name tells little."""
    counts: Counter[str] = Counter()
    total = 0
    for side in sides:
        total += 1
        counts.update({part for name in side.names for part in (*words(name), *concepts(name))})
    # A bare number says which of several: that tells less than how rare it is.
    return {
        word: log(1 + total / count) * (0.5 if word.isdigit() else 1.0)
        for word, count in counts.items()
    }


def features(
    field: Side,
    column: Side,
    *,
    weigh: Weights,
    fits: float | None,
    memory: Support = NOTHING,
) -> list[float]:
    """The figures of `FEATURES` for this pair. `fits`: share of values the field's type holds."""
    header = column.names[0] if column.names else ""
    best = max(
        (_named(name, header, weigh) for name in field.names if name),
        key=lambda each: (each[5], each[6], each[2] + each[1] + each[0]),
        default=[0.0] * 13,
    )
    said = [
        *best,
        *_together(field.names, header, weigh),
        _described(field.about, header, weigh),
        0.0 if fits is None else fits,
        0.0 if fits is None else float(fits < 0.5),
        *promised(field.names, column.values),
    ]
    seen = _valued(field.values, column.values)
    recalled = [memory.header, memory.known * memory.header, memory.words, memory.against]
    return [*said, *seen, *recalled]


def _named(name: str, header: str, weigh: Weights) -> list[float]:
    one, two = normalised(name).replace(" ", ""), normalised(header).replace(" ", "")
    if not one or not two:
        return [0.0] * 13
    mine, theirs = concepts(name), concepts(header)
    both, field_only, column_only = _shared(mine, theirs, weigh)
    meaning = 2 * both / (2 * both + field_only + column_only)
    firm, field_rest, column_rest = _shared(mine, theirs, weigh, alike=same)
    spelled, left, right = _shared(words(name), words(header), weigh)
    shorter = min(len(one), len(two))
    return [
        fuzz.ratio(one, two) / 100,
        2 * spelled / (2 * spelled + left + right),
        meaning,
        both / (both + field_only),
        both / (both + column_only),
        float(one == two),
        float(sorted(mine) == sorted(theirs)),
        fuzz.partial_ratio(one, two) / 100 if shorter >= 4 else 0.0,
        float(_initials(name, header) or _initials(header, name)),
        float(bool(mine and theirs) and alike(_head(mine), _head(theirs)) > 0),
        float(_numbers(name) != _numbers(header)),
        float(_exclude(set(mine), set(theirs))),
        meaning - 2 * firm / (2 * firm + field_rest + column_rest),
    ]


def _head(meaning: Sequence[str]) -> str:
    """The last concept that says what it is: a work phone is a phone, and so is a phone (work)."""
    telling = [each for each in meaning if each not in _WHICH and not each.isdigit()]
    return (telling or meaning)[-1]


def _together(names: Sequence[str], header: str, weigh: Weights) -> list[float]:
    """What all names of the field say as one: a label such as "Home" is half of "home phone"."""
    mine = tuple(dict.fromkeys(part for name in names for part in concepts(name)))
    theirs = concepts(header)
    both, _, missing = _shared(theirs, mine, weigh)
    first, second = set(theirs), set(mine)
    ranks = [_rank(first, header), _rank(second, *names)]
    return [
        both / (both + missing) if mine else 0.0,
        float(_exclude(second, first)),
        float(ranks[0] == ranks[1] != 0),
        float(ranks[0] * ranks[1] < 0),
    ]


def _rank(meaning: set[str], *names: str) -> int:
    """1 for the first of several, -1 for a further one."""
    if meaning & _SECOND or any(_numbers(name) in _FURTHER for name in names):
        return -1
    return 1


@lru_cache(maxsize=20_000)
def _numbers(name: str) -> tuple[str, ...]:
    return tuple(word for word in words(name) if word.isdigit() and word != "1")


def _shared(
    left: Sequence[str], right: Sequence[str], weigh: Weights, *, alike: Alike = alike
) -> tuple[float, float, float]:
    """Weight of what both have, and of what only one has."""
    rest, both, only = list(right), 0.0, 0.0
    for word in left:
        scored = max(((alike(word, other), other) for other in rest), default=(0.0, ""))
        if scored[0]:
            both += scored[0] * (weigh.get(word, 1.0) + weigh.get(scored[1], 1.0)) / 2
            rest.remove(scored[1])
        else:
            only += weigh.get(word, 1.0)
    return both or 1e-9, only, sum(weigh.get(word, 1.0) for word in rest)


def _initials(short: str, long: str) -> bool:
    parts = words(long)
    return len(parts) > 1 and normalised(short) == "".join(part[0] for part in parts)


def _exclude(one: set[str], two: set[str]) -> bool:
    return any(one & group and two & group and not one & two & group for group in _RIVALS)


def _described(about: str, header: str, weigh: Weights) -> float:
    """How much of the header's meaning the description has."""
    if not about:
        return 0.0
    both, _, missing = _shared(tuple(dict.fromkeys(concepts(about))), concepts(header), weigh)
    return both / (both + missing)


def _valued(one: ColumnProfile | None, two: ColumnProfile | None) -> list[float]:
    """Likeness of two columns' values; all zero where one side has none."""
    if one is None or two is None or not one.filled or not two.filled:
        return [0.0] * 6
    kinds = _cosine(one.rates, two.rates)
    shapes = _cosine(_rate(one.shapes), _rate(two.shapes))
    mine, theirs = {v.casefold() for v, _ in one.top}, {v.casefold() for v, _ in two.top}
    shared = len(mine & theirs) / min(len(mine), len(theirs))
    some, others = _bag(mine), _bag(theirs)
    tokens = _cosine(some, others)
    lengths = min(_length(one), _length(two)) / max(_length(one), _length(two))
    unlike = float(kinds < 0.3 and shapes < 0.1)
    return [kinds, shapes, shared, tokens, lengths, unlike]


def _rate(shapes: Iterable[tuple[str, int]]) -> dict[str, float]:
    return {shape: float(count) for shape, count in shapes}


def _bag(texts: Iterable[str]) -> dict[str, float]:
    return {k: float(n) for k, n in Counter(w for text in texts for w in words(text)).items()}


def _length(column: ColumnProfile) -> float:
    total = sum(count for _, count in column.top)
    return max(1.0, sum(len(value) * count for value, count in column.top) / max(total, 1))


def _cosine(one: dict[str, float], two: dict[str, float]) -> float:
    dot = sum(value * two.get(key, 0.0) for key, value in one.items())
    size = sqrt(sum(v * v for v in one.values())) * sqrt(sum(v * v for v in two.values()))
    return dot / size if size else 0.0
