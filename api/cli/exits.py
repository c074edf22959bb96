"""Which exit code an error has; the same classes the HTTP table knows."""

from pathlib import Path

from engine import errors as engine
from engine.settings import SettingsInvalid
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
    (engine.DecisionInvalid, 2),
    (engine.Conflict, 3),
    (engine.EngineError, 1),
    (plans.PlanError, 2),
    (SettingsInvalid, 2),
    (FileNotFoundError, 6),
    (OSError, 1),
)


def exit_code(error: Exception) -> int | None:
    """The documented exit code; None for an error nobody foresaw."""
    found = next((code for kind, code in EXITS if isinstance(error, kind)), None)
    return 1 if found is None and _of_database(error) else found


def shown(error: Exception) -> str:
    """The error as a person should read it."""
    if isinstance(error, FileNotFoundError) and error.filename:
        folder = Path(error.filename).parent
        return f"there is no {f'file {error.filename}' if folder.is_dir() else f'folder {folder}'}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if (told := _of_database(error)) is not None:
        return f"the database cannot be used: {told}; look at REKNIT_DATABASE_URL"
    return str(error)


def _of_database(error: Exception) -> str | None:
    """What the database's own driver says, if it cannot be reached, opened or written."""
    # Late, because a command that needs no database should not wait for its libraries.
    from sqlalchemy.exc import DatabaseError, OperationalError

    if isinstance(error, OperationalError) or type(error) is DatabaseError:
        return str(error.orig).splitlines()[0]
    return None
