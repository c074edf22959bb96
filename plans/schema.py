"""JSON Schema of the documents people write, so that an editor completes and checks them."""

from typing import Any, Literal

from pydantic import TypeAdapter

from plans.changes import Change
from plans.document import TAGS
from plans.plan import Plan
from plans.template import Template

Kind = Literal["plan", "template", "change"]

_KINDS: dict[Kind, tuple[str, TypeAdapter[Any]]] = {
    "plan": ("Reknit plan", TypeAdapter(Plan)),
    "template": ("Reknit template", TypeAdapter(Template)),
    "change": ("Reknit plan change", TypeAdapter(Change)),
}


def schema(kind: Kind) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one kind of document, short forms included."""
    title, adapter = _KINDS[kind]
    body = adapter.json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:reknit:schema:{kind}:1",
        **_shown(body),
        "title": title,
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
