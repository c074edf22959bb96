"""A provider on the wire, for tests of the model step: only HTTP is faked, by respx."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from tables import source

from engine.binding import bind
from engine.binding.bound import BoundTable
from engine.intake.source import Source, Staged
from engine.llm import complete
from engine.mapping import Models
from engine.outcome import Outcome
from engine.profile import ColumnProfile, Profile, of_values
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version

URL = "https://llm.test/v1"
CHAT = f"{URL}/chat/completions"
KEY = "sk-canary-key"
NOTHING_RUN = Outcome(sheets=())


def body(text: Any, **choice: Any) -> dict[str, Any]:
    """A chat completion that says `text` (or JSON of it)."""
    content = text if isinstance(text, str) or text is None else json.dumps(text)
    message = {"role": "assistant", "content": content}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, **choice}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }


def models(*names: str, **more: Any) -> Models:
    """Models over the fake wire; pauses take no time and are noted."""
    send = partial(complete, key=KEY)
    return Models(
        names=names or ("openai/fake",), send=send, url=URL, **{"pause": lambda _: None, **more}
    )


def version(*fields: dict[str, Any]) -> PlanVersion:
    """A plan of one sheet whose fields are all mapped by their own name."""
    columns = [{"field": each["name"], "from": each["name"]} for each in fields]
    return first_version(
        Plan.model_validate({"plan": "p", "sheets": [{"template": "things", "columns": columns}]}),
        (Template.model_validate({"template": "things", "fields": list(fields)}),),
    )


def profiles(columns: dict[str, list[str]]) -> tuple[ColumnProfile, ...]:
    """Columns as the profile tells them, without kinds: hundreds of tables take no time."""
    return tuple(
        ColumnProfile(
            index=at,
            header=header,
            rows=len(cells),
            filled=len(cells),
            distinct=len(set(cells)),
            rates={},
            min_length=min(map(len, cells)),
            max_length=max(map(len, cells)),
            top=tuple((cell, cells.count(cell)) for cell in dict.fromkeys(cells)),
            samples=tuple(dict.fromkeys(cells)),
            shapes=(("a", len(cells)),),
        )
        for at, (header, cells) in enumerate(columns.items())
    )


def table(plan: PlanVersion, columns: dict[str, list[str]], *, quick: bool = True) -> BoundTable:
    """A table of these columns, bound; nothing is on disk, the model step reads profiles only."""
    came = source(list(columns))
    told = profiles(columns) if quick else of_values(list(columns.items()))
    rows = max(map(len, columns.values()), default=0)
    profile = Profile(columns=told, rows=rows, whole=True)
    sheet = plan.plan.sheets[0]
    binding = bind(sheet, plan.template(sheet.template), came, profile)
    return BoundTable(table=0, staged=_unread(came), profile=profile, binding=binding)


def dripping(seconds: float) -> Iterator[bytes]:
    """A byte now and then, for longer than anybody waits."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.02)
        yield b" "


class Stream(httpx.SyncByteStream):
    """An answer that comes in these chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks


def _unread(came: Source) -> Staged:
    return Staged(
        source=came, path=Path("/nowhere"), delimiter=",", width=len(came.columns), records=0,
        shards=(), breaks=((0, 2),),
    )  # fmt: skip
