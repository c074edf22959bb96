"""`reknit runs evidence`: why a run did what it did, and exactly what a model was shown."""

import json
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from api.cli.state import of_partner, settings, transaction

if TYPE_CHECKING:
    from engine.model import Run


@click.command("evidence")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@of_partner
def evidence(run: str, as_json: bool, partner: str) -> None:
    """How columns were found, what was repaired and proposed, and every prompt that left."""
    from pydantic import TypeAdapter

    from engine.proposal import Question, Repair
    from engine.store import findings, proposals, runs
    from engine.store.findings import Finding

    with transaction() as c:
        there = runs.get(c, partner, run)
        tables = findings.of_run(c, partner, run, kind=Finding.READ)
        bindings = findings.of_run(c, partner, run, kind=Finding.BINDING)
        heals = findings.of_run(c, partner, run, kind=Finding.HEAL)
        shown = proposals.open_of(c, partner, run)
    repairs = shown.proposal.repairs if shown else ()
    questions = shown.proposal.questions if shown else ()
    proposed = TypeAdapter(tuple[Repair, ...]).dump_python(repairs, mode="json")
    asked = TypeAdapter(tuple[Question, ...]).dump_python(questions, mode="json")
    model = _report(there).get("model", {"status": "off", "exchanges": []})
    if as_json:
        told = {"bindings": bindings, "heals": heals, "proposed": proposed, "asked": asked}
        click.echo(json.dumps({**told, "model": model}, indent=2, ensure_ascii=False))
        return
    _bindings(bindings, [each["columns"] for each in tables])
    _repairs("Healed: the data proved it", heals)
    _repairs("Proposed: waits for a person", proposed)
    _questions(asked)
    ledger(model)
    if model["exchanges"]:
        click.echo("  came of it: what is machine-written above and options of what is asked,")
        click.echo("  each of them tried on the rows first")


def ledger(model: Mapping[str, Any]) -> None:
    """The egress ledger: to which model, what, and what it cost."""
    from api.cli.show import OUT

    exchanges = model["exchanges"]
    OUT.print(Text(f"Model: {model['status']}", "bold"))
    for number, each in enumerate(exchanges, 1):
        cost = "unknown" if each["cost"] is None else f"{each['cost']:.6f} USD"
        tokens = f"{each['prompt_tokens']:,} + {each['output_tokens']:,} tokens"
        to = f" at {each['to']}" if each.get("to") else ""
        OUT.print(Text(f"  {number}. {each['model']}{to}: {each['status']}, {tokens}, cost {cost}"))
        if each["prompt"]:
            # The form is the answer's JSON Schema: names of fields, numbers of columns, units.
            OUT.print(
                Text(f"     sent with the form to answer in, SHA-256 {each['digest']}:", "dim")
            )
            _quote(each["prompt"], "|")
        if each.get("answer"):
            OUT.print(Text("     answered (machine-written):", "dim"))
            _quote(each["answer"], ">")
    if not exchanges:
        OUT.print(Text("  nothing left this machine"))


def _quote(text: str, mark: str) -> None:
    """Every line behind its mark; `--json` has the text to the letter."""
    from api.cli.show import OUT

    for line in text.splitlines():
        for part in wrap(
            line, max(40, OUT.width - 8), replace_whitespace=False, drop_whitespace=False,
            break_on_hyphens=False,
        ) or [""]:  # fmt: skip
            OUT.print(Text(f"     {mark} {part}", "dim"))


def _report(run: "Run") -> dict[str, Any]:
    from engine.files import open_files

    if run.report is None:
        return {}
    content: dict[str, Any] = json.loads(b"".join(open_files(settings()).get(run.report)))
    return content


def _bindings(bindings: Sequence[Mapping[str, Any]], headers: Sequence[Sequence[str]]) -> None:
    from api.cli.show import OUT

    for each in bindings:
        OUT.print(Text(f"Columns of {each['sheet']}", "bold"))
        for bound in each["bounds"]:
            names = headers[each["table"]]
            # A number as --map takes it, where there is no header.
            columns = " + ".join(
                repr(names[at]) if names[at] else f"column {at}" for at in bound["columns"]
            )
            OUT.print(
                Text(f"  {bound['field']}: from {columns}, {bound['by']} {bound['score']:.2f}")
            )
            OUT.print(Text(f"      {bound['evidence']}", "dim"))
        if each["missing"]:
            OUT.print(Text(f"  no column for: {', '.join(each['missing'])}"))


def _repairs(title: str, repairs: Sequence[Mapping[str, Any]]) -> None:
    from api.cli.show import OUT

    if repairs:
        OUT.print(Text(title, "bold"))
    for each in repairs:
        by = "machine-written, " if each["by"] == "model" else ""
        OUT.print(Text(f"  {each['summary']} ({by}{_tried(each['effect'])})"))
        OUT.print(Text(f"      {each['evidence']}", "dim"))


def _questions(questions: Sequence[Mapping[str, Any]]) -> None:
    from api.cli.show import OUT

    if questions:
        OUT.print(Text("Asked: waits for a person", "bold"))
    for each in questions:
        OUT.print(Text(f"  {each['prompt']}"))
        for option in each["options"]:
            effect = f" ({_tried(option['effect'])})" if option["effect"] else ""
            OUT.print(Text(f"      {option['label']}{effect}"))


def _tried(effect: Mapping[str, Any] | None) -> str:
    """What trying it on the rows did to cells."""
    if effect is None:
        return "not tried"
    told = [f"{effect[name]} {name}" for name in ("fixed", "broken", "changed") if effect[name]]
    return ", ".join(told) or "tried: no cell differs"
