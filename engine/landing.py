"""A run's rows on their way into the company's sheets, and back out of them.

What the sheets show of a run happens once: its id is in the commit of each of its sheets.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine import dataset, failpoints, sandbox
from engine.compiler.program import Stored
from engine.dataset import Counts, Exclusion, Location, Mode, Undone
from engine.desk import Desk, claim_name, scratch
from engine.errors import NotFound, NotUndoable, RowsChanged
from engine.execute.job import asked
from engine.model import Run, Sheet
from engine.phase import Landed, SheetRows
from engine.settings import Settings
from engine.sheets import location
from engine.store import companies, runs
from engine.store.database import transaction
from plans.versions import PlanVersion

T = TypeVar("T")

#: Address space of a child that works on a sheet: ten million rows stay resident in a quarter.
MEMORY = 4 << 30


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where a turn works on sheets: its folder, threads and time, and what tells it to stop."""

    folder: Path
    settings: Settings
    cancel: Callable[[], bool] | None = None

    def call(self, sheet: Location, work: Callable[..., T], *, readable: Sequence[Path] = ()) -> T:
        """`work(sheet)`: in a confined child; here when the sheet lies in an object store."""
        if (table := sheet.local) is None:
            return work(sheet)
        table.mkdir(parents=True, exist_ok=True)
        limits = sandbox.Limits(
            folder=self.folder,
            readable=(*readable, *dataset.READABLE),
            writable=(table,),
            memory=MEMORY,
            seconds=self.settings.run_seconds,
            threads=self.settings.run_threads,
        )
        return sandbox.call(work, sheet, limits=limits, cancel=self.cancel)


def land(desk: Desk, run: Run, ground: Ground, rows: Sequence[SheetRows]) -> dict[str, Landed]:
    """Bring the valid rows into the sheets of their templates; what became of them, by sheet.

    The claim is checked right before, and from then on nobody can cancel. A worker that was frozen
    in between writes nothing: whoever took the run over has committed its id, with rows or, when
    the run was given up, without.
    """
    with transaction(desk.engine, "land") as c:
        runs.land(c, run)
        templates = [each.template.template for each in rows]
        sheets = companies.with_sheets(c, run.partner, run.company, templates=templates)
    failpoints.hit("land:begun")
    landed = {}
    for each in rows:
        sheet = sheets[each.template.template]
        landed[sheet.name] = _landed(run, ground, sheet, each)
        failpoints.hit("land:sheet-done")
    return landed


def _landed(run: Run, ground: Ground, sheet: Sheet, rows: SheetRows) -> Landed:
    folder = ground.folder / f"sheet-{sheet.name}"
    folder.mkdir(exist_ok=True)
    skipped = folder / "skipped.csv"
    options = run.options
    work = partial(
        dataset.upsert,
        parts=rows.parts,
        identity=rows.template.identity,
        run=run.id,
        plan_version=f"{run.plan}/{run.plan_version}",
        scratch=folder,
        mode=Mode(options.get("mode", Mode.UPSERT)),
        keep_existing=bool(options.get("keep_existing", False)),
        exclude=[
            Exclusion(field=each["field"], values=tuple(each["values"]))
            for each in options.get("exclude", ())
        ],
        tags=tuple(options.get("tags", ())),
        fed=rows.fed,
        skipped_to=skipped,
        threads=ground.settings.run_threads,
    )
    counts = ground.call(_at(run, sheet, ground), work, readable=rows.parts)
    if counts.rows != rows.records:
        raise RowsChanged(
            f"sheet {sheet.name!r} got {counts.rows} rows, now there are {rows.records}"
        )
    return Landed(counts=stored_counts(counts), skipped=skipped if counts.skipped else None)


def stored_counts(counts: Counts) -> dict[str, int]:
    """The counts as a run shows them: `skipped` is the sum of the reasons after it."""
    told = asdict(counts)
    shown = {name: told.pop(name) for name in ("created", "updated", "unchanged")}
    return {**shown, "skipped": counts.skipped, **told}


def take_back(desk: Desk, run: Run) -> None:
    """Nothing of a run that does not complete is in the sheets or comes there; safe to repeat."""
    with desk.engine.begin() as c:
        sheets = companies.get(c, run.partner, run.company).sheets
    back = f"{run.id}/back"
    with scratch(desk, f"back-{claim_name(run)}") as folder:
        ground = Ground(folder=folder, settings=desk.settings)
        for sheet in sheets:
            place = _at(run, sheet, ground)
            try:
                undone(run.id, ground, place, by=back)
            except NotFound:
                # A frozen worker may be about to write: it wakes up to this commit.
                ground.call(place, partial(dataset.give_up, run=run.id, undo_run=back))
    failpoints.hit("land:taken-back")


def undo(desk: Desk, run: Run, ground: Ground) -> dict[str, Undone]:
    """Take back what the run's origin wrote, in every sheet; NotUndoable before anything changes."""
    origin = run.origin or ""
    with transaction(desk.engine, "land") as c:
        runs.land(c, run)
        sheets = companies.get(c, run.partner, run.company).sheets
    written = places(ground.settings, sheets, run=origin, undo_run=run.id)
    failpoints.hit("undo:begun")
    done = {}
    for name, place in written.items():
        done[name] = undone(origin, ground, place, by=run.id)
        failpoints.hit("undo:sheet-done")
    return done


def places(
    settings: Settings, sheets: Sequence[Sheet], *, run: str, undo_run: str = ""
) -> dict[str, Location]:
    """The sheets a run still has rows in, by name; NotUndoable when one cannot be taken back."""
    found, taken = {}, False
    for sheet in sheets:
        place = location(settings, sheet.partner, sheet.company, sheet=sheet.id)
        with suppress(NotFound):
            past = dataset.history(place)
            # An undo that was given up half-way: the next one goes on with the other sheets.
            if any(each.undoes == run and each.run != undo_run for each in past):
                taken = True
                continue
            dataset.check_undo(place, run, undo_run=undo_run)
            found[sheet.name] = place
    if not found and not taken:
        raise NotUndoable(f"run {run} wrote no rows")
    return found


def undone(origin: str, ground: Ground, place: Location, *, by: str) -> Undone:
    """One sheet without what `origin` wrote; NotFound when it wrote nothing there."""
    work = partial(
        dataset.undo,
        run=origin,
        undo_run=by,
        scratch=ground.folder,
        threads=ground.settings.run_threads,
    )
    return ground.call(place, work)


def stored(
    run: Run,
    ground: Ground,
    *,
    sheets: Sequence[Sheet],
    versions: Sequence[PlanVersion],
    as_of: datetime | None = None,
) -> Stored:
    """Files of the values that references and lookups may find in the company's sheets."""
    there = {each.template: each for each in sheets}
    wanted = dict.fromkeys(want for version in versions for want in asked(version))
    found = []
    for number, want in enumerate(each for each in wanted if each.template in there):
        to = ground.folder / f"stored-{number}.parquet"
        work = partial(dataset.stored_values, fields=want.fields, to=to, as_of=as_of)
        # A sheet without a value says nothing about what is missing.
        with suppress(NotFound):
            if ground.call(_at(run, there[want.template], ground), work):
                found.append((want, to))
    return tuple(found)


def _at(run: Run, sheet: Sheet, ground: Ground) -> Location:
    return location(ground.settings, run.partner, run.company, sheet=sheet.id)
