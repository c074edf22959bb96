"""Replies of real models, kept by what was asked: never a customer's word, only the answer's.

A question that changes is another question, so its old answer is not found and not used.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from engine.llm import AGAIN, Call, Failure, Reply
from engine.mapping.converse import Send

FOLDER = Path(__file__).parent / "recorded"
_MARKER = re.compile(r"DATA-[0-9a-f]{16}")


@dataclass(kw_only=True)
class Recorded:
    """A model's known replies; unknown questions go to `live`, or stay unanswered without one."""

    model: str
    live: Send | None = None
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    missed: int = 0

    def __post_init__(self) -> None:
        if self.path.exists():
            for line in self.path.read_text("utf-8").splitlines():
                raw = json.loads(line)
                self.known[raw["asked"]] = raw

    @property
    def path(self) -> Path:
        """Where this model's replies are kept."""
        return FOLDER / f"{self.model.replace('/', '_')}.jsonl"

    @property
    def dates(self) -> str:
        """When the replies were given."""
        told = sorted({each["date"] for each in self.known.values()})
        return " to ".join(dict.fromkeys((told[0], told[-1]))) if told else "never"

    def __call__(self, call: Call) -> Reply:
        """The kept reply, else a fresh one, which is kept."""
        asked = fingerprint(call)
        if (raw := self.known.get(asked)) is not None:
            told = raw["reply"]
            failure = Failure(told["failure"]) if told["failure"] else None
            return Reply(**{**told, "failure": failure})
        if self.live is None:
            self.missed += 1
            return Reply(failure=Failure.EMPTY, message="no reply is recorded")
        reply = self.live(call)
        if reply.failure in AGAIN:
            # Says something of the machine, nothing of the model: asked again another day.
            return reply
        line = {
            "asked": asked, "model": self.model, "date": str(date.today()), "reply": asdict(reply),
        }  # fmt: skip
        self.known[asked] = line
        FOLDER.mkdir(exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return reply


def fingerprint(call: Call) -> str:
    """SHA-256 of everything that is asked, but for the marker that differs every time."""
    user = _MARKER.sub("DATA", call.user)
    told = [call.model, call.rung, call.system, user, json.dumps(call.schema, sort_keys=True)]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()
