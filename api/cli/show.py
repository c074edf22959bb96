"""How runs, drifts, questions and differences look in a terminal, and the same as JSON."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from api.cli.evidence import ledger
from engine.accounting import Accounting
from engine.drift import Drift
from engine.intake.source import Source
from engine.outcome import CellGroup, Outcome
from engine.pipeline import SheetInput
from engine.proposal import Effect, Proposal, Question, Repair
from engine.sandbox import Progress as Step
from engine.tables import Tables
from plans.versions import Difference

if TYPE_CHECKING:
    from api.cli.folder import FolderRun

#: Wide enough for tables when the output is a file or a pipe.
OUT = Console(highlight=False)
if not OUT.is_terminal:
    OUT.width = 160
#: Of 300 columns nobody uses, the rest would scroll everything else away.
MOST_ALIKE = 8
COUNTS = ("read", "valid", "invalid", "duplicate", "skipped")


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[Step], None] | None]:
    """A bar a phase on stderr; nothing where nobody looks."""
    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bars:
        tasks: dict[str, object] = {}

        def report(step: Step) -> None:
            if step.phase not in tasks:
                tasks[step.phase] = bars.add_task(step.phase, total=step.total or None)
            bars.update(tasks[step.phase], completed=step.done, total=step.total or None)  # type: ignore[arg-type]

        yield report


def run(made: "FolderRun", out: Path, *, as_json: bool) -> None:
    """What a run did, and what to do next."""
    if as_json:
        from engine.results import summary

        attempt = made.attempt
        proposal = _json(attempt.proposal) if attempt.proposal else None
        _print_json({**summary(attempt, made.tables), "proposal": proposal, "folder": str(out)})
        return
    attempt = made.attempt
    _accounting(attempt.outcome)
    _notes([each.source for each in made.tables.staged])
    _drifts(attempt.drifts)
    _repairs("Healed: the data proved it", attempt.healed)
    _repairs("Approved by the policy", attempt.approved)
    _groups([group for sheet in attempt.outcome.sheets for group in sheet.groups])
    if attempt.advice:
        ledger(asdict(attempt.advice))
    if attempt.proposal:
        decide = f"reknit decide {out}"
        refuse = f"{decide} --take-valid | --reject"
        review(attempt.proposal, accept=f"{decide} --accept", answer=decide, refuse=refuse)
        return
    style = "bold green" if attempt.status == "completed" else "bold red"
    OUT.print(Text(f"{attempt.status}" + (f": {attempt.reason}" if attempt.reason else ""), style))
    OUT.print(Text(f"Files: {out / 'results'}"))


def check(tables: Tables, inputs: Sequence[SheetInput], *, as_json: bool) -> None:
    """How each table was read, bound and what drifted."""
    if as_json:
        _print_json({"tables": _json(tables), "sheets": _json(tuple(inputs))})
        return
    for each in inputs:
        source, binding = each.bound.staged.source, each.bound.binding
        OUT.print(Text(f"{source.file} → sheet {binding.sheet}", "bold"))
        read = f"{source.format}, {source.encoding or ''} {source.delimiter or ''!r}".strip()
        OUT.print(Text(f"  read as {read}, {source.read} rows, {source.confidence:.0%} sure"))
        _notes([source])
        for view in source.views:
            OUT.print(Text(f"  perhaps: {view.label}", "yellow"))
            _first_rows(view.columns, view.rows)
        table = Table("field", "column", "by", "sure", "why", box=None, pad_edge=False)
        for bound in binding.bounds:
            headers = " + ".join(source.columns[index] for index in bound.columns)
            table.add_row(
                *map(Text, (bound.field, headers, bound.by, f"{bound.score:.2f}", bound.evidence))
            )
        OUT.print(table)
        _drifts(each.drifts)


def show_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    """What differs between two documents."""
    if as_json:
        _print_json(_json(tuple(found)))
        return
    for each in found:
        OUT.print(Text(each.path, "bold"))
        if each.before is not None:
            OUT.print(Text(f"  - {json.dumps(each.before, ensure_ascii=False)}", "red"))
        if each.after is not None:
            OUT.print(Text(f"  + {json.dumps(each.after, ensure_ascii=False)}", "green"))
    if not found:
        OUT.print("no difference")


def _accounting(outcome: Outcome) -> None:
    table = Table("sheet", "file", *COUNTS, box=None, pad_edge=False)
    for sheet in outcome.sheets:
        for file in sheet.files:
            table.add_row(Text(sheet.sheet), Text(file.file), *_counts(file.accounting))
    if table.row_count > 1:
        table.add_row("all", "", *_counts(outcome.accounting), style="bold")
    OUT.print(table)
    OUT.print(Text("read = valid + invalid + duplicate + skipped", "dim"))


def _counts(accounting: Accounting) -> list[str]:
    return [f"{getattr(accounting, name):,}" for name in COUNTS]


def _notes(sources: Sequence[Source]) -> None:
    """What was noticed while reading, skipped rows above all."""
    noticed = [(source, note) for source in sources for note in source.notes]
    if noticed:
        OUT.print(Text("Noticed in reading", "bold"))
    for source, note in noticed:
        count = f" ({note.count:,})" if note.count > 1 else ""
        row = f", first in row {note.row:,}" if note.row else ""
        OUT.print(Text(f"  {note.code}: {source.file}: {note.message}{count}{row}"))


def _drifts(drifts: Sequence[Drift]) -> None:
    if drifts:
        OUT.print(Text("Drift", "bold"))
    for code in dict.fromkeys(drift.code for drift in drifts):
        alike = [drift.message for drift in drifts if drift.code == code]
        for message in alike[:MOST_ALIKE]:
            OUT.print(Text(f"  {code}: {message}"))
        if len(alike) > MOST_ALIKE:
            OUT.print(Text(f"  {code}: {len(alike) - MOST_ALIKE} more, told by --json", "dim"))


def _repairs(title: str, repairs: Sequence[Repair]) -> None:
    if repairs:
        OUT.print(Text(title, "bold"))
    for repair in repairs:
        OUT.print(Text(f"  {repair.id}: {repair.summary}{_effect(repair.effect)}"))
        OUT.print(Text(f"      {repair.evidence}", "dim"))


def _groups(groups: Sequence[CellGroup]) -> None:
    if not groups:
        return
    code = Column("code", no_wrap=True)
    table = Table("field", "column", code, "cells", "values", "rows", box=None, pad_edge=False)
    for group in groups:
        values = ", ".join(value for value, _ in group.values[:4])
        rows = ", ".join(map(str, group.first_rows[:4]))
        cells = f"{group.cells:,}"
        table.add_row(
            *map(Text, (group.field or "", group.column or "", group.code, cells, values, rows))
        )
    OUT.print(Text("Invalid cells", "bold"))
    OUT.print(table)


def review(found: Proposal, *, accept: str, answer: str, refuse: str) -> None:
    """What is asked and proposed, and the commands that decide."""
    OUT.print(Text("needs_attention", "bold yellow"), Text(found.summary))
    _repairs("Proposed", found.repairs)
    for question in found.questions:
        _question(question)
    OUT.print(Text("Decide", "bold"))
    if not any(question.decisive for question in found.questions):
        OUT.print(Text(f"  {accept}"))
    if found.questions:
        first = found.questions[0]
        OUT.print(Text(f"  {answer} --answer {first.id}={first.options[0].id}"))
    OUT.print(Text(f"  {refuse}"))


def _question(question: Question) -> None:
    OUT.print(Text(f"{question.id}: {question.prompt}", "bold"))
    if question.context:
        OUT.print(Text(f"  {question.context}", "dim"))
    if question.target.samples:
        OUT.print(Text(f"  values: {', '.join(question.target.samples[:8])}"))
    for option in question.options:
        mark = "●" if option.id == question.recommended else "○"
        effect = _effect(option.effect) if option.effect else ""
        OUT.print(Text(f"  {mark} {option.id}: {option.label}{effect}"))
        if option.preview:
            _first_rows(option.preview.columns, option.preview.rows)
    if question.allow_custom:
        OUT.print(Text(f"  or your own: {question.custom_hint}"))


def _first_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    for row in (columns, *rows):
        OUT.print(Text("      " + " │ ".join(cell[:24] for cell in row[:8]), "dim"))


def _effect(effect: Effect | None) -> str:
    if effect is None:
        return " (not tried)"
    told = [f"fixes {effect.fixed:,} cells"] if effect.fixed else []
    if effect.valid_before != effect.valid_after:
        told.append(f"valid rows {effect.valid_before:,} → {effect.valid_after:,}")
    told += [f"breaks {effect.broken:,}"] if effect.broken else []
    return f" ({', '.join(told)})" if told else ""


def _json(value: object) -> object:
    return TypeAdapter(type(value) if not isinstance(value, tuple) else tuple).dump_python(
        value, mode="json"
    )


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201
