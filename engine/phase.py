"""What goes into one turn of a run and what comes out: the contract of the worker and the pipeline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.accounting import Accounting
from engine.binding.memory import Remembered
from engine.compiler.program import Stored
from engine.intake.source import Source
from engine.model import Artifact, Progress, Run, RunStatus
from engine.proposal import Decision, Proposal
from plans.template import Template
from plans.versions import PlanVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One uploaded file of the run, on this machine's disk and checked against its digest."""

    upload: str
    name: str
    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetRows:
    """The valid rows an attempt has for the company's sheet of one template."""

    template: Template
    records: int
    parts: tuple[Path, ...]  #: Parquet
    fed: tuple[frozenset[str], ...]  #: of each part: columns its table really brought


@dataclass(frozen=True, kw_only=True, slots=True)
class Landed:
    """What became of those rows in the sheet; `skipped` lists the skipped ones, if there are any."""

    counts: Mapping[str, int]
    skipped: Path | None


class Purse(Protocol):
    """What the partner may still spend on models today, shared by every worker's every run."""

    def reserve(self, *, tokens: int, cost: float) -> bool:
        """Take so many tokens and USD beforehand; False, and nothing taken, when the day has less."""
        ...

    def settle(self, *, tokens: int, cost: float, spent_tokens: int, spent_cost: float) -> None:
        """Give back what was reserved, keep what was spent."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejects:
    """What a first run left behind for its rejected rows to be tried again."""

    run: str
    sources: tuple[Source, ...]  #: of its tables
    rejected: tuple[Path, ...]  #: its own files of rejected rows
    settled: tuple[Path, ...]  #: rows that earlier replays took in


class StoreFile(Protocol):
    """Stores a result file; it becomes visible with the end of the turn, or never."""

    def __call__(self, path: Path, *, name: str, media_type: str, records: int) -> Artifact: ...


class Land(Protocol):
    """Brings valid rows into the company's sheets, by template; once, however often it is called."""

    def __call__(self, rows: Sequence[SheetRows]) -> Mapping[str, Landed]: ...


class FetchFile(Protocol):
    """Brings a result file of an earlier turn onto this machine; no copy where it lies here."""

    def __call__(self, name: str) -> Path | None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """One turn. `version` holds what was decided already; `folder` is wiped after the turn."""

    run: Run
    version: PlanVersion
    inputs: tuple[Input, ...]
    folder: Path
    memory: tuple[Remembered, ...]
    earlier: tuple[Mapping[str, Any], ...]  #: Source of each table of the source's last good run
    progress: Callable[[Progress], None]  #: as often as you like; written at most once a second
    cancel: Callable[[], bool]
    store_file: StoreFile
    fetch_file: FetchFile  #: by the artifact's name; None on the first turn (staging is read again)
    land: Land
    stored: Stored = ()  #: what the company's sheets hold for references to look into
    rejects: Rejects | None = None  #: of the run whose rejected rows are tried again
    proposal: Proposal | None = None  #: the one `decision` is about
    decision: Decision | None = None
    purse: Purse | None = None  #: None: nobody counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Advance:
    """Where the turn ended, with everything worth remembering as JSON-ready values.

    `status` is completed, needs_attention (then `proposal`) or failed (then `code`, `message`).
    """

    status: RunStatus
    version: PlanVersion
    accounting: Accounting = field(default_factory=Accounting)
    code: str | None = None
    message: str | None = None
    proposal: Proposal | None = None
    suggested: Proposal | None = None  #: non-blocking revision from the heals
    approved: Decision | None = None  #: the policy accepted `proposal`; `version` is its result
    read: tuple[Mapping[str, Any], ...] = ()  #: Source of each staged table
    bindings: tuple[Mapping[str, Any], ...] = ()
    drifts: tuple[Mapping[str, Any], ...] = ()
    heals: tuple[Mapping[str, Any], ...] = ()
    groups: tuple[Mapping[str, Any], ...] = ()  #: CellGroup
    artifacts: tuple[Artifact, ...] = ()
    report: str | None = None  #: key of the report among the artifacts
    remember: tuple[Remembered, ...] = ()
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: stored, by sheet
    facts: Mapping[str, Any] = field(default_factory=dict)  #: small extras for the run's events
