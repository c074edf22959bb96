"""What differs between the file the plan expects and the file that came. Facts, no repair."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.binding import Binding, Bound, Pass
from engine.intake.source import Source
from plans.plan import Mapping, SheetPlan
from plans.template import Reference


class DriftCode(StrEnum):
    """Kinds of drift; the same difference is reported once."""

    UNLIKE = "unlike_plan"  #: hardly one of the columns the plan asks for: perhaps the wrong file
    RENAMED = "column_renamed"  #: the field's column came under another header
    MOVED = "column_moved"  #: a column addressed by position stands elsewhere
    REORDERED = "columns_reordered"  #: the same columns in another order
    MISSING = "column_missing"  #: no column for a mapped field
    EXTRA = "column_extra"  #: a column the plan does not know
    DELIMITER = "delimiter_changed"  #: another delimiter than the plan says
    ENCODING = "encoding_changed"  #: another encoding than the plan says
    HEADER = "header_moved"  #: the header stands in another row
    FORMAT = "value_format_changed"  #: dates, numbers or booleans are written differently
    VALUE = "value_unknown"  #: a value no map or enum knows
    TYPE = "value_type_changed"  #: values of another kind than the field's
    UNCHECKED = "reference_unchecked"  #: no row is there yet that a reference could be held against


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One difference with its evidence. `used`: a field of the plan is concerned."""

    code: DriftCode
    sheet: str
    message: str
    field: str | None = None
    expected: str | None = None
    found: str | None = None
    count: int = 1
    used: bool = True


def unchecked(sheet: str, field: str, at: Reference, *, values: int) -> Drift:
    """Of so many values nobody can say whether they hold."""
    return Drift(
        code=DriftCode.UNCHECKED,
        sheet=sheet,
        field=field,
        expected=f"{at.template}.{at.field}",
        count=values,
        message=f"{values} values of {field} were not checked: no row of {at.template} with a "
        f"{at.field} is there; import {at.template} before, or together",
    )


#: With a smaller share of the columns that a plan names, a file is hardly of the plan's kind. Of the
#: shipped fixtures' files their own plans find .75 or more, however drifted.
LIKE = 0.34
#: Of fewer names than these a file may well have none.
TELLING = 4
#: Passes that find the plan's own header or a known alias of it where it is expected.
_AS_PLANNED = (Pass.EXACT, Pass.GIVEN)


def drifts(sheet: SheetPlan, source: Source, binding: Binding) -> tuple[Drift, ...]:
    """Every difference in headers and reading; differences in values come from the invalid cells."""
    found = _unlike(sheet, source, binding)
    for mapping in sheet.mappings:
        bound = binding.bound(mapping.field)
        if bound is not None:
            found += _renamed(sheet, mapping, bound, source)
            found += _moved(sheet, mapping, bound)
        elif mapping.field in binding.missing and not mapping.optional:
            found.append(_missing(sheet, mapping))
    found += _reordered(sheet, binding)
    found += [_extra(sheet, source.columns[at], at) for at in binding.extra]
    return (*found, *_reading(sheet, source))


def _unlike(sheet: SheetPlan, source: Source, binding: Binding) -> list[Drift]:
    fields = {
        column.header: mapping.field
        for mapping in sheet.mappings
        if not mapping.optional
        for column in mapping.columns
        if column.header is not None
    }
    missing = [name for name, field in fields.items() if binding.bound(field) is None]
    there = len(fields) - len(missing)
    if len(fields) < TELLING or there >= LIKE * len(fields):
        return []
    place = f", sheet {source.sheet}," if source.sheet else ""
    return [
        Drift(
            code=DriftCode.UNLIKE,
            sheet=sheet.name,
            expected=_listed(missing),
            found=_listed(source.columns),
            count=source.read,
            message=f"{source.file}{place} does not look like a file of {sheet.name}: "
            f"{there} of {len(fields)} planned columns found",
        )
    ]


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def _renamed(sheet: SheetPlan, mapping: Mapping, bound: Bound, source: Source) -> list[Drift]:
    if bound.by in _AS_PLANNED:
        return []
    return [
        Drift(
            code=DriftCode.RENAMED,
            sheet=sheet.name,
            field=mapping.field,
            expected=column.names[0],
            found=source.columns[at],
            message=f"{column.names[0]!r} came as {source.columns[at]!r} ({bound.evidence})",
        )
        for column, at in zip(mapping.columns, bound.columns, strict=False)
        if column.names and source.columns[at] != column.header
    ]


def _moved(sheet: SheetPlan, mapping: Mapping, bound: Bound) -> list[Drift]:
    return [
        Drift(
            code=DriftCode.MOVED,
            sheet=sheet.name,
            field=mapping.field,
            expected=f"number {column.position}",
            found=f"number {at}",
            message=f"column number {column.position} came as number {at} ({bound.evidence})",
        )
        for column, at in zip(mapping.columns, bound.columns, strict=False)
        if bound.by is Pass.VALUES and column.header is None and column.position not in (None, at)
    ]


def _missing(sheet: SheetPlan, mapping: Mapping) -> Drift:
    wanted = ", ".join(
        repr(column.header) if column.header is not None else f"number {column.position}"
        for column in mapping.columns
    )
    return Drift(
        code=DriftCode.MISSING,
        sheet=sheet.name,
        field=mapping.field,
        expected=wanted,
        message=f"no column for {mapping.field!r}: the plan expects {wanted}",
    )


def _reordered(sheet: SheetPlan, binding: Binding) -> list[Drift]:
    order = [
        bound.columns[0]
        for mapping in sheet.mappings
        if mapping.columns and mapping.columns[0].header is not None
        if (bound := binding.bound(mapping.field)) and bound.columns
    ]
    # A plan lists its columns in the order of the file it was made from, or in no order at all.
    straight = list(dict.fromkeys(order))
    if len(straight) < 2 or straight == sorted(straight):
        return []
    return [
        Drift(
            code=DriftCode.REORDERED,
            sheet=sheet.name,
            message="the columns stand in another order than in the plan; headers decide",
            used=False,
        )
    ]


def _extra(sheet: SheetPlan, header: str, at: int) -> Drift:
    name = repr(header) if header else f"number {at} (nameless)"
    message = f"column {name} is not used by any field ({sheet.extra_columns})"
    return Drift(code=DriftCode.EXTRA, sheet=sheet.name, found=header, message=message, used=False)


def _reading(sheet: SheetPlan, source: Source) -> list[Drift]:
    """Where the file was read in another way than the plan says."""
    pairs = (
        (DriftCode.DELIMITER, sheet.read.delimiter, source.delimiter),
        (DriftCode.ENCODING, _plain(sheet.read.encoding), _plain(source.encoding)),
        (DriftCode.HEADER, _text(sheet.read.header_row), _text(_last(source.header_rows))),
    )
    return [
        Drift(
            code=code,
            sheet=sheet.name,
            expected=planned,
            found=found,
            message=f"the plan says {planned!r}, the file has {found!r}",
        )
        for code, planned, found in pairs
        if planned is not None and found is not None and planned != found
    ]


def _plain(encoding: str | None) -> str | None:
    return encoding and encoding.lower().replace("_", "-")


def _last(rows: tuple[int, ...]) -> int | None:
    return rows[-1] if rows else None


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
