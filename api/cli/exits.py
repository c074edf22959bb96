"""Which exit code an error has; the same classes the HTTP table knows."""

from engine import errors as engine
from plans import errors as plans

NEEDS_ATTENTION = 10
RUN_FAILED = 11

#: Most specific first.
EXITS: tuple[tuple[type[Exception], int], ...] = (
    (plans.PlanInvalid, 2),
    (plans.ChangeConflict, 3),
    (engine.SourceError, 4),
    (engine.CompileError, 3),
    (engine.MappingError, 5),
    (engine.NotFound, 6),
    (engine.Expired, 6),
    (engine.SelectionInvalid, 2),
    (engine.Conflict, 3),
    (engine.EngineError, 1),
    (plans.PlanError, 2),
    (FileNotFoundError, 6),
)


def exit_code(error: Exception) -> int | None:
    """The documented exit code; None for an error nobody foresaw."""
    return next((code for kind, code in EXITS if isinstance(error, kind)), None)


def shown(error: Exception) -> str:
    """The error as a person should read it."""
    if isinstance(error, FileNotFoundError):
        return f"there is no file {error.filename}"
    return str(error)
