"""What earlier runs confirmed: which header fed which field, where, and who said so."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from engine.binding.words import normalised
from engine.intake.source import Source


class Scope(StrEnum):
    """Whose experience it is, nearest first."""

    COMPANY = "company"  #: this company's earlier files
    SOURCE = "source"  #: other companies' files of the same source
    PARTNER = "partner"  #: files of the partner's other sources


class Trust(StrEnum):
    """Who confirmed it, strongest first."""

    HUMAN = "human"  #: a person answered a question
    APPROVED = "approved"  #: part of a revision that was accepted
    HEALED = "healed"  #: bound by the passes, and the run was valid


@dataclass(frozen=True, kw_only=True, slots=True)
class Remembered:
    """One confirmed binding; `shape` is the file's it was confirmed in, `count` how often."""

    template: str
    field: str
    headers: tuple[str, ...]
    shape: str
    scope: Scope
    trust: Trust
    count: int = 1


Memory = tuple[Remembered, ...]


def shape(source: Source) -> str:
    """Fingerprint of a file's headers in their order (hex)."""
    text = "\x1f".join(normalised(header) for header in source.columns)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
