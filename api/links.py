"""What can be done next with something new: OpenAPI links from its creation to its own operations."""

import re
from collections.abc import Mapping
from typing import Any

_REF = "#/components/schemas/"

Operation = tuple[str, str, dict[str, Any]]


def link(operations: list[Operation], schemas: Mapping[str, Any]) -> None:
    """Add to each 201 and 202 what needs a key and no more than the new id and the request's path."""
    paths = [
        (each["operationId"], _names(path)) for path, _, each in operations if each["security"]
    ]
    for path, _, operation in operations:
        for status in {"201", "202"} & set(operation["responses"]):
            made = operation["responses"][status]
            own = f"{_kind(made, schemas)}_id"
            found = {
                name: {
                    "operationId": name,
                    "parameters": {each: _source(each, own) for each in sorted(wanted)},
                }
                for name, wanted in paths
                if own in wanted and wanted - {own} <= _names(path)
            }
            if found:
                made["links"] = found


def _names(path: str) -> frozenset[str]:
    return frozenset(re.findall(r"{(\w+)}", path))


def _kind(response: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """What the answer is, as its `object` says; nothing if it has no id."""
    content = response.get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").removeprefix(_REF)
    members = schemas.get(name, {}).get("properties", {})
    if not {"id", "object"} <= set(members):
        return ""
    # A path names a rows_delivery by its delivery_id.
    return str(members["object"].get("const", "")).rpartition("_")[2]


def _source(name: str, own: str) -> str:
    return "$response.body#/id" if name == own else f"$request.path.{name}"
