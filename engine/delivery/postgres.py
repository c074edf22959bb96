"""Rows into a PostgreSQL table: COPY into a stage, then one INSERT … ON CONFLICT a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow
from psycopg import sql
from pyarrow import parquet

from engine.delivery.destination import (
    Load,
    PostgresDestination,
    Row,
    RowResult,
    Send,
)
from engine.errors import DeliveryFailed
from engine.outbound import Outbound, allowed_addresses

_SECONDS = 15
_STATEMENT_SECONDS = 120


@contextmanager
def open_postgres(
    destination: PostgresDestination, load: Load, *, policy: Outbound
) -> Iterator[Send]:
    """A connection whose table is there; rows that cannot go in are found one by one."""
    columns = _columns(destination, parquet.read_schema(load.file))
    table = sql.Identifier(destination.table_schema, destination.prefix + load.sheet)
    try:
        with psycopg.connect(**_connection(destination, policy), autocommit=True) as connection:
            _prepare(connection, table, columns, keys=destination.keys)
            statement = _upsert(table, list(columns), keys=destination.keys)
            yield lambda offset, rows: _send(connection, statement, list(columns), rows)
    except psycopg.Error as error:
        raise DeliveryFailed(f"PostgreSQL at {destination.host}: {_said(error)}") from error


def _connection(destination: PostgresDestination, policy: Outbound) -> dict[str, Any]:
    address, *_ = allowed_addresses(policy, destination.host, destination.port)
    return {
        "host": destination.host,
        # libpq connects here and looks no name up again; `host` is for the certificate.
        "hostaddr": address,
        "port": destination.port,
        "dbname": destination.database,
        "user": destination.user,
        "password": destination.password.get_secret_value(),
        "sslmode": destination.sslmode,
        "connect_timeout": _SECONDS,
        "options": f"-c statement_timeout={_STATEMENT_SECONDS}s",
        "application_name": "reknit",
    }


def _columns(destination: PostgresDestination, schema: pyarrow.Schema) -> dict[str, str]:
    """Data columns and the keys, with the types a new table gets."""
    wanted = {
        each.name: _type(each.type)
        for each in schema
        if not each.name.startswith("_") or each.name in destination.keys
    }
    if missing := [key for key in destination.keys if key not in wanted]:
        raise DeliveryFailed(f"the sheet has no column {missing[0]!r} to be a key")
    return wanted


def _type(type_: pyarrow.DataType) -> str:
    if pyarrow.types.is_decimal(type_):
        return f"numeric({type_.precision},{type_.scale})"
    if pyarrow.types.is_timestamp(type_):
        return "timestamptz" if type_.tz else "timestamp"
    if pyarrow.types.is_list(type_):
        return "text[]"
    known = {"bool": "boolean", "date32[day]": "date", "double": "float8", "float": "float4"}
    return known.get(str(type_)) or ("bigint" if pyarrow.types.is_integer(type_) else "text")


def _prepare(
    connection: "psycopg.Connection[Any]",
    table: sql.Identifier,
    columns: dict[str, str],
    *,
    keys: tuple[str, ...],
) -> None:
    """Make the table unless it is there (its owner need not let us make tables), and a stage."""
    found = connection.execute("SELECT to_regclass(%s)", [table.as_string(connection)]).fetchone()
    if not found or found[0] is None:
        connection.execute(_create(table, columns, keys=keys))
    connection.execute(
        sql.SQL("CREATE TEMP TABLE stage AS SELECT {} FROM {} WITH NO DATA").format(
            _names(columns), table
        )
    )


def _create(
    table: sql.Identifier, columns: dict[str, str], *, keys: tuple[str, ...]
) -> sql.Composed:
    defined = [
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
        for name, type_ in columns.items()
    ]
    return sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(
        table, sql.SQL(", ").join(defined), _names(keys)
    )


def _upsert(table: sql.Identifier, columns: list[str], *, keys: tuple[str, ...]) -> sql.Composed:
    others = [name for name in columns if name not in keys]
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others
    )
    action = sql.SQL("DO UPDATE SET {}").format(changes) if others else sql.SQL("DO NOTHING")
    return sql.SQL(
        "INSERT INTO {table} ({columns}) SELECT {columns} FROM stage ON CONFLICT ({keys}) {action}"
    ).format(table=table, columns=_names(columns), keys=_names(keys), action=action)


def _send(
    connection: "psycopg.Connection[Any]",
    statement: sql.Composed,
    columns: list[str],
    rows: list[Row],
) -> tuple[RowResult, ...]:
    """All rows in one transaction; when one is refused, the halves by themselves."""
    try:
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE stage")
            copy_in = sql.SQL("COPY stage ({}) FROM STDIN").format(_names(columns))
            with cursor.copy(copy_in) as copy:
                for row in rows:
                    copy.write_row([row[name] for name in columns])
            cursor.execute(statement)
    except (
        psycopg.DataError,
        psycopg.IntegrityError,
        psycopg.errors.CardinalityViolation,
    ) as error:
        if len(rows) == 1:
            return (RowResult(id=rows[0]["_id"], ok=False, message=_said(error)),)
        middle = len(rows) // 2
        first = _send(connection, statement, columns, rows[:middle])
        return first + _send(connection, statement, columns, rows[middle:])
    return tuple(RowResult(id=row["_id"], ok=True) for row in rows)


def _names(names: Any) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def _said(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error).strip() or type(error).__name__)[:300]
