"""`reknit worker`, `migrate`, `doctor`: what whoever runs the deployment needs."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from time import time
from typing import TYPE_CHECKING

import click

from api.cli import accounts, deliveries, exports, imports, plans, runs
from api.cli.exits import exit_code, shown

if TYPE_CHECKING:
    from engine.settings import Settings

log = logging.getLogger("reknit.worker")


@click.command("worker")
def worker() -> None:
    """Take runs from the queue until stopped; any number of these share one database."""
    from api import logs
    from engine import failpoints
    from engine.advance import advance
    from engine.binding.score import chosen
    from engine.files import open_files
    from engine.mapping import adviser
    from engine.pipeline import revise
    from engine.settings import from_environment
    from engine.store.database import open_database
    from engine.work import Work, Worker, prepare

    failpoints.arm(os.environ.get("FAILPOINT", ""))
    settings = from_environment(os.environ)
    logs.configure(settings.log_level, known=settings.confidential)
    engine = open_database(settings.database)
    prepare(engine)
    work = Work(engine, settings, revise=revise)
    helped = partial(advance, adviser=adviser(settings), weights=chosen(settings))
    taking = Worker(work, open_files(settings), advance=helped)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    taking.start()
    log.info("taking runs", extra={"executor": taking.desk.executor, "slots": settings.slots})
    stop.wait()
    log.info("stopping: what runs is finished or handed over")
    taking.stop()
    work.close()


@click.command("migrate")
def migrate() -> None:
    """Bring the database to this version; `serve` and `worker` do the same when they start."""
    from engine.settings import from_environment
    from engine.store.database import open_database
    from engine.store.migrate import wanted
    from engine.work import prepare

    prepare(open_database(from_environment(os.environ).database))
    click.echo(f"the database is at revision {wanted()}")


@click.command("doctor")
def doctor() -> None:
    """Check settings, database, files, disk, versions and confinement; exit code 1: look at it."""
    from engine.settings import SettingsInvalid, from_environment

    try:
        settings = from_environment(os.environ)
    except SettingsInvalid as error:
        raise click.ClickException(str(error)) from None
    healthy = True
    for name, check in _checks(settings):
        try:
            told, fine = check(), True
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            foreseen = isinstance(error, RuntimeError) or exit_code(error) is not None
            kind = "" if foreseen else f"{type(error).__name__}: "
            told, fine = f"{kind}{shown(error)}".splitlines()[0], False
        healthy &= fine
        mark = click.style("ok  ", fg="green") if fine else click.style("FAIL", fg="red")
        click.echo(f"{mark} {name}: {told}")
    if not healthy:
        sys.exit(1)


def _checks(settings: "Settings") -> Iterator[tuple[str, Callable[[], str]]]:
    yield "versions", _versions
    yield "secrets", lambda: _secrets(settings)
    yield "database", lambda: _database(settings)
    yield "workers", lambda: _workers(settings)
    yield "files", lambda: _files(settings)
    yield "disk", lambda: _disk(settings)
    yield "confinement", _confinement


def _versions() -> str:
    names = ("reknit", "duckdb", "sqlalchemy", "dbos", "deltalake", "obstore")
    told = [f"{name} {version(name)}" for name in names]
    return f"Python {sys.version.split()[0]}, {', '.join(told)}"


def _secrets(settings: "Settings") -> str:
    from engine.settings import load_secrets

    count = len(load_secrets(settings).ring)
    kept = "REKNIT_SECRETS" if settings.secrets.get_secret_value() else "secrets.json"
    return f"{count} in {kept}" + (", back it up" if kept == "secrets.json" else "")


def _database(settings: "Settings") -> str:
    import sqlalchemy

    from engine.store.database import database_now, open_database
    from engine.store.migrate import pending, wanted

    engine = open_database(settings.database)
    with engine.connect() as c:
        told = c.execute(sqlalchemy.select(database_now())).scalar_one()
    skew = abs(told / 1e6 - time())
    if pending(engine):
        raise RuntimeError("not at this version; run `reknit migrate`")
    if skew > 5:
        raise RuntimeError(f"its clock differs by {skew:.0f} s from this machine's")
    return f"{engine.dialect.name} at revision {wanted()}"


def _workers(settings: "Settings") -> str:
    from engine.store import executors
    from engine.store import runs as stored
    from engine.store.database import open_database
    from engine.store.migrate import pending

    engine = open_database(settings.database)
    if pending(engine):
        raise RuntimeError("nobody knows before the database is at this version")
    with engine.begin() as c:
        living = executors.living(c, seconds=settings.dead_seconds)
        waiting = len(stored.untouched(c, seconds=60))
    if waiting and not living:
        raise RuntimeError(f"no worker lives, and {waiting} runs wait for one")
    return f"{len(living)} at work"


def _files(settings: "Settings") -> str:
    from uuid import uuid4

    from engine.files import open_files

    files, key = open_files(settings), f"d0c/{uuid4().hex}"
    files.put(key, [b"reknit doctor"])
    back = b"".join(files.get(key))
    files.delete([key])
    if back != b"reknit doctor":
        raise RuntimeError("other bytes came back than were stored")
    return f"{settings.files} stores and gives back"


def _disk(settings: "Settings") -> str:
    import shutil

    free = shutil.disk_usage(settings.data_dir).free
    if free < settings.min_free_bytes:
        raise RuntimeError(f"only {free >> 20} MiB free; uploads are refused")
    return f"{free >> 30} GiB free in {settings.data_dir}"


def _confinement() -> str:
    from engine.confine import landlock

    abi = landlock()
    if abi < 1:
        raise RuntimeError(
            "this kernel has no Landlock (Linux 5.13): a child that a file takes over could read "
            "what this user may read"
        )
    return f"children see their own files only (Landlock {abi}), no network, no other program"


def register(root: click.Group) -> None:
    """Add the commands of this module, and those over the stored records."""
    for command in (worker, migrate, doctor):
        root.add_command(command)
    for module in (accounts, plans, runs, imports, exports, deliveries):
        module.register(root)
