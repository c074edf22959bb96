"""A delivery on its way: the rows as they were when it was asked for, from where it stands."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from engine.delivery import (
    Delivered,
    HttpDestination,
    Load,
    PostgresDestination,
    S3Destination,
    deliver,
    open_destination,
)
from engine.errors import Canceled, SelectionInvalid
from engine.export import Format, Selection
from engine.exporting import Export, Snapshot, snapshots, written
from engine.model import Company
from engine.outbound import Outbound
from engine.secrets import Keys
from engine.settings import Settings
from engine.sheets import location
from engine.store import batches, companies, destinations, errands
from engine.store.batches import Told
from engine.store.database import transaction
from engine.store.errands import Errand

#: What a delivered row always says of itself, whichever columns were chosen.
_OF_THE_ROW = ("_id", "_run", "_file", "_row")


class Shipment(Selection):
    """What is delivered where: rows of some sheets, or of all that have some."""

    destination: Annotated[str, Field(max_length=200, description="Its id or name")]
    sheets: Annotated[tuple[str, ...], Field(max_length=200, description="Empty: all")] = ()
    as_of: Annotated[str | None, Field(max_length=40)] = None
    canary: bool = True  #: the first row of each sheet alone, before all others


def planned(settings: Settings, company: Company, wanted: Shipment) -> dict[str, Any]:
    """The request as the errand keeps it: every sheet at its present version."""
    told = wanted.model_dump(mode="json")
    chosen = wanted.sheets or (None,)
    if len(wanted.sheets) != 1 and (wanted.filter or wanted.ids or wanted.columns):
        raise SelectionInvalid("a filter, ids and columns are of one sheet: name it in `sheets`")
    found = {
        each.sheet: each.version
        for sheet in chosen
        for each in snapshots(settings, company, Export(sheet=sheet, as_of=wanted.as_of))
    }
    return {**told, "versions": found}


def shipped(
    engine: sa.Engine,
    settings: Settings,
    errand: Errand,
    *,
    folder: Path,
    keys: Keys,
    policy: Outbound,
    cancel: Callable[[], bool],
) -> Iterator[dict[str, int]]:
    """Deliver what is left; each step is kept before it is told: done, refused, total."""
    with engine.begin() as c:
        company = companies.get(c, errand.partner, errand.company)
        destination = _destination(c, errand, keys)
        cursors = batches.cursors(c, errand.partner, errand.id)
        done, refused = batches.totals(c, errand.partner, errand.id)
    loads = _loads(settings, company, errand, destination, folder=folder, cancel=cancel)
    told = {"done": done, "refused": refused, "total": sum(each.rows for each in loads)}
    yield told
    for step in deliver(
        loads, destination, delivery=errand.id, policy=policy, cursors=cursors,
        canary=bool(errand.request["canary"]),
    ):  # fmt: skip
        told = _keep(engine, errand, step, told)
        yield told


def _destination(
    c: sa.Connection, errand: Errand, keys: Keys
) -> PostgresDestination | HttpDestination | S3Destination:
    there = destinations.get(c, errand.partner, errand.destination or "")
    return open_destination(there.sealed, keys=keys, owner=there.id)


def _loads(
    settings: Settings,
    company: Company,
    errand: Errand,
    destination: PostgresDestination | HttpDestination | S3Destination,
    *,
    folder: Path,
    cancel: Callable[[], bool],
) -> list[Load]:
    """Each sheet's rows as a file, the same ones in the same order at every turn."""
    wanted = Shipment.model_validate({name: errand.request[name] for name in Shipment.model_fields})
    form = Format(destination.format) if isinstance(destination, S3Destination) else Format.PARQUET
    selection = dict(wanted)
    if wanted.columns and form is Format.PARQUET:
        selection["columns"] = tuple(dict.fromkeys((*wanted.columns, *_OF_THE_ROW)))
    ids = {each.name: each.id for each in company.sheets}
    loads = []
    for sheet, version in errand.request["versions"].items():
        place = location(settings, company.partner, company.id, sheet=ids[sheet])
        export = Export(
            **{name: selection[name] for name in Selection.model_fields},
            sheet=sheet, format=form, lineage=form is Format.PARQUET,
        )  # fmt: skip
        path = folder / f"{sheet}.{form}"
        snapshot = Snapshot(sheet=sheet, location=place, version=version)
        rows = written((snapshot,), export, to=path, settings=settings, cancel=cancel)
        loads.append(Load(sheet=sheet, file=path, rows=rows))
    return loads


def _keep(
    engine: sa.Engine, errand: Errand, step: Delivered, told: dict[str, int]
) -> dict[str, int]:
    """The cursor, what was said of the rows, and how far it is: one transaction."""
    said = [
        Told(sheet=step.sheet, row=each.id, refusal=None if each.ok else each.message or "refused")
        for each in step.results
    ]
    told = {
        "done": told["done"] + (len(said) or step.cursor),
        "refused": told["refused"] + sum(each.refusal is not None for each in said),
        "total": told["total"],
    }
    with transaction(engine, "delivery-step") as c:
        there = errands.step(c, errand, progress=told)
        batches.keep(c, errand.partner, errand.id, sheet=step.sheet, cursor=step.cursor, told=said)
    if there.cancel_requested:
        raise Canceled(f"delivery {errand.id} was canceled")
    return told
