"""Brings the database to this version of the tables. Forward only; several processes may start it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

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
        command.upgrade(_config(connection), "head")
        connection.commit()
    return wanted()


def pending(engine: sa.Engine) -> bool:
    """Whether the database lacks something this version needs."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() != wanted()


def wanted() -> str:
    """The revision this version of the code needs."""
    head = ScriptDirectory.from_config(_config(None)).get_current_head()
    if head is None:
        raise RuntimeError(f"no migration in {HERE}")
    return head


def _config(connection: sa.Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
