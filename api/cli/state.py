"""The deployment's state as a command sees it: settings, a transaction, the queue, the partner."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import sqlalchemy

    from engine.settings import Settings
    from engine.work import Work

F = TypeVar("F", bound=Callable[..., Any])

#: Who did it, in the audit log and in events.
ACTOR = "cli"


def of_partner(command: F) -> F:
    """The command gets `partner`: the one named, or the only one there is."""

    @click.option("--partner", default="", help="Name or id; not needed when there is only one.")
    @wraps(command)
    def chosen(*args: Any, partner: str, **options: Any) -> Any:
        return command(*args, partner=_partner(partner), **options)

    return chosen  # type: ignore[return-value]


def settings() -> "Settings":
    """The settings of the environment."""
    from engine.settings import from_environment

    return from_environment(os.environ)


@contextmanager
def transaction() -> Iterator["sqlalchemy.Connection"]:
    """One transaction on the database, brought to this version first."""
    from engine.store.database import open_database
    from engine.store.migrate import migrate, pending

    engine = open_database(settings().database)
    if pending(engine):
        migrate(engine)
    with engine.begin() as c:
        yield c
    engine.dispose()


@contextmanager
def opened() -> Iterator["Work"]:
    """The queue, without a worker."""
    from engine.pipeline import revise
    from engine.store.database import open_database
    from engine.work import Work, prepare

    given = settings()
    engine = open_database(given.database)
    prepare(engine)
    work = Work(engine, given, revise=revise)
    yield work
    work.close()
    engine.dispose()


def _partner(named: str) -> str:
    from engine.errors import NotFound
    from engine.store import partners

    with transaction() as c:
        every = partners.listed(c)
    found = [each for each in every if named in ("", each.id, each.name)]
    if len(found) == 1:
        return found[0].id
    if not found:
        which = f"partner {named!r}" if named else "partner yet"
        raise NotFound(f"there is no {which}; make one with `reknit partners add NAME`")
    raise click.UsageError("several partners fit: say which by --partner ID")
