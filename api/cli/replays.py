"""`reknit plans replay`: what a version would have done to the files of past runs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli.state import of_partner, settings, transaction

if TYPE_CHECKING:
    from api.past import Past
    from engine.model import Sheet
    from engine.replay import Replayed
    from plans.versions import PlanVersion


@click.command("replay")
@click.argument("plan")
@click.option("--version", "number", type=int, required=True)
@click.option("--runs", "most", type=click.IntRange(1, 200), default=20, show_default=True)
@of_partner
def replay_plan(plan: str, number: int, most: int, partner: str) -> None:
    """Try a version on the newest past runs: which rows it fixes, which it breaks."""
    from rich.table import Table

    from api.cli.show import OUT
    from api.past import past_runs
    from engine.errors import EngineError
    from engine.store import companies, plans

    with transaction() as c:
        candidate = plans.version(c, partner, plan, number=number).version
        past = past_runs(c, partner, plans.get(c, partner, plan), most=most)
        owners = {run.company: companies.get(c, partner, run.company) for run, _, _ in past}
    table = Table("run", "version", "valid", "after", "fixes", "breaks", box=None, pad_edge=False)
    for each in past:
        run, used, _ = each
        try:
            made = _tried(each, candidate, owners[run.company].sheets)
        except EngineError as error:
            table.add_row(run.id, str(used.number), str(error))
        else:
            figures = (made.before.valid, made.after.valid, len(made.fixed), len(made.broken))
            table.add_row(run.id, str(used.number), *(f"{each:,}" for each in figures))
    OUT.print(table if past else "no past run of this plan has its files still here")


def _tried(past: "Past", candidate: "PlanVersion", sheets: "Sequence[Sheet]") -> "Replayed":
    from api.past import tried_again
    from engine.files import content_key, open_files
    from engine.tables import Box, InputFile

    run, _, files = past
    store = open_files(settings())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inputs = []
        for each in files:
            digest = each.digest or ""
            key = content_key(run.partner, run.company, digest)
            path = store.fetch(key, folder, digest=digest)
            inputs.append(InputFile(name=each.name, path=path))
        box = Box(folder=folder, readable=tuple(each.path for each in inputs))
        return tried_again(past, candidate, inputs, sheets=sheets, settings=settings(), box=box)
