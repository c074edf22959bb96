from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import create_postgresql

from engine.store.database import open_database
from engine.store.migrate import _config, migrate, pending, wanted
from engine.store.tables import metadata

PARTIAL = {"ix_runs_one_active", "ix_plans_one_of_source", "ix_plans_one_of_company"}


def test_migrated_is_what_the_tables_say(database: sa.Engine) -> None:
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrated_indexes_are_the_tables_indexes_to_the_letter(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    fresh = open_database(f"sqlite:///{tmp_path}/fresh.db")
    metadata.create_all(fresh)
    migrated = open_database(f"sqlite:///{migrated_sqlite}")
    indexes = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOTNULL")
    with migrated.connect() as left, fresh.connect() as right:
        assert {row.name: row.sql for row in left.execute(indexes)} == {
            row.name: row.sql for row in right.execute(indexes)
        }
    fresh.dispose()
    migrated.dispose()


def test_guards_are_partial_unique_indexes(database: sa.Engine) -> None:
    found = [
        index["name"]
        for table in ("runs", "plans")
        for index in sa.inspect(database).get_indexes(table)
        if index["unique"]
    ]
    assert set(found) == PARTIAL


def test_migrating_again_changes_nothing(database: sa.Engine) -> None:
    assert not pending(database)
    assert migrate(database) == wanted()


def test_four_processes_may_migrate_at_once(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server = request.getfixturevalue("postgresql")
    create_postgresql(server, "crowded")
    for url in (f"sqlite:///{tmp_path}/crowded.db", server.format("crowded")):
        engines = [open_database(url) for _ in range(4)]
        assert pending(engines[0])
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(migrate, engines)) == {wanted()}
        for engine in engines:
            engine.dispose()


def test_a_webhooks_deliveries_outlive_the_change_of_what_they_tell(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/old.db")
    with engine.connect() as connection:
        command.upgrade(_config(connection), "0003")
        before = sa.MetaData()
        before.reflect(connection)
        for name in (
            "partners",
            "sources",
            "companies",
            "runs",
            "events",
            "endpoints",
            "deliveries",
        ):
            # Every id is the same word, and so is every reference.
            columns = before.tables[name].columns
            row = {each.name: 1 if "INT" in str(each.type) else '"x"' for each in columns}
            connection.execute(
                sa.text(f"INSERT INTO {name} VALUES ({', '.join(f':{c}' for c in row)})"), row
            )
        connection.commit()
    migrate(engine)
    with engine.connect() as connection:
        kept = connection.execute(
            sa.text("SELECT e.run, d.event FROM deliveries d JOIN events e ON e.id = d.event")
        )
        assert kept.all() == [('"x"', '"x"')]
    engine.dispose()
