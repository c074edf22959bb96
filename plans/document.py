"""From text (YAML 1.2 or JSON) to a frozen document, every problem with its path and line."""

from io import StringIO
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from plans.errors import PlanInvalid, Problem

#: Far above any real plan; keeps a hostile document from costing minutes.
MAX_TEXT = 2_000_000

#: The members that tell the kinds of one union apart.
TAGS = ("op", "rule", "change")


class Document(BaseModel):
    """Settings every part of a plan or template shares: frozen, no unknown member."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True
    )

    @model_serializer(mode="wrap")
    def _keep_tags(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A member of a union keeps its tag even where defaults are left out."""
        tags = {name: getattr(self, name) for name in TAGS if name in type(self).model_fields}
        return {**tags, **handler(self)}


D = TypeVar("D", bound=Document)


def load(kind: type[D], text: str, *, name: str) -> D:
    """Read one document of `kind`; raises PlanInvalid that lists every problem."""
    raw = _parse(text, name)
    try:
        return kind.model_validate(_plain(raw))
    except ValidationError as error:
        found = error.errors()
        # A list whose items are all invalid is reported as too short as well: noise.
        told = [each for each in found if each["type"] != "too_short"] or found
        problems = tuple(_problem(each["loc"], each["msg"], raw) for each in told)
        raise PlanInvalid(name, problems) from None


def dump(document: Document) -> str:
    """The document as YAML, defaults left out; `load(type(d), dump(d))` gives it back."""
    out = StringIO()
    yaml = YAML()
    yaml.width = 100
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document.model_dump(mode="json", exclude_defaults=True), out)
    return out.getvalue()


def _parse(text: str, name: str) -> Any:
    if len(text) > MAX_TEXT:
        raise PlanInvalid(name, (Problem(path="", message=f"longer than {MAX_TEXT} characters"),))
    try:
        # The round-trip loader is YAML 1.2 (NO stays a country) and keeps line numbers.
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        problem = Problem(path="", message=str(error.problem or error.context), **where)
        raise PlanInvalid(name, (problem,)) from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = Problem(path="", message=str(error).splitlines()[0])
        raise PlanInvalid(name, (problem,)) from None


def _plain(node: Any) -> Any:
    """Strip what the round-trip loader adds; dates a person wrote unquoted come back as text."""
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        return float(node)
    return str(node)


def _problem(loc: tuple[int | str, ...], message: str, raw: Any) -> Problem:
    """Follow `loc` as far as it exists in the text (union tags are not in the text)."""
    path, node, place = "", raw, None
    for part in loc:
        if isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            place, path = node.lc.item(part), f"{path}[{part}]"
        elif isinstance(node, CommentedMap) and part in node:
            place, path = node.lc.value(part), f"{path}.{part}".lstrip(".")
        elif isinstance(node, (CommentedMap, CommentedSeq)):
            path = f"{path}.{part}".lstrip(".") if part == loc[-1] else path
            continue
        else:
            break
        node = node[part]
    if place is None and isinstance(raw, (CommentedMap, CommentedSeq)):
        place = (raw.lc.line, raw.lc.col)
    line, column = place if place else (0, 0)
    text = message.removeprefix("Value error, ")
    return Problem(path=path, message=text, line=line + 1, column=column + 1)
