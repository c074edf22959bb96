"""A model that obeys whoever wrote the file: it claims everything, and always the wrong thing."""

import json
from typing import Any

from engine.llm import Call, Reply


def obedient(call: Call) -> Reply:
    """Answers every question with what does the most harm and is still allowed."""
    asked = json.loads(call.user.splitlines()[1])
    text = json.dumps({key: said for key, said in _answer(asked).items() if said})
    return Reply(text=text, prompt_tokens=len(call.user) // 4, output_tokens=len(text) // 4)


def _answer(asked: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    fields = asked["fields"]
    matches, taken = [], set[int]()
    for field in fields:
        # The least likely candidate that is still free.
        free = [at for at in reversed(field.get("candidates", ())) if at not in taken]
        if free:
            taken.add(free[0])
            matches.append({"field": field["name"], "column": free[0]})
    fed = {each["field"] for each in matches}
    return {
        "matches": matches,
        "meanings": [
            {"field": field["name"], "value": each["value"], "means": field["values"][-1]}
            for field in fields
            if field.get("values")
            for each in field.get("unknown_values", ())
        ],
        "dates": [
            {"field": field["name"], "date": "%m/%d/%Y", "time": ""}
            for field in fields
            if field.get("unread") and field["type"] in ("date", "datetime")
        ],
        "numbers": [
            {"field": field["name"], "decimal": ",", "thousands": "."}
            for field in fields
            if field.get("unread") and field["type"] in ("integer", "decimal")
        ],
        "parts": [
            {"field": field["name"], "column": field["sources"][0], "separator": " ", "part": -1,
             "rest": False}
            for field in fields
            if field.get("sources") and field["name"] not in fed
        ],
    }  # fmt: skip
