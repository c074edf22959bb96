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

    from engine.proposal import Repair
    from engine.store import findings, proposals, runs
    from engine.store.findings import Finding

    with transaction() as c:
        there = runs.get(c, partner, run)
        bindings = findings.of_run(c, partner, run, kind=Finding.BINDING)
        heals = findings.of_run(c, partner, run, kind=Finding.HEAL)
        shown = proposals.open_of(c, partner, run)
    repairs = shown.proposal.repairs if shown else ()
    proposed = TypeAdapter(tuple[Repair, ...]).dump_python(repairs, mode="json")
    model = _report(there).get("model", {"status": "off", "exchanges": []})
    if as_json:
        told = {"bindings": bindings, "heals": heals, "proposed": proposed, "model": model}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    _bindings(bindings)
    _repairs("Healed: the data proved it", heals)
    _repairs("Proposed: waits for a person", proposed)
    ledger(model)
    if model["exchanges"]:
        said = sum(each["by"] == "model" for each in (*heals, *proposed))
        click.echo(f"  came of it: {said} suggestions that stood the trial on the rows")


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
            OUT.print(Text(f"     sent, SHA-256 {each['digest']}:", "dim"))
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
            line, max(40, OUT.width - 8), replace_whitespace=False, drop_whitespace=False
        ) or [""]:
            OUT.print(Text(f"     {mark} {part}", "dim"))


def _report(run: "Run") -> dict[str, Any]:
    from engine.files import open_files

    if run.report is None:
        return {}
    content: dict[str, Any] = json.loads(b"".join(open_files(settings()).get(run.report)))
    return content


def _bindings(bindings: Sequence[Mapping[str, Any]]) -> None:
    from api.cli.show import OUT

    for each in bindings:
        OUT.print(Text(f"Columns of {each['sheet']}", "bold"))
        for bound in each["bounds"]:
            columns = ", ".join(map(str, bound["columns"]))
            OUT.print(
                Text(f"  {bound['field']}: column {columns}, {bound['by']} {bound['score']:.3f}")
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
        effect = each["effect"] or {}
        told = ", ".join(
            f"{effect[name]} {name}" for name in ("fixed", "broken", "changed") if name in effect
        )
        OUT.print(Text(f"  {each['summary']} ({by}{told})"))
        OUT.print(Text(f"      {each['evidence']}", "dim"))
