"""An undo is a run of its own: what its origin wrote is taken back from every sheet, and told."""

import json
from dataclasses import asdict

from engine import landing
from engine.desk import Desk
from engine.landing import Ground
from engine.model import RunStatus
from engine.phase import Advance, Context


def undone(desk: Desk, context: Context) -> Advance:
    """Take the origin back; its report lists the rows that stay because a later run edited them."""
    run, version = context.run, context.version
    ground = Ground(folder=context.folder, settings=desk.settings, cancel=context.cancel)
    done = landing.undo(desk, run, ground)
    rows = {
        name: {"removed": each.removed, "restored": each.restored, "kept": each.kept}
        for name, each in done.items()
    }
    kept = {name: [asdict(row) for row in each.kept_rows] for name, each in done.items()}
    report = {"status": RunStatus.COMPLETED, "undoes": run.origin, "rows": rows, "kept_rows": kept}
    path = context.folder / "report.json"
    path.write_text(json.dumps(report, indent=2), "utf-8")
    stored = context.store_file(path, name="report.json", media_type="application/json", records=0)
    return Advance(
        status=RunStatus.COMPLETED, version=version, artifacts=(stored,), report=stored.key,
        rows=rows,
    )  # fmt: skip
