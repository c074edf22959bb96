"""Everything a model may say: closed, typed, and held against what it was offered."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.compiler.codes import country_codes, currency_codes
from engine.kinds import DATE_FORMATS, TIME_FORMATS
from engine.mapping.shown import clean, labels
from engine.mapping.units import factor, siblings
from plans.template import FieldType, TemplateField

_CLOSED = ConfigDict(frozen=True, extra="forbid", strict=True)
#: What stands between the parts of a value, and between values that become one.
SEPARATORS = (" ", ", ", ",", ";", " - ", "-", "/", "|", "_", ".")
#: Parts count from the front, or from the back.
PARTS = (0, 1, 2, -1, -2)


class Match(BaseModel):
    """A field and its column's number; -1 for none."""

    model_config = _CLOSED
    field: str
    column: int


class Meaning(BaseModel):
    """What an unknown value (by its number) of a list, yes-or-no or code field means."""

    model_config = _CLOSED
    field: str
    value: int
    means: str


class Written(BaseModel):
    """How the unread dates of a field are written; `time` is empty for days alone."""

    model_config = _CLOSED
    field: str
    date: str
    time: str = ""


class Marked(BaseModel):
    """The marks of a field's unread numbers."""

    model_config = _CLOSED
    field: str
    decimal: Literal[".", ","]
    thousands: Literal["", ",", ".", " ", "'"]


class Measured(BaseModel):
    """The unit in which the field holds numbers that the file writes in another one."""

    model_config = _CLOSED
    field: str
    unit: str


class Part(BaseModel):
    """A field that is one part of a column's values."""

    model_config = _CLOSED
    field: str
    column: int
    separator: str
    part: int
    rest: bool = False


class Joint(BaseModel):
    """A field whose value stands in several columns."""

    model_config = _CLOSED
    field: str
    columns: tuple[int, ...]
    separator: str


class Answer(BaseModel):
    """One answer about one table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    matches: tuple[Match, ...] = ()
    meanings: tuple[Meaning, ...] = ()
    dates: tuple[Written, ...] = ()
    numbers: tuple[Marked, ...] = ()
    units: tuple[Measured, ...] = ()
    parts: tuple[Part, ...] = ()
    joins: tuple[Joint, ...] = ()

    @property
    def written(self) -> tuple[Written | Marked, ...]:
        """How values are written."""
        return (*self.dates, *self.numbers)

    @property
    def composed(self) -> tuple[Part | Joint, ...]:
        """Fields that are no single column."""
        return (*self.parts, *self.joins)

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field it speaks of."""
        told = (self.matches, self.meanings, self.units, self.written, self.composed)
        return tuple(each.field for group in told for each in group)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One open field, and everything an answer about it may name."""

    field: TemplateField
    candidates: tuple[tuple[int, float], ...] = ()  #: column and the confidence it has so far
    sources: tuple[int, ...] = ()  #: columns it may be cut out of, or put together from
    unknown: tuple[tuple[str, int], ...] = ()  #: values nothing maps, with their cells
    unread: tuple[tuple[str, int], ...] = ()  #: dates or numbers nothing reads, with their cells
    shapes: tuple[tuple[str, int], ...] = ()  #: of the unread, with their cells
    unit: str = ""  #: the one unit behind the unread numbers

    @property
    def dated(self) -> bool:
        """Whether it asks how dates are written."""
        return bool(self.shapes) and self.field.type in (FieldType.DATE, FieldType.DATETIME)

    @property
    def numeric(self) -> bool:
        """Whether it asks how numbers are written."""
        return bool(self.shapes) and not self.dated

    @property
    def numbers(self) -> tuple[int, ...]:
        """The unknown values that may be shown."""
        return tuple(at for at, _ in labels(self.unknown))

    def means(self, word: str) -> bool:
        """Whether an unknown value may mean that."""
        return word in meanings(self.field)


def meanings(field: TemplateField) -> tuple[str, ...]:
    """Every word a value of this field can stand for; none where there is no closed list."""
    match field.type:
        case FieldType.ENUM:
            return field.values
        case FieldType.BOOLEAN:
            return ("yes", "no")
        case FieldType.COUNTRY:
            return country_codes()
        case FieldType.CURRENCY:
            return currency_codes()
        case _:
            return ()


def schema(asked: Sequence[Asked]) -> dict[str, Any]:
    """JSON Schema of an answer whose every word is from a closed list; only what is asked is in it."""
    lists = {name: made for name, of in _LISTS.items() if (made := of(asked))}
    return _object(lists)


def wrong(asked: Sequence[Asked], answer: Answer) -> str | None:
    """What an answer names that was not offered; None when there is nothing."""
    offered = {each.field.name: each for each in asked}
    if strange := [name for name in answer.fields if name not in offered]:
        return f"there is no field {clean(strange[0])!r}"
    told = (
        *(_unmatched(offered[each.field], each) for each in answer.matches),
        *(_meaningless(offered[each.field], each) for each in answer.meanings),
        *(_misread(offered[each.field], each) for each in answer.written),
        *(_unmeasured(offered[each.field], each) for each in answer.units),
        *(_unparted(offered[each.field], each) for each in answer.composed),
        _twice(answer),
    )
    return next((each for each in told if each), None)


def _unmatched(asked: Asked, said: Match) -> str | None:
    if said.column == -1 or said.column in [at for at, _ in asked.candidates]:
        return None
    return f"column {said.column} is no candidate of {said.field}"


def _meaningless(asked: Asked, said: Meaning) -> str | None:
    if said.value in asked.numbers and asked.means(said.means):
        return None
    return f"value {said.value} of {said.field!r} cannot mean that"


def _misread(asked: Asked, said: Written | Marked) -> str | None:
    if isinstance(said, Marked):
        fine = asked.numeric and said.decimal != said.thousands
        return None if fine else f"the numbers of {said.field!r} cannot be written so"
    timed = asked.field.type is FieldType.DATETIME
    known = said.date in DATE_FORMATS and said.time in (("", *TIME_FORMATS) if timed else ("",))
    return None if asked.dated and known else f"the dates of {said.field!r} cannot be written so"


def _unmeasured(asked: Asked, said: Measured) -> str | None:
    if asked.unit and factor(asked.unit, said.unit) is not None:
        return None
    return f"{asked.unit or 'no unit'} of {said.field!r} cannot be told exactly in that unit"


def _unparted(asked: Asked, said: Part | Joint) -> str | None:
    columns = (said.column,) if isinstance(said, Part) else said.columns
    if not set(columns) <= set(asked.sources):
        return f"{said.field!r} cannot come from column {', '.join(map(str, columns))}"
    whole = isinstance(said, Part) or 2 <= len(set(columns)) == len(columns) <= 4
    known = said.separator in SEPARATORS and (isinstance(said, Joint) or said.part in PARTS)
    return None if whole and known else f"{said.field!r} cannot be cut or joined so"


def _twice(answer: Answer) -> str | None:
    taken = [each.column for each in answer.matches if each.column != -1]
    if len(taken) != len(set(taken)):
        return "a column is used for two fields"
    fed = [each.field for each in answer.matches if each.column != -1]
    fed += [each.field for each in answer.composed]
    asked = [each.field for each in answer.matches]
    if len(fed) != len(set(fed)) or len(asked) != len(set(asked)):
        return "a field is answered twice"
    return None


def _matches(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if each.candidates]
    columns = sorted({at for each in mine for at, _ in each.candidates})
    return _each(mine, column=_listed([-1, *columns], kind="integer"))


def _meant(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if each.numbers]
    words = sorted({word for each in mine for word in meanings(each.field)})
    return _each(mine, value={"type": "integer"}, means=_listed(words))


def _dates(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if each.dated]
    return _each(mine, date=_listed(DATE_FORMATS), time=_listed(("", *TIME_FORMATS)))


def _numbers(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if each.numeric and not each.unit]
    return _each(mine, decimal=_listed(".,"), thousands=_listed(("", *",. '")))


def _units(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if each.unit]
    return _each(mine, unit=_listed(sorted({to for each in mine for to in siblings(each.unit)})))


def _parts(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if each.sources]
    return _each(
        mine,
        column=_listed(sorted({at for each in mine for at in each.sources}), kind="integer"),
        separator=_listed(SEPARATORS),
        part=_listed(PARTS, kind="integer"),
        rest={"type": "boolean"},
    )


def _joins(asked: Sequence[Asked]) -> dict[str, Any] | None:
    mine = [each for each in asked if len(each.sources) > 1]
    columns = _listed(sorted({at for each in mine for at in each.sources}), kind="integer")
    several = {"type": "array", "minItems": 2, "maxItems": 4, "items": columns}
    return _each(mine, columns=several, separator=_listed(SEPARATORS))


_LISTS: dict[str, Callable[[Sequence[Asked]], dict[str, Any] | None]] = {
    "matches": _matches, "meanings": _meant, "dates": _dates, "numbers": _numbers,
    "units": _units, "parts": _parts, "joins": _joins,
}  # fmt: skip


def _each(asked: Sequence[Asked], **members: Any) -> dict[str, Any] | None:
    """A list of such objects about these fields; nothing where no field is asked about."""
    if not asked:
        return None
    names = _listed([each.field.name for each in asked])
    # Without an end a small model says the same again and again.
    most = sum(max(1, len(each.numbers)) for each in asked)
    return {"type": "array", "maxItems": most, "items": _object({"field": names, **members})}


def _object(members: dict[str, Any]) -> dict[str, Any]:
    # Strict providers want every member required and no others.
    return {
        "type": "object",
        "properties": members,
        "required": list(members),
        "additionalProperties": False,
    }


def _listed(words: Iterable[Any], *, kind: str = "string") -> dict[str, Any]:
    return {"type": kind, "enum": list(words)}
