"""What is kept for how long: results, uploads, keys of requests and leftovers on disk."""

import logging
import shutil
from contextlib import suppress
from datetime import timedelta
from functools import partial
from time import time

import sqlalchemy as sa

from engine import failpoints
from engine.dataset import READABLE, Location, Tidied, tidy
from engine.desk import Desk, scratch, scratch_root
from engine.errors import Conflict, NotFound
from engine.exporting import downloads
from engine.files import company_prefix, content_key, run_prefix
from engine.ids import utcnow
from engine.model import Run, Upload
from engine.sandbox import Limits, call
from engine.sheets import location
from engine.store import (
    audit,
    companies,
    endpoints,
    errands,
    executors,
    idempotency,
    quotas,
    runs,
    uploads,
)
from engine.store.database import transaction

log = logging.getLogger(__name__)

#: A frozen worker may still write to an ended run's folder for so long.
SETTLED = timedelta(hours=1)
#: An upload no run has used is kept so many times longer than a used one.
UNUSED = 7
#: So long after its undo window a sheet is looked at, in case no worker ran on the day.
LATE = timedelta(days=7)
#: So long the files of an erased company are looked for again.
ERASED = timedelta(days=7)
#: Looked up at a time.
BATCH = 500


def collect(desk: Desk) -> None:
    """Let go of everything whose time is over; safe to stop anywhere and to do twice."""
    while expired := _expired_runs(desk):
        for run in expired:
            desk.files.delete_prefix(run_prefix(run.partner, run.company, run.id))
            failpoints.hit("collect:files-gone")
            with transaction(desk.engine, "collect-run") as c:
                runs.expire(c, run.partner, run.id)
    drop_leftovers(desk, age=SETTLED, dead_seconds=desk.settings.dead_seconds)
    _drop_uploads(desk)
    _drop_errands(desk)
    _tidy_sheets(desk)
    _erase_again(desk)
    with transaction(desk.engine, "collect-keys") as c:
        idempotency.collect(c)
        quotas.collect(c)
        endpoints.prune(c, before=utcnow() - timedelta(days=desk.settings.run_days))
    desk.files.sweep(older_seconds=86_400)
    _sweep_downloads(desk)


def drop_leftovers(desk: Desk, *, age: timedelta, dead_seconds: float) -> None:
    """Remove what turns that did not count left in the file store and on this machine's disk."""
    while settled := _settled_runs(desk, age):
        for run in settled:
            _drop_orphans(desk, run)
    _sweep_scratch(desk, dead_seconds=dead_seconds)


def _settled_runs(desk: Desk, age: timedelta) -> list[Run]:
    with desk.engine.begin() as c:
        return runs.finished(c, before=utcnow() - age, swept=False, limit=BATCH)


def _sweep_scratch(desk: Desk, *, dead_seconds: float) -> None:
    """Remove the working folders of processes that are gone."""
    root = scratch_root(desk.settings)
    root.mkdir(parents=True, exist_ok=True)
    with desk.engine.begin() as c:
        living = executors.living(c, seconds=dead_seconds)
    for folder in root.iterdir():
        if folder.name not in living and folder.name != desk.executor:
            shutil.rmtree(folder, ignore_errors=True)


def _drop_errands(desk: Desk) -> None:
    """Files of exports whose time is over, and in the end what is known of exports and deliveries."""
    before = utcnow() - timedelta(days=desk.settings.run_days)
    with desk.engine.begin() as c:
        outdated = errands.outdated(c, limit=BATCH)
        old = errands.finished(c, before=before, limit=BATCH)
    for each in outdated:
        desk.files.delete_prefix(run_prefix(each.partner, each.company, each.id))
        with transaction(desk.engine, "collect-export") as c:
            errands.forget_file(c, each.partner, each.id)
    for each in old:
        desk.files.delete_prefix(run_prefix(each.partner, each.company, each.id))
        with transaction(desk.engine, "collect-errand") as c:
            errands.remove(c, each.partner, each.id)


def _tidy_sheets(desk: Desk) -> None:
    """Compact what lies in many files, and let go of rows that can be undone no more."""
    window = timedelta(days=desk.settings.undo_days)
    with desk.engine.begin() as c:
        due = companies.idle_since(c, since=utcnow() - window - LATE, before=utcnow() - window)
        sheets = [
            location(desk.settings, partner, company, sheet=sheet.id)
            for partner, company in due
            for sheet in companies.get(c, partner, company).sheets
        ]
    for sheet in sheets:
        try:
            tidy_sheet(desk, sheet, keep=window)
        except (Conflict, NotFound):
            # Another run wrote meanwhile, or nothing is there yet: the next round will do.
            continue


def tidy_sheet(desk: Desk, sheet: Location, *, keep: timedelta) -> Tidied:
    """Compact and vacuum one sheet, in a child where it lies on this machine."""
    folder = sheet.local
    if folder is None:
        return tidy(sheet, keep=keep)
    if not folder.is_dir():
        raise NotFound("the sheet has no rows yet")
    with scratch(desk, f"tidy-{folder.name}") as below:
        limits = Limits(
            folder=below, readable=READABLE, writable=(folder,), memory=4 << 30,
            seconds=desk.settings.run_seconds,
        )  # fmt: skip
        return call(partial(tidy, sheet, keep=keep), limits=limits)


def _erase_again(desk: Desk) -> None:
    """What a process left of erased companies: it died before their files went, or woke up after."""
    with desk.engine.begin() as c:
        erased = audit.erased(c, since=utcnow() - ERASED)
    for partner, company in erased:
        desk.files.delete_prefix(company_prefix(partner, company))


def _sweep_downloads(desk: Desk) -> None:
    """Folders of files that were being made when their process ended."""
    root = downloads(desk.settings)
    for folder in root.iterdir() if root.is_dir() else ():
        with suppress(FileNotFoundError):
            if folder.stat().st_mtime < time() - desk.settings.run_seconds - 3_600:
                shutil.rmtree(folder, ignore_errors=True)


def _expired_runs(desk: Desk) -> list[Run]:
    with desk.engine.begin() as c:
        before = utcnow() - timedelta(days=desk.settings.run_days)
        return runs.finished(c, before=before, expired=False, limit=BATCH)


def _drop_orphans(desk: Desk, run: Run) -> None:
    """Files that a turn which did not count has stored."""
    with desk.engine.begin() as c:
        known = {each.key for each in runs.artifacts_of(c, run.partner, run.id)}
    found = desk.files.keys(run_prefix(run.partner, run.company, run.id))
    desk.files.delete([key for key in found if key not in known])
    with transaction(desk.engine, "collect-orphans") as c:
        runs.mark_swept(c, run.partner, run.id)


def _drop_uploads(desk: Desk) -> None:
    """Uploads nobody needs any more; those still in use are passed by, however many they are."""
    after = ""
    while old := _old_uploads(desk, after=after):
        for upload, over in old:
            if over:
                _drop_upload(desk, upload)
        after = old[-1][0].id


def _old_uploads(desk: Desk, *, after: str) -> list[tuple[Upload, bool]]:
    """The next old uploads, and whether the time of each is over."""
    days = desk.settings.upload_days
    with desk.engine.begin() as c:
        old = uploads.older(c, before=utcnow() - timedelta(days=days), limit=BATCH, after=after)
        return [(each, _is_over(c, each, days=days)) for each in old]


def _is_over(c: sa.Connection, upload: Upload, *, days: float) -> bool:
    if upload.stored_at is None:
        return True
    users = runs.using(c, upload.partner, upload.company, upload=upload.id)
    ends = [each.finished_at for each in users]
    if not ends:
        return upload.stored_at < utcnow() - timedelta(days=UNUSED * days)
    before = utcnow() - timedelta(days=days)
    return all(end is not None and end < before for end in ends)


def _drop_upload(desk: Desk, upload: Upload) -> None:
    with transaction(desk.engine, "collect-upload") as c:
        uploads.expire(c, upload.partner, upload.id)
        shared = upload.digest and uploads.has_content(
            c, upload.partner, company=upload.company, digest=upload.digest
        )
    desk.files.abandon(upload.id)
    if upload.digest and upload.stored_at and not shared:
        desk.files.delete([content_key(upload.partner, upload.company, upload.digest)])
