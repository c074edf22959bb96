"""From records of the store to the values that pages show."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from pydantic import TypeAdapter

from api.console.account_views import (
    PlanRow,
)
from api.console.views import (
    CompanyRow,
    DriftRow,
    ExchangeRow,
    FileCounts,
    GroupRow,
    Moment,
    OptionRow,
    QuestionRow,
    RepairRow,
    RunRow,
    SheetCounts,
)
from engine.accounting import Accounting
from engine.errors import NotFound
from engine.ids import Kind
from engine.model import Company, Event, PlanRecord, Run
from engine.proposal import Custom, Question, Repair
from engine.store import companies, findings, keys, plans, sources, uploads
from plans.changes import Change, apply
from plans.document import Document
from plans.errors import ChangeConflict
from plans.versions import Difference, PlanVersion, diff

_REPAIR = TypeAdapter(Repair)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What things are called, each asked of the store once a page."""

    c: sqlalchemy.Connection
    partner: str
    known: dict[str, str] = field(default_factory=dict)

    def company(self, company: str) -> str:
        """The company's name."""
        return self._of(company, lambda: companies.get(self.c, self.partner, company).name)

    def plan(self, plan: str) -> str:
        """The plan's name."""
        return self._of(plan, lambda: plans.get(self.c, self.partner, plan).name)

    def upload(self, upload: str) -> str:
        """The name the file came with."""
        return self._of(upload, lambda: uploads.get(self.c, self.partner, upload).name)

    def source(self, source: str) -> str:
        """What people call the source."""

        def named() -> str:
            found = sources.get(self.c, self.partner, source)
            return found.title or found.name

        return self._of(source, named)

    def actor(self, actor: str) -> str:
        """Who did it, as far as that is a person or a key; a worker's name tells nobody anything."""
        if actor.startswith(Kind.KEY):
            return self._of(actor, lambda: keys.get(self.c, self.partner, actor).name)
        return {"magic-link": "the customer, by magic link"}.get(actor, "")

    def _of(self, id: str, ask: Any) -> str:
        if id not in self.known:
            try:
                self.known[id] = ask()
            except NotFound:
                self.known[id] = id
        return self.known[id]


def run_row(names: Names, run: Run) -> RunRow:
    """A run in a list."""
    return RunRow(
        id=run.id,
        company=run.company,
        company_name=names.company(run.company),
        status=run.status,
        accounting=run.counts,
        progress=run.progress,
        plan=run.plan,
        plan_name=names.plan(run.plan),
        plan_version=run.plan_version,
        files=tuple(names.upload(each) for each in run.uploads),
        dry_run=run.dry_run,
        waits=run.waits,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )


def company_row(names: Names, company: Company, *, last: Run | None) -> CompanyRow:
    """A company in a list."""
    return CompanyRow(
        id=company.id,
        name=company.name,
        external_id=company.external_id,
        source=names.source(company.source),
        archived=company.archived_at is not None,
        created_at=company.created_at,
        last=run_row(names, last) if last else None,
    )


def plan_row(names: Names, plan: PlanRecord) -> PlanRow:
    """A plan in a list."""
    return PlanRow(
        id=plan.id,
        name=plan.name,
        source=names.source(plan.source),
        company=names.company(plan.company) if plan.company else None,
        published=plan.published,
        latest=plan.latest,
        created_at=plan.created_at,
    )


def sheet_counts(report: Mapping[str, Any] | None) -> tuple[SheetCounts, ...]:
    """The accounting of each sheet and file, from the stored report."""
    return tuple(
        SheetCounts(
            sheet=sheet["sheet"],
            accounting=Accounting(**sheet["accounting"]),
            files=tuple(
                FileCounts(file=each["file"], accounting=Accounting(**each["accounting"]))
                for each in sheet["files"]
            ),
        )
        for sheet in (report or {}).get("sheets", ())
    )


def exchange_rows(report: Mapping[str, Any] | None) -> tuple[ExchangeRow, ...]:
    """What a language model was asked during the run."""
    found = (report or {}).get("model", {}).get("exchanges", ())
    return tuple(
        ExchangeRow(**{name: each[name] for name in ExchangeRow.__dataclass_fields__})
        for each in found
    )


def drift_row(found: Mapping[str, Any]) -> DriftRow:
    """A stored drift."""
    return DriftRow(**{name: found[name] for name in DriftRow.__dataclass_fields__})


def group_row(found: Mapping[str, Any]) -> GroupRow:
    """A stored group of invalid cells."""
    same = ("sheet", "field", "column", "code", "message", "cells", "rows", "distinct")
    return GroupRow(
        **{name: found[name] for name in same},
        warning=found["severity"] == "warning",
        values=tuple((value, count) for value, count in found["values"]),
    )


def heal_row(found: Mapping[str, Any]) -> RepairRow:
    """A stored heal."""
    return repair_row(_REPAIR.validate_python(found), version=None)


def repair_row(repair: Repair, *, version: PlanVersion | None) -> RepairRow:
    """A repair, with what it changes in the plan."""
    return RepairRow(
        id=repair.id,
        kind=repair.kind,
        sheet=repair.sheet,
        field=repair.field,
        summary=repair.summary,
        evidence=repair.evidence,
        confidence=repair.confidence,
        by=repair.by,
        effect=repair.effect,
        changes=plan_diff(version, repair.changes) if version else (),
    )


def question_row(
    question: Question, *, version: PlanVersion, headers: Sequence[str] = ()
) -> QuestionRow:
    """A question, with what each option changes in the plan; `headers` to choose a column from."""
    target = question.target
    return QuestionRow(
        id=question.id,
        prompt=question.prompt,
        context=question.context,
        sheet=target.sheet,
        field=target.field,
        column=target.column,
        affected=target.affected,
        samples=target.samples,
        error=target.error,
        options=tuple(
            OptionRow(
                id=option.id,
                label=option.label,
                effect=option.effect,
                changes=plan_diff(version, option.changes),
                recommended=option.id == question.recommended,
                preview=option.preview,
            )
            for option in question.options
        ),
        allow_custom=question.allow_custom,
        custom_hint=question.custom_hint,
        headers=tuple(headers) if question.custom is Custom.HEADER else (),
        decisive=question.decisive,
    )


def headers_of(c: sqlalchemy.Connection, run: Run) -> tuple[str, ...]:
    """Every header of the run's files, once."""
    read = findings.of_run(c, run.partner, run.id, kind=findings.Finding.READ)
    return tuple(dict.fromkeys(header for each in read for header in each["columns"] if header))


def plan_diff(version: PlanVersion, changes: Iterable[Change]) -> tuple[Difference, ...]:
    """What the changes do to the plan; empty when they do nothing or do not fit together."""
    try:
        return differences(version.plan, apply(version.plan, *changes))
    except ChangeConflict:
        return ()


def differences(before: Document, after: Document) -> tuple[Difference, ...]:
    """What differs, each side as text a person reads."""
    return tuple(
        Difference(path=each.path, before=_text(each.before), after=_text(each.after))
        for each in diff(before, after)
    )


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


_MOMENTS = {
    "run.queued": ("clock", "", "Queued"),
    "run.admitted": ("clock", "", "Its turn came"),
    "run.running": ("loop", "busy", "A worker took it"),
    "run.recovered": ("loop", "warn", "Taken over after a worker was lost"),
    "run.retrying": ("loop", "warn", "Tried again after a fault of ours"),
    "run.needs_attention": ("hand", "warn", "Waits for a decision"),
    "run.decided": ("person", "", "Decided"),
    "run.healed": ("heal", "good", "Healed"),
    "run.drifted": ("drift", "", "Drifted"),
    "run.phase": ("loop", "", "Went on"),
    "run.completed": ("check", "good", "Completed"),
    "run.failed": ("cross", "bad", "Failed"),
    "run.canceled": ("stop", "", "Canceled"),
}

#: Members of an event that say nothing the line does not say already.
_KNOWN = frozenset(
    {
        "status",
        "claim",
        "turn",
        "proposal",
        "etag",
        "plan",
        "plan_version",
        "kind",
        "origin",
        "waits",
    }
)


def moments(names: Names, events: Sequence[Event]) -> tuple[Moment, ...]:
    """A run's timeline, the newest first."""
    return tuple(_moment(names, each) for each in reversed(events))


def _moment(names: Names, event: Event) -> Moment:
    word = event.type.removeprefix("run.").replace("_", " ").capitalize()
    icon, tone, title = _MOMENTS.get(event.type, ("info", "", word))
    detail = ", ".join(
        f"{name.replace('_', ' ')}: {value}"
        for name, value in event.data.items()
        if name not in _KNOWN and isinstance(value, str | int | float) and value != ""
    )
    if event.type == "run.phase":
        title = str(event.data.get("message") or event.data.get("phase") or title).capitalize()
        detail = _done(event)
    elif event.type == "run.queued":
        title = _queued(event)
    elif event.type == "run.drifted":
        title, detail = f"{event.data.get('count')} differences from the expected file", ""
    elif event.type == "run.healed":
        title, detail = f"{event.data.get('count')} healed without asking", ""
    return Moment(
        at=event.at,
        icon=icon,
        tone=tone,
        title=title,
        detail=detail,
        actor=names.actor(event.actor),
    )


def _queued(event: Event) -> str:
    kind = {"undo": "Undo ", "replay": "Replay of rejected rows "}.get(
        str(event.data.get("kind")), ""
    )
    waits = " behind another import" if event.data.get("waits") else ""
    return f"{kind}queued{waits}".capitalize()


def _done(event: Event) -> str:
    done, total = event.data.get("done"), event.data.get("total")
    return f"{done:,} of {total:,}" if done and total else f"{done:,}" if done else ""
