"""A field's way from the customer's cells to its typed value, as layers of plain projections."""

from dataclasses import dataclass
from itertools import zip_longest

from engine.binding import Binding
from engine.compiler import transforms, types
from engine.compiler.program import Taken
from engine.compiler.quick import Quick, quick
from engine.errors import CompileError
from plans import transforms as ops
from plans.plan import Mapping, SheetPlan
from plans.template import OnInvalid, Template, TemplateField

Layer = tuple[tuple[str, str], ...]  #: (SQL, alias) pairs that one projection adds

NOTHING = "CAST(NULL AS VARCHAR)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A lookup: how its key is made of the source's cells, and its number in the sheet."""

    number: int
    taken: Taken
    layers: tuple[Layer, ...]
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """Output number `at`: the layers that make `text`, and the SQL of its typed `value`."""

    at: int
    field: TemplateField
    columns: tuple[int, ...]
    layers: tuple[Layer, ...]
    text: str
    value: str
    fed: bool
    missing: bool
    on_invalid: OnInvalid
    default: str | None
    lookup: Key | None

    @property
    def raw(self) -> str:
        """SQL of the customer's own text."""
        return cells_text(self.columns)


def feeds(
    sheet: SheetPlan, template: Template, binding: Binding, *, width: int
) -> tuple[Feed, ...]:
    """One feed a field of the template, in its order."""
    found: list[Feed] = []
    for at, field in enumerate(template.fields):
        lookups = sum(each.lookup is not None for each in found)
        columns = binding.columns(field.name) or ()
        if any(each >= width for each in columns):
            raise CompileError(f"field {field.name!r} is bound to a column the table does not have")
        mapping = sheet.mapping(field.name) or Mapping(field=field.name, default="")
        found.append(_feed(at, field, mapping=mapping, columns=columns, lookups=lookups))
    return tuple(found)


def cells_text(columns: tuple[int, ...]) -> str:
    """SQL of the customer's text in these columns, with a bar between several."""
    cells = [f"c{each}" for each in columns]
    return (
        f"nullif(concat_ws(' | ', {', '.join(cells)}), '')"
        if len(cells) > 1
        else (*cells, NOTHING)[0]
    )


def piled(layers: tuple[tuple[Layer, ...], ...], source: str) -> str:
    """The layers of all fields as nested projections over `source`."""
    text = f'SELECT * FROM "{source}"'
    for level in zip_longest(*layers, fillvalue=()):
        text = project(tuple(pair for layer in level for pair in layer), text)
    return text


def project(layer: Layer, source: str) -> str:
    """One more projection that keeps all there is."""
    added = ", ".join(f"{value} AS {alias}" for value, alias in layer)
    return f"SELECT *, {added} FROM ({source})" if added else source


def _feed(
    at: int, field: TemplateField, *, mapping: Mapping, columns: tuple[int, ...], lookups: int
) -> Feed:
    policy = mapping.on_invalid or field.on_invalid
    default = mapping.default or field.default
    fill = None if policy is OnInvalid.DEFAULT else default
    chain = _transforms(field, mapping, many=len(columns) > 1, default=fill)
    cells = tuple(f"c{each}" for each in columns) or (NOTHING,)
    lookup = None
    looked = next((n for n, each in enumerate(chain) if isinstance(each, ops.Lookup)), None)
    if looked is not None:
        before, _, chain = chain[:looked], chain[looked], chain[looked + 1 :]
        lookup = _key(field, mapping, number=lookups, before=before, cells=cells)
        cells = (f"l{lookups}",)
    reads = bool(chain) and types.reads(field, chain[-1])
    short = (
        quick(field, chain, cells[0], bare=f"t{at}_bare") if columns and len(cells) == 1 else None
    )
    if short:
        layers, text, value = _short(f"t{at}", field, chain, cells[0], short)
    else:
        layers, text = _layers(f"t{at}", chain[:-1] if reads else chain, cells)
        value = types.read(chain[-1], text) if reads else types.typed(field, text)
    constant = any(isinstance(each, ops.Constant) for each in chain)
    return Feed(
        at=at,
        field=field,
        columns=columns,
        layers=layers,
        text=text,
        value=value,
        fed=bool(columns or constant or (mapping.default and not mapping.columns)),
        missing=field.required and not (columns or constant or default),
        on_invalid=policy,
        default=default,
        lookup=lookup,
    )


def _transforms(
    field: TemplateField, mapping: Mapping, *, many: bool, default: str | None
) -> tuple[ops.Transform, ...]:
    """The mapping's transforms with what goes without saying."""
    chain = mapping.transforms
    if field.type not in types.AS_IS and not any(isinstance(each, ops.Trim) for each in chain):
        chain = (ops.Trim(), *chain)
    if many and not any(isinstance(each, (*ops.COMBINING, ops.Constant)) for each in chain):
        chain = (*chain, ops.Join())
    if field.type in types.LOWER and not isinstance(chain[-1], types.LOWERING):
        chain = (*chain, ops.Case(to="lower"))
    if default is None:
        return chain
    last = chain[-1:] if chain and types.reads(field, chain[-1]) else ()
    return (*chain[: len(chain) - len(last)], ops.Default(value=default), *last)


def _layers(
    name: str, chain: tuple[ops.Transform, ...], cells: tuple[str, ...], *, rare: bool = False
) -> tuple[tuple[Layer, ...], str]:
    """What the transforms make of the cells; `rare`: most of these are NULL and cost nothing."""
    layers: list[Layer] = []
    texts = cells
    for transform in chain:
        if isinstance(transform, ops.COMBINING):
            layers.append(((transforms.combined(transform, texts), f"{name}_{len(layers)}"),))
            texts = (layers[-1][0][1],)
            continue
        for step in transforms.steps(transform):
            made = [step(x) for x in texts]
            if rare and not isinstance(transform, ops.Default):
                pairs = zip(texts, made, strict=True)
                made = [f"CASE WHEN {x} IS NOT NULL THEN {each} END" for x, each in pairs]
            layers.append(tuple((x, f"{name}_{len(layers)}_{n}") for n, x in enumerate(made)))
            texts = tuple(alias for _, alias in layers[-1])
    return tuple(layers), texts[0]


def _short(
    name: str, field: TemplateField, chain: tuple[ops.Transform, ...], cell: str, short: Quick
) -> tuple[tuple[Layer, ...], str, str]:
    """Only cells that cannot take the short cut go through the chain; the others stand aside."""
    took, rest, text = f"{name}_took", f"{name}_rest", f"{name}_text"
    layers, worked = _layers(name, chain, (rest,), rare=True)
    asked = ((short.test, took),)
    aside = ((f"CASE WHEN {took} THEN NULL ELSE {cell} END", rest),)
    joined = ((f"CASE WHEN {took} THEN {cell} ELSE {worked} END", text),)
    value = f"CASE WHEN {took} THEN {short.value} ELSE {types.typed(field, worked)} END"
    bare = ((short.bare, f"{name}_bare"),) if short.bare else ()
    return tuple(filter(None, (bare, asked, aside, *layers, joined))), text, value


def _key(
    field: TemplateField,
    mapping: Mapping,
    *,
    number: int,
    before: tuple[ops.Transform, ...],
    cells: tuple[str, ...],
) -> Key:
    found = [each for each in mapping.transforms if isinstance(each, ops.Lookup)]
    if len(found) > 1:
        raise CompileError(f"field {field.name!r} has {len(found)} lookups; only one is possible")
    layers, key = _layers(f"q{number}", before, cells)
    taken = Taken(template=found[0].template, match=found[0].match, take=found[0].take)
    return Key(number=number, taken=taken, layers=layers, key=key)
