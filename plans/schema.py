"""JSON Schema of the documents people write, so that an editor completes and checks them."""

from typing import Any

from pydantic import TypeAdapter

from plans.changes import Change
from plans.document import TAGS
from plans.plan import Plan
from plans.template import Template

_NAMES = ((Plan, "plan"), (Template, "template"), (Change, "change"))


def schema(kind: Any) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of Plan, Template or Change, short forms included."""
    name = next(name for each, name in _NAMES if each is kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:reknit:schema:{name}:1",
        **_shown(TypeAdapter(kind).json_schema(mode="validation")),
        "title": f"Reknit {name}",
    }


def _shown(node: Any) -> Any:
    """Members titled by their own names, and a union's tag required, as loading does."""
    if isinstance(node, list):
        return [_shown(each) for each in node]
    if not isinstance(node, dict):
        return node
    shown = {key: _shown(value) for key, value in node.items() if key != "properties"}
    if members := node.get("properties"):
        shown["properties"] = {n: {**_shown(each), "title": n} for n, each in members.items()}
        required = [
            *(tag for tag in TAGS if "const" in members.get(tag, {})),
            *node.get("required", ()),
        ]
        shown["required"] = list(dict.fromkeys(required))
    return shown
