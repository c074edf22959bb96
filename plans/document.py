"""From text (YAML 1.2 or JSON) to a frozen document, every problem with its path and line."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from plans.errors import PlanInvalid, Problem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

#: Far above any real plan; keeps a hostile document from costing minutes.
MAX_TEXT = 2_000_000
MAX_NODES = 200_000
MAX_PROBLEMS = 100

_FOR_PEOPLE = object()

#: The members that tell the kinds of one union apart.
TAGS = ("op", "rule", "change")


class Document(BaseModel):
    """Settings every part of a plan or template shares: frozen, no unknown member."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    @model_serializer(mode="wrap")
    def _keep_tags(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """A member of a union keeps its tag even where defaults are left out."""
        tags = {name: getattr(self, name) for name in TAGS if name in type(self).model_fields}
        values = {**tags, **handler(self)}
        return self.shortened(values) if info.context is _FOR_PEOPLE else values

    def shortened(self, values: dict[str, Any]) -> dict[str, Any]:
        """The dumped members in the short forms a person would write."""
        return values


D = TypeVar("D", bound=Document)


def load(kind: type[D], text: str, *, name: str) -> D:
    """Read one document of `kind`; raises PlanInvalid that lists every problem."""
    root = _parse(text, name)
    try:
        return kind.model_validate(_value(root))
    except ValidationError as error:
        found = error.errors()
        # A list whose items are all invalid is reported as too short as well: noise.
        told = [each for each in found if each["type"] != "too_short"] or found
        problems = (_problem(each["loc"], _message(each), root) for each in told[:MAX_PROBLEMS])
        raise PlanInvalid(name, tuple(dict.fromkeys(problems))) from None


def dump(document: Document) -> str:
    """The document as YAML in short forms, defaults left out; `load(type(d), dump(d))` gives it back."""
    out = StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    values = document.model_dump(mode="json", exclude_defaults=True, context=_FOR_PEOPLE)
    yaml.dump(_quoted(values), out)
    return out.getvalue()


def _quoted(value: Any) -> Any:
    """Line ends that only Unicode knows are escaped; unescaped they would be folded away."""
    if isinstance(value, dict):
        return {_quoted(key): _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    breaks = isinstance(value, str) and any(each in value for each in "\x85\u2028\u2029")
    return DoubleQuotedScalarString(value) if breaks else value


def reasons(error: ValueError) -> str:
    """What a validation complains about, in one line and without the validator's own words."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(map(_message, error.errors()))


def _parse(text: str, name: str) -> Node:
    if len(text) > MAX_TEXT:
        raise PlanInvalid(name, (Problem(path="", message=f"longer than {MAX_TEXT} characters"),))
    try:
        # Nodes, not values: YAML 1.2 (NO stays a country), line numbers, and keys as written.
        root = YAML(typ="rt", pure=True).compose(text)
        if root is None:
            raise ValueError("the document is empty")
        if _size(root, {}) > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values once its aliases are followed")
        return _checked(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        problem = Problem(path="", message=str(error.problem or error.context), **where)
        raise PlanInvalid(name, (problem,)) from None
    except RecursionError:
        raise PlanInvalid(name, (Problem(path="", message="nested too deeply"),)) from None
    except (YAMLError, ValueError) as error:
        problem = Problem(path="", message=str(error).splitlines()[0])
        raise PlanInvalid(name, (problem,)) from None


def _size(node: Node, known: dict[int, int]) -> int:
    """How many values the node holds with its aliases followed; a cycle counts as too many."""
    if id(node) not in known:
        known[id(node)] = MAX_NODES
        known[id(node)] = 1 + sum(_size(each, known) for each in _children(node))
    return known[id(node)]


def _children(node: Node) -> Iterator[Node]:
    for each in () if isinstance(node, ScalarNode) else node.value:
        yield from each if isinstance(each, tuple) else (each,)


def _checked(node: Node) -> Node:
    """The node; MarkedYAMLError where a mapping has a key twice or a key that is no text."""
    if isinstance(node, MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                raise MarkedYAMLError(problem="a key must be text", problem_mark=key.start_mark)
            if key.value in seen:
                problem = f"the key {key.value!r} stands here twice"
                raise MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen.add(key.value)
    for each in _children(node):
        _checked(each)
    return node


def _value(node: Node) -> Any:
    """Plain values. Only true, false, null and decimal numbers are not text."""
    if isinstance(node, MappingNode):
        return {_text(key.value): _value(value) for key, value in node.value}
    if isinstance(node, SequenceNode):
        return [_value(each) for each in node.value]
    text = str(node.value)
    kind = str(node.tag).rpartition(":")[2]
    if kind == "bool":
        return text.lower() == "true"
    if kind == "null":
        return None
    if kind in ("int", "float"):
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            return text
    return _text(text)


def _text(value: str) -> str:
    """JSON writes characters beyond the BMP as two escapes, which YAML leaves apart."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_MESSAGES = {
    "string_type": "should be text; put it in quotes",
    "extra_forbidden": "is not known here; misspelt?",
    "missing": "is missing",
    "union_tag_not_found": "does not say what it is (by op, rule or change)",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be names with values (name: value)",
    "model_type": "should be names with values (name: value)",
    "model_attributes_type": "should be names with values (name: value)",
}


def _message(error: "ErrorDetails") -> str:
    known = error.get("ctx", {})
    if error["type"] == "union_tag_invalid":
        return _unknown(str(known["tag"]), str(known["expected_tags"]))
    if error["type"] in ("enum", "literal_error"):
        return _unknown(str(error["input"]), str(known["expected"]))
    return _MESSAGES.get(error["type"], error["msg"].removeprefix("Value error, "))


def _unknown(given: str, expected: str) -> str:
    """What was meant, else everything there is."""
    near = get_close_matches(given, re.findall(r"'([^']+)'", expected), n=1)
    meant = f"did you mean {near[0]!r}?" if near else f"it can be {expected}"
    return f"{given[:80]!r} is not known here; {meant}"


def _problem(loc: tuple[int | str, ...], message: str, root: Node) -> Problem:
    """Follow `loc` as far as it exists in the text (union tags are not in the text)."""
    path, node, mark = "", root, root.start_mark
    for at, part in enumerate(loc):
        if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            path, mark = f"{path}[{part}]", node.start_mark
        elif isinstance(node, MappingNode) and (pair := _pair(node, part)):
            node = pair[1]
            path, mark = f"{path}.{part}".lstrip("."), pair[0].start_mark
        elif isinstance(node, MappingNode) and at == len(loc) - 1 and not _is_tag(node, part):
            path = f"{path}.{part}".lstrip(".")
    return Problem(path=path, message=message, line=mark.line + 1, column=mark.column + 1)


def _pair(node: MappingNode, name: int | str) -> tuple[Node, Node] | None:
    return next((pair for pair in node.value if pair[0].value == name), None)


def _is_tag(node: MappingNode, part: int | str) -> bool:
    pairs = (_pair(node, tag) for tag in TAGS)
    return any(pair is not None and pair[1].value == part for pair in pairs)
