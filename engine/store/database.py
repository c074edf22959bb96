"""One engine for SQLite (WAL) and PostgreSQL, and the wall between partners."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression
from sqlalchemy.types import BigInteger, TypeDecorator

from engine import failpoints

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BUSY_SECONDS = 30


class UnscopedStatement(Exception):
    """A statement touches a partner's table without naming the partner: a bug, never shown."""


class Instant(TypeDecorator[datetime]):
    """A time with its zone, as microseconds since 1970: the same number in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """The number that is stored."""
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """The time that was stored."""
        return None if value is None else EPOCH + timedelta(microseconds=value)


class database_now(sa.sql.functions.FunctionElement[Any]):
    """Microseconds since 1970 by the database's clock, which all workers share."""

    inherit_cache = True
    type = BigInteger()


@compiles(database_now, "sqlite")
def _sqlite_now(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


@compiles(database_now, "postgresql")
def _postgresql_now(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


def open_database(url: str, *, pool: int = 10, idle_seconds: float = 15) -> sa.Engine:
    """An engine whose connections keep partners apart. SQLite gets its file's folder made.

    A transaction that does nothing for `idle_seconds` is ended by PostgreSQL.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, pool_size=pool, max_overflow=2 * pool)
        event.listen(engine, "connect", _tune_sqlite)
    else:
        engine = sa.create_engine(
            parsed, pool_size=pool, max_overflow=2 * pool, pool_pre_ping=True,
            # A frozen process must not hold its locks for ever: nobody could take its runs over.
            connect_args={"connect_timeout": 10, "options": _option(idle_seconds)},
        )  # fmt: skip
    event.listen(engine, "before_execute", _refuse_unscoped)
    return engine


def _option(idle_seconds: float) -> str:
    return f"-c idle_in_transaction_session_timeout={int(idle_seconds * 1000)}"


def _tune_sqlite(connection: Any, record: Any) -> None:
    # Every write transaction takes its lock at once: waiting works, upgrading a read lock does not.
    connection.isolation_level = "IMMEDIATE"
    for pragma in (
        f"busy_timeout={BUSY_SECONDS * 1000}",
        "foreign_keys=ON",
        "journal_mode=WAL",
        "synchronous=NORMAL",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _refuse_unscoped(
    connection: sa.Connection,
    statement: Any,
    many: Any,
    parameters: Any,
    options: Mapping[str, Any],
) -> None:
    if isinstance(statement, (sa.Select, sa.Update, sa.Delete, sa.CompoundSelect)):
        open_tables = () if options.get("across_partners") else unscoped(statement)
        if open_tables:
            raise UnscopedStatement(f"no partner for {', '.join(open_tables)} in: {statement}")


def unscoped(statement: sa.ClauseElement) -> tuple[str, ...]:
    """Partner tables in the statement whose partner column is compared with nothing."""
    tables: set[str] = set()
    scoped: set[str] = set()
    joined: list[set[str]] = []
    for element in visitors.iterate(statement):
        if isinstance(element, (sa.Table, sa.Alias)) and "partner" in element.c:
            tables.add(element.name)
        elif isinstance(element, BinaryExpression) and element.operator is operators.eq:
            sides = {_partner_of(side) for side in (element.left, element.right)}
            if None not in sides:
                joined.append({side for side in sides if side})
            scoped |= {side for side in sides if side and None in sides}
    for pair in joined:
        scoped |= pair if pair & scoped else set()
    return tuple(sorted(tables - scoped))


def _partner_of(side: Any) -> str | None:
    """The table whose partner column this is."""
    return side.table.name if isinstance(side, sa.Column) and side.name == "partner" else None


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """An INSERT of the connection's dialect, which knows `on_conflict_do_nothing`."""
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    return kind.insert(table)


def newest(
    statement: sa.Select[Any], table: sa.Table, *, limit: int, before: str | None = None
) -> sa.Select[Any]:
    """The page of `limit` rows whose ids come before `before`, newest first."""
    if before is not None:
        statement = statement.where(table.c.id < before)
    return statement.order_by(table.c.id.desc()).limit(limit)


@contextmanager
def transaction(engine: sa.Engine, name: str) -> Iterator[sa.Connection]:
    """A transaction whose end the fault tests can hit by name."""
    with engine.begin() as connection:
        yield connection
        failpoints.hit(f"{name}:before-commit")
    failpoints.hit(f"{name}:after-commit")


def is_busy(error: BaseException) -> bool:
    """Whether the database cannot be reached or is locked: try again, nothing is wrong with us."""
    return isinstance(error, (sa.exc.OperationalError, sa.exc.TimeoutError)) or (
        isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    )
