"""Whether this process lives, and whether it can do its work."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from api.deps import Here, Services
from engine.store.database import is_busy
from engine.store.migrate import pending

router = APIRouter()


@router.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
def readyz(here: Here) -> Response:
    """The database answers and has the schema of this version; 503 otherwise, also while draining."""
    problem = "draining" if here.draining.is_set() else unready(here)
    if problem is not None:
        return JSONResponse({"status": problem}, 503, {"Retry-After": "1"})
    return JSONResponse({"status": "ready"})


def unready(here: Services) -> str | None:
    """What keeps this process from working."""
    try:
        with here.database.begin() as c:
            c.exec_driver_sql("SELECT 1")
        return "schema_outdated" if pending(here.database) else None
    except Exception as error:
        if not is_busy(error):
            raise
        return "database_unavailable"
