"""What a cell's text must be to have a field's type, and the DuckDB type it is then kept in."""

from engine.compiler import codes, transforms
from engine.compiler import expressions as sql
from engine.sql import literal
from plans import transforms as ops
from plans.template import FieldType, TemplateField

#: Types whose text is kept as it is: white space around it belongs to the value.
AS_IS = (FieldType.STRING, FieldType.ENUM, FieldType.JSON)

#: Types kept as text once their form is checked.
FORMS = {
    FieldType.EMAIL: r"[a-z0-9.!#$%&'*+/=?^_`{|}~\p{Ll}\p{Lo}-]+@([a-z0-9\p{Ll}\p{Lo}]([a-z0-9\p{Ll}\p{Lo}-]*[a-z0-9\p{Ll}\p{Lo}])?[.])+[a-z\p{Ll}\p{Lo}]{2,}",
    FieldType.DOMAIN: r"([a-z0-9\p{Ll}\p{Lo}_]([a-z0-9\p{Ll}\p{Lo}_-]*[a-z0-9\p{Ll}\p{Lo}])?[.])+[a-z\p{Ll}\p{Lo}][a-z0-9\p{Ll}\p{Lo}-]*[a-z0-9\p{Ll}\p{Lo}]",
    FieldType.PHONE: r"[+][1-9][0-9]{6,14}",
}  # fmt: skip

#: The rest of a URL may hold anything but blanks, which is asked for without a pattern.
_URL_START = r"^(?i:https?|ftp)://[^\s/?#]"

UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_SQL = {
    FieldType.INTEGER: "BIGINT",
    FieldType.BOOLEAN: "BOOLEAN",
    FieldType.DATE: "DATE",
    FieldType.DATETIME: "TIMESTAMP",
    FieldType.TIME: "TIME",
}

_READERS = {
    FieldType.DATE: ops.Date,
    FieldType.DATETIME: ops.DateTime,
    FieldType.TIME: ops.Time,
}

#: Types written in lower case, and the transforms after which they are.
LOWER = (FieldType.EMAIL, FieldType.DOMAIN)
LOWERING = (ops.Email, ops.Domain)


def sql_type(field: TemplateField) -> str:
    """The DuckDB type of the field's values; datetimes are UTC without a zone."""
    if field.type is FieldType.DECIMAL:
        return f"DECIMAL({max(field.precision, field.scale)}, {field.scale})"
    return _SQL.get(field.type, "VARCHAR")


def reads(field: TemplateField, transform: ops.Transform) -> bool:
    """Whether the transform reads the field's own type, so that no way over text is needed."""
    return type(transform) is _READERS.get(field.type)


def read(transform: ops.Transform, x: str) -> str:
    """The typed value of a transform that reads a date, moment or time."""
    match transform:
        case ops.Date():
            return sql.date(x, transform.formats, serial=transform.excel_serial)
        case ops.DateTime():
            return transforms.moment(transform, x)
        case ops.Time():
            return sql.clock(x, transform.formats)
    raise TypeError(f"{transform.op} reads no type")


def typed(field: TemplateField, x: str) -> str:
    """The value of the field's type, NULL where the text is none."""
    match field.type:
        case FieldType.STRING | FieldType.REFERENCE:
            return x
        case FieldType.INTEGER:
            return _where(x, "[+-]?[0-9]{1,19}([.]0*)?", f"TRY_CAST({x} AS BIGINT)")
        case FieldType.DECIMAL:
            # The pattern keeps DuckDB from rounding decimal places away.
            places = f"[.][0-9]{{0,{field.scale}}}0*"
            return _where(
                x, f"[+-]?([0-9]+({places})?|{places})", f"TRY_CAST({x} AS {sql_type(field)})"
            )
        case FieldType.BOOLEAN:
            yes, no = (
                sql.among(f"lower({x})", ops.TRUE_WORDS),
                sql.among(f"lower({x})", ops.FALSE_WORDS),
            )
            return f"CASE WHEN {yes} THEN TRUE WHEN {no} THEN FALSE END"
        case FieldType.DATE:
            return sql.date(x)
        case FieldType.DATETIME:
            return sql.moment(x)
        case FieldType.TIME:
            return sql.clock(x)
        case FieldType.EMAIL | FieldType.DOMAIN | FieldType.PHONE:
            return _where(x, FORMS[field.type], x)
        case FieldType.URL:
            return f"CASE WHEN {is_url(x)} THEN {x} END"
        case FieldType.COUNTRY:
            return _where(x, "|".join(codes.country_codes()), x)
        case FieldType.CURRENCY:
            return _where(x, "|".join(codes.currency_codes()), x)
        case FieldType.UUID:
            other = f"CAST(TRY_CAST({x} AS UUID) AS VARCHAR)"
            return f"CASE WHEN regexp_full_match({x}, '{UUID}') THEN {x} ELSE {other} END"
        case FieldType.ENUM:
            return f"CASE WHEN {sql.among(x, field.values)} THEN {x} END"
        case FieldType.JSON:
            return f"CASE WHEN json_valid({x}) THEN {x} END"


def is_url(x: str) -> str:
    """Whether the text starts as a URL and holds no blank; a pattern for all of it costs twice."""
    return f"regexp_matches({x}, {literal(_URL_START)}) AND {no_blanks(x)}"


def no_blanks(x: str) -> str:
    """Whether the text holds no white space of ASCII."""
    return " AND ".join(f"NOT contains({x}, {literal(mark)})" for mark in " \t\n\f\r")


def canonical(field_type: FieldType, sql_type: str, v: str) -> str:
    """The one text form of a typed value, for CSV."""
    if field_type is FieldType.DECIMAL and not sql_type.endswith(", 0)"):
        return sql.plain(v)
    if field_type is FieldType.DATETIME:
        return f"strftime({v}, '%Y-%m-%dT%H:%M:%SZ')"
    return v


def _where(x: str, form: str, value: str) -> str:
    return f"CASE WHEN regexp_full_match({x}, {literal(form)}) THEN {value} END"
