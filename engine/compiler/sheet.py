"""One sheet of a plan against one staged table becomes a Program. Pure: nothing is read or run.

The SQL is a pile of plain projections without a join, so that row N of the result is record N:
cells c → texts t (a layer a transform) → values v → check numbers e → final values f → row rules r.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import astuple, replace
from itertools import chain, count

import duckdb

from engine.binding import Binding
from engine.compiler import across, checks, types
from engine.compiler.codes import folded
from engine.compiler.expressions import text
from engine.compiler.feeds import Feed, Key, cells_text, feeds, piled, project
from engine.compiler.program import CellCode, Check, Output, Program
from engine.errors import CompileError
from engine.intake.source import Source
from plans.plan import ExtraColumns, SheetPlan
from plans.template import FieldType, OnInvalid, Severity, Template

#: A check and the SQL condition under which it is broken.
Conditions = tuple[tuple[Check, str], ...]

#: DuckDB's type of the list of broken checks.
ERRORS = "STRUCT(number USMALLINT, raw VARCHAR)[]"

_STAYS = (OnInvalid.EMPTY, OnInvalid.DEFAULT, OnInvalid.WARN)


def compile_sheet(
    sheet: SheetPlan,
    template: Template,
    binding: Binding,
    source: Source,
    *,
    width: int,
    delimiter: str,
) -> Program:
    """The Program of this sheet over this table; CompileError when plan and table do not fit."""
    fed = feeds(sheet, template, binding, width=width)
    numbers = count(1)
    cells = tuple(_cell_checks(feed, numbers) for feed in fed)
    rows = _row_checks(template, fed, numbers)
    beyond = across.rules(sheet, template, fed, numbers=numbers)
    duplicate = across.duplicate(sheet, template, fed, next(numbers))
    identity = across.identity(template, fed)
    extras = _extras(sheet, template, binding, source)
    looked = tuple(feed.lookup for feed in fed if feed.lookup)
    final = _final(fed, cells, rows, source="looked" if looked else "source")
    kept = [f"f{feed.at}" for feed in fed]
    kept += [f"c{each.columns[0]} AS f{n}" for n, each in enumerate(extras, len(fed))]
    raws = [
        f"{feed.raw} AS raw{feed.at}" for feed in fed if feed.field.name in across.named(template)
    ]
    marks = [_bad(fed, cells, rows), _errors(fed, cells, rows)]
    codes = [f"e{feed.at}" for feed in fed]
    program = Program(
        sheet=sheet.name,
        template=template.template,
        width=width,
        delimiter=delimiter,
        outputs=(*map(_output, fed), *extras),
        checks=(
            *(check for some in cells for check, _ in some),
            *(check for check, _ in rows),
            *(check for _, check in beyond),
            duplicate,
        ),
        stage=f"SELECT {', '.join(kept + raws + marks)} FROM ({final})",
        values=f"SELECT {', '.join(kept + codes)} FROM ({final})",
        across=tuple(rule for rule, _ in beyond),
        identity=identity,
        identity_raw=across.identity_raw(template, fed),
        duplicates=sheet.duplicates,
        duplicate=duplicate.number,
        lookups=tuple(each.taken for each in looked),
        keyed=_keyed(looked) if looked else None,
        defaults=tuple((f.at, _default(f)) for f in fed if f.on_invalid is OnInvalid.DEFAULT),
    )
    return replace(program, digest=hashlib.sha256(repr(astuple(program)).encode()).hexdigest())


def _final(
    fed: tuple[Feed, ...], cells: tuple[Conditions, ...], rows: Conditions, *, source: str
) -> str:
    """All layers up to the final values and the numbers of the broken checks."""
    select = piled(tuple(feed.layers for feed in fed), source)
    select = project(tuple((feed.value, f"v{feed.at}") for feed in fed), select)
    numbers = tuple((_first(some), f"e{f.at}") for f, some in zip(fed, cells, strict=True))
    select = project(numbers, select)
    select = project(tuple((_settled(feed), f"f{feed.at}") for feed in fed), select)
    return project(tuple((_first((row,)), f"r{row[0].number}") for row in rows), select)


def _first(conditions: Conditions) -> str:
    """The number of the first broken check, 0 for none."""
    cases = " ".join(f"WHEN {where} THEN {check.number}" for check, where in conditions)
    return f"CAST({f'CASE {cases} ELSE 0 END' if cases else '0'} AS USMALLINT)"


def _settled(feed: Feed) -> str:
    """The value once the field's policy for bad cells is done."""
    match feed.on_invalid:
        case OnInvalid.EMPTY:
            return f"CASE WHEN e{feed.at} = 0 THEN v{feed.at} END"
        case OnInvalid.DEFAULT:
            return f"CASE WHEN e{feed.at} = 0 THEN v{feed.at} ELSE {_default(feed)} END"
        case _:
            return f"v{feed.at}"


def _default(feed: Feed) -> str:
    """SQL of what stands in for bad values; CompileError when it is none of the field's type."""
    value = types.typed(feed.field, text(str(feed.default)))
    with duckdb.connect() as db:
        known = db.execute(f"SELECT {value}").fetchall() != [(None,)]
    if feed.default is None or not known:
        name, kind = feed.field.name, feed.field.type
        raise CompileError(f"field {name!r}: the default {feed.default!r} is no {kind}")
    return value


def _cell_checks(feed: Feed, numbers: Iterator[int]) -> Conditions:
    broken: tuple[checks.Broken, ...]
    if feed.missing:
        message = "no column of the file feeds this field, but a value is needed"
        broken = (checks.Broken(code=CellCode.MISSING_COLUMN, where="TRUE", message=message),)
    else:
        broken = checks.of_field(feed.field, text=feed.text, value=f"v{feed.at}")
    if feed.lookup:
        broken = (_unlooked(feed.lookup), *broken)
    return tuple((_check(feed, each, next(numbers)), each.where) for each in broken)


def _unlooked(key: Key) -> checks.Broken:
    n, taken = key.number, key.taken
    message = f"no row of {taken.template} has this {taken.match}"
    where = f"k{n} IS NOT NULL AND NOT m{n}"
    return checks.Broken(code=CellCode.LOOKUP, where=where, message=message)


def _check(feed: Feed, broken: checks.Broken, number: int) -> Check:
    policy = feed.on_invalid
    # Emptying an empty cell repairs nothing: the row cannot stay.
    if broken.code in (CellCode.REQUIRED, CellCode.MISSING_COLUMN) and policy is OnInvalid.EMPTY:
        policy = OnInvalid.REJECT
    return Check(
        number=number,
        field=feed.field.name,
        columns=feed.columns,
        code=broken.code,
        message=broken.message,
        on_invalid=policy,
        severity=Severity.WARNING if policy in _STAYS else Severity.ERROR,
    )


def _row_checks(template: Template, fed: tuple[Feed, ...], numbers: Iterator[int]) -> Conditions:
    by_name = {feed.field.name: feed for feed in fed}
    found = []
    for rule in template.rules:
        told = checks.of_row(template, rule, lambda name: f"f{by_name[name].at}")
        if told is None:
            continue
        check = Check(
            number=next(numbers),
            field=told.field,
            columns=tuple(c for name in told.fields for c in by_name[name].columns),
            code=told.broken.code,
            message=told.broken.message,
            on_invalid=OnInvalid.WARN if told.severity is Severity.WARNING else OnInvalid.REJECT,
            severity=told.severity,
        )
        # A cell that is bad by itself is told once, not again by the row's rule.
        sound = " AND ".join(f"e{by_name[name].at} = 0" for name in told.fields)
        found.append((check, f"{told.broken.where} AND {sound}"))
    return tuple(found)


def _bad(fed: tuple[Feed, ...], cells: tuple[Conditions, ...], rows: Conditions) -> str:
    """Whether a broken check makes the row invalid."""
    tests = [f"r{check.number} <> 0" for check, _ in rows if check.severity is Severity.ERROR]
    for feed, some in zip(fed, cells, strict=True):
        rejecting = [str(each.number) for each, _ in some if each.severity is Severity.ERROR]
        if some and len(rejecting) == len(some):
            tests.append(f"e{feed.at} <> 0")
        elif rejecting:
            tests.append(f"e{feed.at} IN ({', '.join(rejecting)})")
    return f"{' OR '.join(tests) or 'FALSE'} AS bad"


def _errors(fed: tuple[Feed, ...], cells: tuple[Conditions, ...], rows: Conditions) -> str:
    """The broken checks with the customer's text, a list only where there are any."""
    broken = [(f"e{f.at}", f.raw) for f, some in zip(fed, cells, strict=True) if some]
    by_columns = {check.number: check.columns for check, _ in rows}
    broken += [(f"r{n}", cells_text(columns)) for n, columns in by_columns.items()]
    if not broken:
        return f"CAST(NULL AS {ERRORS}) AS errs"
    one = (f"CASE WHEN {e} <> 0 THEN {{'number': {e}, 'raw': {raw}}} END" for e, raw in broken)
    some = " OR ".join(f"{e} <> 0" for e, _ in broken)
    listed = f"list_filter([{', '.join(one)}], lambda x: x IS NOT NULL)"
    return f"CASE WHEN {some} THEN {listed} END AS errs"


def _keyed(keys: tuple[Key, ...]) -> str:
    source = piled(tuple(key.layers for key in keys), "source")
    names = ", ".join(f"{key.key} AS k{key.number}" for key in keys)
    return f"SELECT COLUMNS('^c[0-9]+$'), {names} FROM ({source})"


def _output(feed: Feed) -> Output:
    field = feed.field
    return Output(
        name=field.name,
        type=field.type,
        columns=feed.columns,
        sql_type=types.sql_type(field),
        fed=feed.fed,
    )


def _extras(
    sheet: SheetPlan, template: Template, binding: Binding, source: Source
) -> tuple[Output, ...]:
    """Outputs for the columns no field uses, under names that no field and no other column has."""
    if sheet.extra_columns is not ExtraColumns.KEEP:
        return ()
    taken = {field.name for field in template.fields}
    found = []
    for column in binding.extra:
        plain = re.sub(r"[^a-z0-9]+", "_", folded(source.columns[column].casefold())).strip("_")[
            :50
        ]
        wanted = plain or f"column_{column + 1}"
        name = next(
            n for n in chain((wanted,), (f"{wanted}_{k}" for k in count(2))) if n not in taken
        )
        taken.add(name)
        found.append(Output(name=name, type=FieldType.STRING, columns=(column,), extra=True))
    return tuple(found)
