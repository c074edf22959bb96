"""What is kept for how long: results, uploads, keys of requests and leftovers on disk."""

import logging
import shutil
from datetime import timedelta

import sqlalchemy as sa

from engine import failpoints
from engine.desk import Desk, scratch_root
from engine.files import content_key, run_prefix
from engine.ids import utcnow
from engine.model import Run, Upload
from engine.store import executors, idempotency, quotas, runs, uploads
from engine.store.database import transaction

log = logging.getLogger(__name__)

#: A frozen worker may still write to an ended run's folder for so long.
SETTLED = timedelta(hours=1)
#: An upload no run has used is kept so many times longer than a used one.
UNUSED = 7
#: In one go; the next go takes the rest.
BATCH = 500


def collect(desk: Desk) -> None:
    """Let go of everything whose time is over; safe to stop anywhere and to do twice."""
    for run in _expired_runs(desk):
        desk.files.delete_prefix(run_prefix(run.partner, run.company, run.id))
        failpoints.hit("collect:files-gone")
        with transaction(desk.engine, "collect-run") as c:
            runs.expire(c, run.partner, run.id)
    drop_leftovers(desk, age=SETTLED, dead_seconds=desk.settings.dead_seconds)
    for upload in _finished_uploads(desk):
        _drop_upload(desk, upload)
    with transaction(desk.engine, "collect-keys") as c:
        idempotency.collect(c)
        quotas.collect(c)
    desk.files.sweep(older_seconds=86_400)


def drop_leftovers(desk: Desk, *, age: timedelta, dead_seconds: float) -> None:
    """Remove what turns that did not count left in the file store and on this machine's disk."""
    with desk.engine.begin() as c:
        settled = runs.finished(c, before=utcnow() - age, swept=False, limit=BATCH)
    for run in settled:
        _drop_orphans(desk, run)
    _sweep_scratch(desk, dead_seconds=dead_seconds)


def _sweep_scratch(desk: Desk, *, dead_seconds: float) -> None:
    """Remove the working folders of processes that are gone."""
    root = scratch_root(desk.settings)
    root.mkdir(parents=True, exist_ok=True)
    with desk.engine.begin() as c:
        living = executors.living(c, seconds=dead_seconds)
    for folder in root.iterdir():
        if folder.name not in living and folder.name != desk.executor:
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


def _finished_uploads(desk: Desk) -> list[Upload]:
    now, days = utcnow(), desk.settings.upload_days
    with desk.engine.begin() as c:
        old = uploads.older(c, before=now - timedelta(days=days), limit=BATCH)
        return [each for each in old if _is_over(c, each, days=days)]


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
