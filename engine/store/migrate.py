"""Brings the database to this version of the tables. Forward only; several processes may start it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.errors import EngineError

HERE = Path(__file__).parent / "migrations"
#: Any number that nothing else in the database locks.
LOCK = 7_313_058_441


def migrate(engine: sa.Engine) -> str:
    """Apply what is missing in one transaction; the revision the database has now."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        _revision(connection)
        command.upgrade(_config(connection), "head")
        connection.commit()
    return wanted()


def pending(engine: sa.Engine) -> bool:
    """Whether the database lacks something this version needs."""
    with engine.connect() as connection:
        return _revision(connection) != wanted()


def wanted() -> str:
    """The revision this version of the code needs."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    if head is None:
        raise RuntimeError(f"no migration in {HERE}")
    return head


def _revision(connection: sa.Connection) -> str | None:
    """The database's revision; EngineError when only a later version of the code knows it."""
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {each.revision for each in ScriptDirectory.from_config(_config(None)).walk_revisions()}
    if revision is not None and revision not in known:
        raise EngineError(
            f"the database is at revision {revision}, and this version of Reknit knows it up to "
            f"{wanted()}: a newer version has used it; run that one, or restore a backup"
        )
    return revision


def _config(connection: sa.Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
