"""One turn of an errand: claim it, do it, keep how it ended. What a crash interrupts is done again."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine import failpoints
from engine.desk import Desk, Stop, claim_name, scratch
from engine.endings import MOST_TRIES
from engine.errors import (
    CanaryRefused,
    Canceled,
    ChildTimeout,
    Conflict,
    DeliveryFailed,
    Expired,
    NotFound,
    SelectionInvalid,
    StorageError,
    Superseded,
)
from engine.exporting import Export, kept, snapshots, tag, written
from engine.files import run_prefix
from engine.ids import utcnow
from engine.outbound import Outbound, Refused
from engine.sandbox import Progress
from engine.secrets import Keys
from engine.shipping import shipped
from engine.store import companies, errands
from engine.store.database import is_busy, transaction
from engine.store.errands import Errand, Kind, Status
from engine.turns import MOST_CLAIMS, patiently

log = logging.getLogger(__name__)


#: Tries of a destination that takes no rows, each after twice the pause of the one before.
MOST_KNOCKS = 6


class Fault(StrEnum):
    """Why an export or delivery failed."""

    NOT_FOUND = "not_found"  #: the sheet has no rows, or the destination was deleted
    SELECTION = "selection_invalid"  #: the filter names a column or value the sheet cannot have
    EXPIRED = "expired"  #: the rows as of then are not kept any more
    CANARY = "canary_refused"  #: the first row was refused, and nothing else was sent
    UNREACHABLE = "delivery_failed"  #: the destination took no rows, however often it was tried
    ADDRESS = "address_refused"  #: the destination is where the operator lets nothing be sent
    TIMEOUT = "timed_out"  #: a child ran past its time
    QUARANTINED = "quarantined"  #: its worker died again and again
    STORAGE = "storage_full"  #: no room to write
    INTERNAL = "internal_error"  #: every try ended in a fault of ours


#: What no second try would change.
_FINAL: Mapping[type[Exception], Fault] = {
    NotFound: Fault.NOT_FOUND,
    SelectionInvalid: Fault.SELECTION,
    Expired: Fault.EXPIRED,
    CanaryRefused: Fault.CANARY,
    Refused: Fault.ADDRESS,
    ChildTimeout: Fault.TIMEOUT,
}


@dataclass(frozen=True, kw_only=True)
class Courier:
    """The desk of this worker, and what goes beyond it."""

    desk: Desk
    seals: Keys
    outbound: Outbound
    enqueue: Callable[[sa.Connection, Errand, float], None]  #: after so many seconds


def go(courier: Courier, partner: str, company: str, errand: str, *, turn: int) -> None:
    """Take that turn of the errand, unless somebody else has or the errand is gone."""
    desk, stop = courier.desk, Stop()
    desk.working[errand] = stop
    try:
        claimed = patiently(desk, lambda: _claim(desk, partner, errand, turn))
        end = _work(courier, claimed, stop)
        failpoints.hit("errand:before-settle")
        patiently(desk, end)
    except NotFound:
        # Erased with its company, or deleted: what was stored for it belongs to nobody.
        desk.files.delete_prefix(run_prefix(partner, company, errand))
    except Conflict as lost:
        log.warning("errand %s: what this worker did does not count: %s", errand, lost)
    finally:
        desk.working.pop(errand, None)


def _claim(desk: Desk, partner: str, errand: str, turn: int) -> Errand:
    with transaction(desk.engine, "errand-claim") as c:
        return errands.claim(c, partner, errand, turn=turn, executor=desk.executor)


def _work(courier: Courier, errand: Errand, stop: Stop) -> Callable[[], None]:
    """Do it; the transaction that keeps how it ended."""
    if errand.claim > MOST_CLAIMS:
        message = f"its worker died {MOST_CLAIMS} times while it worked on this"
        return lambda: _fail(courier, errand, Fault.QUARANTINED, message)
    if errand.cancel_requested:
        return lambda: _end(courier, errand, Status.CANCELED)
    try:
        with scratch(courier.desk, claim_name(errand)) as folder:
            do = _export if errand.kind is Kind.EXPORT else _deliver
            changes = do(courier, errand, folder, stop)
        return lambda: _end(courier, errand, Status.COMPLETED, **changes)
    except Exception as error:  # noqa: BLE001 - whatever it is, the errand has to learn of it
        fault = error
        return lambda: _end_badly(courier, errand, stop, fault)


def _export(courier: Courier, errand: Errand, folder: Path, stop: Stop) -> dict[str, Any]:
    desk = courier.desk
    with desk.engine.begin() as c:
        company = companies.get(c, errand.partner, errand.company)
    wanted = Export.model_validate(errand.request)
    found = snapshots(desk.settings, company, wanted)

    def tell(progress: Progress) -> None:
        _step(desk, errand, stop, {"done": progress.done, "total": progress.total})

    path = folder / "export"
    rows = written(found, wanted, to=path, settings=desk.settings, progress=tell, cancel=stop)
    file = kept(desk.files, company, path, errand=errand.id, wanted=wanted, rows=rows)
    failpoints.hit("errand:file-stored")
    return {
        "file": asdict(file), "etag": tag(found, wanted), "progress": {"done": rows, "total": rows},
        "expires_at": utcnow() + timedelta(days=desk.settings.export_days),
    }  # fmt: skip


def _deliver(courier: Courier, errand: Errand, folder: Path, stop: Stop) -> dict[str, Any]:
    desk = courier.desk
    steps = shipped(
        desk.engine, desk.settings, errand, folder=folder, keys=courier.seals,
        policy=courier.outbound, cancel=stop,
    )  # fmt: skip
    progress = {}
    for progress in steps:  # noqa: B007 - the last one is kept
        failpoints.hit("errand:step")
        if stop():
            raise Canceled(f"{errand.id} stops: {stop.reason}")
    return {"progress": progress}


def _step(desk: Desk, errand: Errand, stop: Stop, progress: Mapping[str, Any]) -> None:
    """Show how far it is; learn whether it is to end."""
    try:
        with transaction(desk.engine, "errand-progress") as c:
            there = errands.step(c, errand, progress=dict(progress))
    except (Superseded, NotFound):
        stop.reason = stop.reason or "superseded"
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        if not is_busy(error):
            raise
    else:
        if there.cancel_requested:
            stop.reason = stop.reason or "canceled"


def _end(courier: Courier, errand: Errand, status: Status, **changes: Any) -> None:
    desk, file = courier.desk, changes.get("file")
    try:
        with transaction(desk.engine, f"errand-{status}") as c:
            errands.end(c, errand, status, **changes)
    except Superseded:
        if file:
            desk.files.delete([file["key"]])
        raise
    if errand.kind is Kind.EXPORT:
        # What workers that died before had stored.
        found = desk.files.keys(run_prefix(errand.partner, errand.company, errand.id))
        desk.files.delete([key for key in found if not file or key != file["key"]])


def _end_badly(courier: Courier, errand: Errand, stop: Stop, error: Exception) -> None:
    with courier.desk.engine.begin() as c:
        # Gone with its company: then that is all there is to say.
        there = errands.get(c, errand.partner, errand.id)
    if stop.reason == "superseded" or isinstance(error, Superseded):
        raise Superseded(f"errand {errand.id} was taken over")
    if there.cancel_requested:
        _end(courier, errand, Status.CANCELED)
    elif stop.reason == "leaving":
        _again(courier, errand, tries=errand.tries, later=0)
    elif (code := _final(error)) is not None:
        _fail(courier, errand, code, str(error))
    else:
        _retry(courier, errand, error)


def _final(error: Exception) -> Fault | None:
    return next((_FINAL[kind] for kind in type(error).__mro__ if kind in _FINAL), None)


def _retry(courier: Courier, errand: Errand, error: Exception) -> None:
    # A destination's words may hold values; the log gets none of them.
    log.error("errand %s, try %s: %s", errand.id, errand.tries + 1, type(error).__name__)
    tries = errand.tries + 1
    if tries < (MOST_KNOCKS if isinstance(error, DeliveryFailed) else MOST_TRIES):
        later = courier.desk.settings.retry_seconds * 2 ** (tries - 1)
        _again(courier, errand, tries=tries, later=later)
    elif isinstance(error, DeliveryFailed):
        _fail(courier, errand, Fault.UNREACHABLE, str(error))
    elif isinstance(error, (StorageError, OSError)):
        _fail(courier, errand, Fault.STORAGE, "the file could not be stored; try again later")
    else:
        _fail(courier, errand, Fault.INTERNAL, f"a fault of ours, {MOST_TRIES} times")


def abandoned(courier: Courier, errand: Errand) -> None:
    """The workflow of its turn is gone without ending it: one more turn."""
    _again(courier, errand, tries=errand.tries, later=0)


def _again(courier: Courier, errand: Errand, *, tries: int, later: float) -> None:
    with transaction(courier.desk.engine, "errand-retry") as c:
        queued = errands.again(c, errand, tries=tries)
        courier.enqueue(c, queued, later)


def _fail(courier: Courier, errand: Errand, code: Fault, message: str) -> None:
    _end(courier, errand, Status.FAILED, error_code=code, error_message=message[:500])
