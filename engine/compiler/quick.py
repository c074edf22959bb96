"""Cells that need none of their transforms, told by one look: most cells of most files.

A transform that changes nothing in such a cell may stand in the chain; with any other there is no
short cut. The result never differs, only its cost: a third less for the usual columns.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engine.compiler import codes, types
from engine.compiler.expressions import mapped
from engine.compiler.transforms import marked, whole_digits
from engine.sql import literal
from plans import transforms as ops
from plans.template import FieldType, TemplateField


@dataclass(frozen=True, kw_only=True, slots=True)
class Quick:
    """SQL over a cell: whether it may take the short cut, and its value if so.

    `bare` is what becomes of most cells, where test and value are over that.
    """

    test: str
    value: str
    bare: str = ""


#: The transforms that leave a canonical text of the type alone, beside trim and default.
_IDLE: dict[FieldType, type] = {
    FieldType.EMAIL: ops.Email,
    FieldType.DOMAIN: ops.Domain,
    FieldType.URL: ops.Url,
    FieldType.PHONE: ops.Phone,
    FieldType.COUNTRY: ops.Country,
    FieldType.CURRENCY: ops.Currency,
}


def quick(
    field: TemplateField, chain: tuple[ops.Transform, ...], cell: str, *, bare: str
) -> Quick | None:
    """The short cut for this chain; None where there is none. `bare`: a name for what it needs."""
    steps = [each for each in chain if not isinstance(each, ops.Trim | ops.Default)]
    if field.type in (FieldType.INTEGER, FieldType.DECIMAL):
        return _number(field, steps, cell)
    idle = (_IDLE.get(field.type), ops.Case if field.type in types.LOWER else None)
    if any(type(each) not in idle for each in steps):
        return None
    if field.type is FieldType.PHONE and steps:
        # Blanks and hyphens are all there is between the digits of most numbers.
        digits = f"replace(replace({cell}, ' ', ''), '-', '')"
        form = literal(types.FORMS[field.type])
        return Quick(test=f"regexp_full_match({bare}, {form})", value=bare, bare=digits)
    if field.type is FieldType.COUNTRY and steps:
        return Quick(test=f"{bare} IS NOT NULL", value=bare, bare=_country(cell))
    test = _test(field.type, cell)
    return Quick(test=test, value=cell) if test else None


def _country(cell: str) -> str:
    """The code of a cell that is one, or an everyday name."""
    coded = f"CASE WHEN {_test(FieldType.COUNTRY, cell)} THEN {cell} END"
    named = mapped(f"lower({cell})", codes.everyday_countries(), otherwise="NULL")
    return f"CASE WHEN strlen({cell}) = 2 THEN {coded} ELSE {named} END"


def _test(kind: FieldType, cell: str) -> str | None:
    match kind:
        case FieldType.EMAIL:
            return f"regexp_full_match({cell}, {_plain(kind)})"
        case FieldType.PHONE:
            return f"regexp_full_match({cell}, {literal(types.FORMS[kind])})"
        case FieldType.DOMAIN:
            return f"NOT starts_with({cell}, 'www.') AND regexp_full_match({cell}, {_plain(kind)})"
        case FieldType.URL:
            return f"({_lettered(cell)}) AND {types.no_blanks(cell)}"
        case FieldType.UUID:
            return f"regexp_full_match({cell}, '{types.UUID}')"
        case FieldType.COUNTRY:
            return f"regexp_full_match({cell}, '{'|'.join(codes.country_codes())}')"
        case FieldType.CURRENCY:
            return f"regexp_full_match({cell}, '{'|'.join(codes.currency_codes())}')"
    return None


def _plain(kind: FieldType) -> str:
    """The type's form for ASCII alone, which is matched faster."""
    return literal(types.FORMS[kind].replace(r"\p{Ll}\p{Lo}", ""))


def _lettered(cell: str) -> str:
    """Whether a small letter follows https:// or http://, by comparing instead of matching."""
    starts = ("https://", "http://")
    return " OR ".join(f"({cell} >= '{start}a' AND {cell} < '{start}{{')" for start in starts)


def _number(field: TemplateField, steps: Sequence[ops.Transform], cell: str) -> Quick | None:
    """Digits with the marks of the one number transform, and no more places than the field keeps."""
    number = ops.Number()
    match steps:
        case [ops.Number() as only] if only.scale == "1":
            number = only
        case [_, *_]:
            return None
    whole, mark = whole_digits(number), re.escape(number.decimal)
    places = f"({mark}[0-9]{{0,{field.scale}}})?" if field.type is FieldType.DECIMAL else ""
    test = f"regexp_full_match({cell}, {literal(whole + places)})"
    value = f"TRY_CAST({marked(number, cell)} AS {types.sql_type(field)})"
    return Quick(test=test, value=value)
