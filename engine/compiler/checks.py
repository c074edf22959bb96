"""The rules of a template as SQL conditions that are true where a value breaks them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from itertools import chain

from engine.compiler import expressions as sql
from engine.compiler.program import CellCode
from engine.errors import CompileError
from plans.template import (
    Compare,
    FieldType,
    RequireAny,
    RequiredIf,
    Rule,
    Severity,
    Template,
    TemplateField,
)

_A = {
    FieldType.INTEGER: "a whole number",
    FieldType.BOOLEAN: "yes or no",
    FieldType.EMAIL: "an e-mail address",
    FieldType.URL: "a web address with its scheme (https://…)",
    FieldType.DOMAIN: "a domain name",
    FieldType.PHONE: "a phone number with its country code (+49…)",
    FieldType.COUNTRY: "a country code of ISO 3166 (DE, US…)",
    FieldType.CURRENCY: "a currency code of ISO 4217 (EUR, USD…)",
    FieldType.UUID: "a UUID",
    FieldType.JSON: "valid JSON",
}
_UNREAD = {
    FieldType.DATE: "not a date in any of the plan's formats",
    FieldType.DATETIME: "not a date and time in any of the plan's formats",
    FieldType.TIME: "not a time in any of the plan's formats",
    FieldType.INTEGER: "not a whole number as the plan reads numbers",
}
_KINDS = {
    FieldType.INTEGER: "number",
    FieldType.DECIMAL: "number",
    FieldType.DATE: "date",
    FieldType.DATETIME: "date",
    FieldType.TIME: "time",
    FieldType.BOOLEAN: "boolean",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """One rule: where it is broken (SQL condition) and what is then said."""

    code: CellCode
    where: str
    message: str


def of_field(field: TemplateField, *, text: str, value: str) -> tuple[Broken, ...]:
    """The field's rules in the order they are asked: only the first broken one is reported."""
    return tuple(
        chain(_filled(field, text, value), _read(field, text, value), _limits(field, text, value))
    )


def _filled(field: TemplateField, text: str, value: str) -> list[Broken]:
    if not field.required:
        return []
    blank = f" OR ({value} BETWEEN ' ' AND '!' AND trim({value}) = '')"
    where = f"{text} IS NULL" + (blank if field.type is FieldType.STRING else "")
    return [Broken(code=CellCode.REQUIRED, where=where, message="empty, but a value is needed")]


def _read(field: TemplateField, text: str, value: str) -> list[Broken]:
    if field.type in (FieldType.STRING, FieldType.REFERENCE):
        return []
    where = f"{value} IS NULL AND {text} IS NOT NULL"
    code = CellCode.TYPE
    if field.type is FieldType.ENUM:
        code, message = CellCode.VALUE, f"not one of the allowed values: {_some(field.values)}"
    elif field.type is FieldType.DECIMAL:
        code = CellCode.FORMAT
        message = (
            f"not a number with at most {field.scale} decimal places as the plan reads numbers"
        )
    elif field.type in _UNREAD:
        code, message = CellCode.FORMAT, _UNREAD[field.type]
    else:
        message = f"not {_A[field.type]}"
    return [Broken(code=code, where=where, message=message)]


def _limits(field: TemplateField, text: str, value: str) -> list[Broken]:
    word = text if field.type in _KINDS else value
    found = []
    if field.pattern is not None:
        where = f"NOT regexp_full_match({word}, {sql.pattern(field.pattern)})"
        message = f"does not match the pattern {field.pattern}"
        found.append(Broken(code=CellCode.PATTERN, where=where, message=message))
    if field.min is not None:
        where = f"{value} < {constant(field, field.min)}"
        found.append(Broken(code=CellCode.MIN, where=where, message=f"less than {field.min}"))
    if field.max is not None:
        where = f"{value} > {constant(field, field.max)}"
        found.append(Broken(code=CellCode.MAX, where=where, message=f"more than {field.max}"))
    if field.min_length is not None:
        where, message = f"length({word}) < {field.min_length}", f"{field.min_length} characters"
        found.append(
            Broken(code=CellCode.TOO_SHORT, where=where, message=f"shorter than {message}")
        )
    if field.max_length is not None:
        most = field.max_length
        # Bytes are counted for free, and there are never fewer bytes than characters.
        where = f"strlen({word}) > {most} AND length({word}) > {most}"
        message = f"longer than {most} characters"
        found.append(Broken(code=CellCode.TOO_LONG, where=where, message=message))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class RowRule:
    """A rule about one row: the field it is told of (none: the row), all fields it reads."""

    broken: Broken
    field: str | None
    fields: tuple[str, ...]
    severity: Severity


def of_row(template: Template, rule: Rule, value: Callable[[str], str]) -> RowRule | None:
    """A rule that one row can break; `value` gives a field's final SQL. None for rules across rows."""
    match rule:
        case RequireAny():
            where = " AND ".join(f"{value(name)} IS NULL" for name in rule.fields)
            message = f"one of these is needed: {', '.join(rule.fields)}"
            broken = Broken(code=CellCode.REQUIRE_ANY, where=where, message=message)
            return RowRule(broken=broken, field=None, fields=rule.fields, severity=rule.severity)
        case RequiredIf():
            asked = template.field(rule.when)
            values = ", ".join(constant(asked, each) for each in rule.values)
            where = f"{value(rule.field)} IS NULL AND {value(rule.when)} IN ({values})"
            message = f"needed where {rule.when} is {_some(rule.values)}"
            broken = Broken(code=CellCode.REQUIRED_IF, where=where, message=message)
            fields = (rule.field, rule.when)
            return RowRule(broken=broken, field=rule.field, fields=fields, severity=rule.severity)
        case Compare():
            return _compared(template, rule, value)
        case _:
            return None


def _compared(template: Template, rule: Compare, value: Callable[[str], str]) -> RowRule:
    left = template.field(rule.left)
    if rule.right is not None:
        other = template.field(rule.right)
        if _KINDS.get(left.type) != _KINDS.get(other.type):
            raise CompileError(
                f"rule compare of template {template.template!r}: {rule.left} ({left.type}) and"
                f" {rule.right} ({other.type}) cannot be compared"
            )
        right, told = value(rule.right), rule.right
    else:
        right, told = constant(left, str(rule.value)), str(rule.value)
    where = f"NOT ({value(rule.left)} {rule.op} {right})"
    message = f"breaks the rule {rule.left} {rule.op} {told}"
    broken = Broken(code=CellCode.COMPARE, where=where, message=message)
    fields = (rule.left, *([rule.right] if rule.right else []))
    return RowRule(broken=broken, field=rule.left, fields=fields, severity=rule.severity)


def constant(field: TemplateField, value: str) -> str:
    """A value of the plan as a literal of the field's type; CompileError when it is none."""
    try:
        match _KINDS.get(field.type):
            case "number":
                return _number(field, Decimal(value))
            case "date":
                moment = datetime.fromisoformat(value)
                utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
                return f"TIMESTAMP '{utc.isoformat(sep=' ')}'"
            case "time":
                return f"TIME '{time.fromisoformat(value).replace(tzinfo=None).isoformat()}'"
            case "boolean":
                return {"true": "TRUE", "false": "FALSE"}[value.lower()]
            case _:
                return sql.text(value)
    except (ValueError, InvalidOperation, KeyError):
        raise CompileError(
            f"{value!r} cannot be compared with field {field.name!r} of type {field.type}"
        ) from None


def _number(field: TemplateField, limit: Decimal) -> str:
    if not limit.is_finite() or limit.adjusted() > 30 or len(limit.as_tuple().digits) > 36:
        raise ValueError(limit)
    if field.type is FieldType.INTEGER and limit == int(limit):
        return str(int(limit))
    return f"{limit:f}"


def _some(values: tuple[str, ...]) -> str:
    more = f" … ({len(values)} in all)" if len(values) > 12 else ""
    return ", ".join(values[:12]) + more
