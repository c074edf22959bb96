"""Typed operations that revise a plan. One vocabulary for passes, model and people; `apply` is the only way."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field

from plans.document import Document, reasons
from plans.errors import ChangeConflict
from plans.plan import (
    Column,
    Columns,
    Duplicates,
    ExtraColumns,
    Mapping,
    Plan,
    Read,
    SheetPlan,
    ShortFiles,
)
from plans.template import Name, OnInvalid
from plans.transforms import (
    READING,
    Boolean,
    Date,
    DateTime,
    Format,
    Nulls,
    Number,
    ShortTransform,
    Time,
    Transform,
    Transforms,
    ValueMap,
    Word,
    Words,
)


class SetColumns(Document):
    """This field is fed by these columns from now on."""

    change: Literal["set_columns"] = "set_columns"
    sheet: Name
    field: Name
    columns: Columns


class AddAlias(Document):
    """A column goes by another header too (the file renamed it)."""

    change: Literal["add_alias"] = "add_alias"
    sheet: Name
    field: Name
    header: str
    alias: str


class AddMapping(Document):
    """A field that nothing fed gets a mapping."""

    change: Literal["add_mapping"] = "add_mapping"
    sheet: Name
    mapping: Mapping


class RemoveMapping(Document):
    """Nothing feeds this field any more."""

    change: Literal["remove_mapping"] = "remove_mapping"
    sheet: Name
    field: Name


class SetTransforms(Document):
    """The whole list of transforms of a field."""

    change: Literal["set_transforms"] = "set_transforms"
    sheet: Name
    field: Name
    transforms: Transforms


class AddFormats(Document):
    """Further date, time or datetime formats for a field, tried after the present ones."""

    change: Literal["add_formats"] = "add_formats"
    sheet: Name
    field: Name
    kind: Literal["date", "datetime", "time"] = "date"
    formats: Annotated[tuple[Format, ...], Field(min_length=1)]


class SetFormats(Document):
    """These formats replace the present ones (the file turned month and day round)."""

    change: Literal["set_formats"] = "set_formats"
    sheet: Name
    field: Name
    kind: Literal["date", "datetime", "time"] = "date"
    formats: Annotated[tuple[Format, ...], Field(min_length=1)]


class SetNumber(Document):
    """How numbers are written in this field's column."""

    change: Literal["set_number"] = "set_number"
    sheet: Name
    field: Name
    number: Number


class MapValues(Document):
    """Old value to new value, beside the entries there are."""

    change: Literal["map_values"] = "map_values"
    sheet: Name
    field: Name
    values: Annotated[dict[Word, Word], Field(min_length=1)]


class AddNulls(Document):
    """Words that mean "no value" in this field's column."""

    change: Literal["add_nulls"] = "add_nulls"
    sheet: Name
    field: Name
    words: Annotated[Words, Field(min_length=1)]


class AddBooleans(Document):
    """Further words for yes and no."""

    change: Literal["add_booleans"] = "add_booleans"
    sheet: Name
    field: Name
    true: Words = ()
    false: Words = ()


class AddTransform(Document):
    """One more transform: before the others, or after them."""

    change: Literal["add_transform"] = "add_transform"
    sheet: Name
    field: Name
    transform: ShortTransform
    at: Literal["start", "end"] = "end"


class SetOnInvalid(Document):
    """What a bad cell of this field does; `default` for on_invalid: default."""

    change: Literal["set_on_invalid"] = "set_on_invalid"
    sheet: Name
    field: Name
    on_invalid: OnInvalid
    default: Word | None = None


class SetDefault(Document):
    """The value where there is none."""

    change: Literal["set_default"] = "set_default"
    sheet: Name
    field: Name
    value: Word


class SetOptional(Document):
    """Whether a file without this field's column is a drift."""

    change: Literal["set_optional"] = "set_optional"
    sheet: Name
    field: Name
    optional: bool


class SetExtraColumns(Document):
    """What happens to columns that no field uses."""

    change: Literal["set_extra_columns"] = "set_extra_columns"
    sheet: Name
    extra_columns: ExtraColumns


class SetDuplicates(Document):
    """What happens to rows of one identity key."""

    change: Literal["set_duplicates"] = "set_duplicates"
    sheet: Name
    duplicates: Duplicates


class SetFiles(Document):
    """Which files feed the sheet."""

    change: Literal["set_files"] = "set_files"
    sheet: Name
    files: ShortFiles


class SetRead(Document):
    """How the sheet's files are read."""

    change: Literal["set_read"] = "set_read"
    sheet: Name
    read: Read


Change = Annotated[
    SetColumns | AddAlias | AddMapping | RemoveMapping | SetTransforms | AddFormats | SetFormats
    | SetNumber | MapValues | AddNulls | AddBooleans | AddTransform | SetOnInvalid | SetDefault
    | SetOptional | SetExtraColumns | SetDuplicates | SetFiles | SetRead,
    Field(discriminator="change"),
]  # fmt: skip

D = TypeVar("D", bound=Document)


def apply(plan: Plan, *changes: Change) -> Plan:
    """The plan with the changes made in order; ChangeConflict when one does not fit."""
    for change in changes:
        plan = _apply(plan, change)
    return plan


def _apply(plan: Plan, change: Change) -> Plan:
    try:
        sheet = plan.sheet(change.sheet)
    except KeyError:
        raise ChangeConflict(f"plan {plan.plan!r} has no sheet {change.sheet!r}") from None
    try:
        revised = _revise_sheet(sheet, change)
        sheets = tuple(revised if each is sheet else each for each in plan.sheets)
        return Plan.model_validate({**dict(plan), "sheets": sheets})
    except ValueError as error:
        place = f"{change.change} on sheet {change.sheet!r}"
        raise ChangeConflict(f"{place}: {reasons(error)}") from None


def _revise_sheet(sheet: SheetPlan, change: Change) -> SheetPlan:
    match change:
        case SetExtraColumns():
            return _with(sheet, extra_columns=change.extra_columns)
        case SetDuplicates():
            return _with(sheet, duplicates=change.duplicates)
        case SetFiles():
            return _with(sheet, files=change.files)
        case SetRead():
            return _with(sheet, read=change.read)
        case AddMapping():
            if sheet.mapping(change.mapping.field):
                raise ValueError(f"field {change.mapping.field!r} has a mapping already")
            return _with(sheet, mappings=(*sheet.mappings, change.mapping))
        case RemoveMapping():
            gone = _mapping(sheet, change.field)
            return _with(sheet, mappings=tuple(m for m in sheet.mappings if m is not gone))
        case _:
            old = _mapping(sheet, change.field)
            new = _revise_mapping(old, change)
            return _with(sheet, mappings=tuple(new if m is old else m for m in sheet.mappings))


def _revise_mapping(mapping: Mapping, change: Change) -> Mapping:
    match change:
        case SetColumns():
            return _with(mapping, columns=change.columns)
        case AddAlias():
            return _with(mapping, columns=_aliased(mapping.columns, change))
        case SetTransforms():
            return _with(mapping, transforms=change.transforms)
        case AddTransform():
            ends = (mapping.transforms, (change.transform,))
            first, last = ends if change.at == "end" else ends[::-1]
            return _with(mapping, transforms=(*first, *last))
        case AddFormats() | SetFormats():
            return _put(mapping, _formatted(mapping, change))
        case SetNumber():
            return _put(mapping, change.number)
        case MapValues():
            return _put(mapping, _mapped(mapping, change))
        case AddNulls():
            old = _last(mapping, Nulls)
            words = _merged(old.words if old else (), change.words)
            return _put(mapping, Nulls(words=words), first=True)
        case AddBooleans():
            known = _last(mapping, Boolean) or Boolean()
            true, false = _merged(known.true, change.true), _merged(known.false, change.false)
            return _put(mapping, Boolean(true=true, false=false))
        case SetOnInvalid():
            default = mapping.default if change.default is None else change.default
            return _with(mapping, on_invalid=change.on_invalid, default=default)
        case SetDefault():
            return _with(mapping, default=change.value)
        case SetOptional():
            return _with(mapping, optional=change.optional)
        case _:
            raise ValueError(f"{change.change} does not change a mapping")


def _with(document: D, **update: object) -> D:
    """Copy with validation (pydantic's own copy skips it)."""
    return type(document).model_validate({**dict(document), **update})


def _mapping(sheet: SheetPlan, field: str) -> Mapping:
    found = sheet.mapping(field)
    if found is None:
        raise ValueError(f"field {field!r} has no mapping; add one first")
    return found


def _aliased(columns: tuple[Column, ...], change: AddAlias) -> tuple[Column, ...]:
    if not any(change.header in column.names for column in columns):
        raise ValueError(f"field {change.field!r} has no column {change.header!r}")
    return tuple(
        _with(column, aliases=(*column.aliases, change.alias))
        if change.header in column.names and change.alias not in column.names
        else column
        for column in columns
    )


def _formatted(mapping: Mapping, change: AddFormats | SetFormats) -> Date | DateTime | Time:
    kinds: dict[str, type[Date | DateTime | Time]]
    kinds = {"date": Date, "datetime": DateTime, "time": Time}
    kind = kinds[change.kind]
    old = _last(mapping, kind) or kind()
    before = old.formats if isinstance(change, AddFormats) else ()
    return _with(old, formats=_merged(before, change.formats))


def _mapped(mapping: Mapping, change: MapValues) -> ValueMap:
    """The value map with the new entries; they take the place of those of the same word."""
    old = _last(mapping, ValueMap)
    if old is None:
        return ValueMap(values=change.values)
    fold = str.casefold if old.ignore_case else str
    new = {fold(word) for word in change.values}
    kept = {word: to for word, to in old.values.items() if fold(word) not in new}
    return _with(old, values={**kept, **change.values})


def _merged(before: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*before, *more)))


def _last(mapping: Mapping, kind: type[D]) -> D | None:
    return next((each for each in reversed(mapping.transforms) if isinstance(each, kind)), None)


def _put(mapping: Mapping, transform: Transform, *, first: bool = False) -> Mapping:
    """Replace the last transform of this kind; else add it first, or where the value is read."""
    old = _last(mapping, type(transform))
    if old is not None:
        transforms = tuple(transform if each is old else each for each in mapping.transforms)
        return _with(mapping, transforms=transforms)
    reads = [at for at, each in enumerate(mapping.transforms) if isinstance(each, READING)]
    at = 0 if first else reads[0] if reads else len(mapping.transforms)
    return _with(
        mapping, transforms=(*mapping.transforms[:at], transform, *mapping.transforms[at:])
    )
