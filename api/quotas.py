"""How much one partner may hold and run at a time; deleting and ending frees it again."""

import shutil

import sqlalchemy

from api.errors import ApiError, Code
from engine.errors import QuotaExceeded
from engine.model import ACTIVE
from engine.settings import Settings
from engine.store import partners, runs, uploads

#: What a partner may have unless the operator said otherwise (`Partner.limits`).
FILES, BYTES, RUNS = 10_000, 200 << 30, 1_000


def upload_allowed(
    c: sqlalchemy.Connection, partner: str, *, size: int, settings: Settings
) -> None:
    """Refuse a file that is too large, that the partner has no room for, or that the disk has not."""
    if size > settings.max_upload_bytes:
        most = settings.max_upload_bytes
        raise ApiError(
            code=Code.PAYLOAD_TOO_LARGE,
            detail=f"a file may have {most} bytes at most",
            members={"max_bytes": most},
        )
    if not settings.files_url and _free(settings) - size < settings.min_free_bytes:
        raise ApiError(
            code=Code.STORAGE_FULL,
            detail="there is no room for this file now",
            headers={"Retry-After": "60"},
        )
    limits = partners.get(c, partner).limits
    count, held = uploads.held(c, partner)
    if count >= limits.get("files", FILES):
        raise QuotaExceeded("files", limit=limits.get("files", FILES))
    if held + size > limits.get("stored_bytes", BYTES):
        raise QuotaExceeded("stored_bytes", limit=limits.get("stored_bytes", BYTES))


def run_allowed(c: sqlalchemy.Connection, partner: str) -> None:
    """Refuse one more run while so many of the partner's have not ended."""
    most = partners.get(c, partner).limits.get("concurrent_runs", RUNS)
    if len(runs.page(c, partner, limit=most, status=ACTIVE)) >= most:
        raise ApiError(
            code=Code.TOO_MANY_CONCURRENT_RUNS,
            detail=f"{most} runs of yours have not ended; wait for one of them",
            headers={"Retry-After": "30"},
        )


def _free(settings: Settings) -> int:
    there = next(each for each in (settings.data_dir, *settings.data_dir.parents) if each.exists())
    return shutil.disk_usage(there).free
