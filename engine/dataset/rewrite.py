"""Commit changed, removed and new rows: only files that hold a changed row are written again."""

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from engine.dataset import table as tables
from engine.dataset.matching import count
from engine.dataset.records import Column, Commit, Location
from engine.dataset.table import Table
from engine.sql import ident


def rewrite(
    connection: DuckDBPyConnection,
    sheet: Location,
    table: Table | None,
    *,
    columns: Sequence[Column],
    record: Commit,
    new_ids: int,
) -> None:
    """Commit the tables `changed` and, if there, `removed` and `created` of the connection.

    Rows of the touched files stream through DuckDB in their order, which spills; Delta's own MERGE
    holds the whole source in memory and shuffles rows over all files.
    """
    base = tables.next_id(table)
    ranges = _touched(connection, table)
    names = ", ".join(ident(each.name) for each in columns)
    rows = f"SELECT {names} FROM created"
    instead_of = None
    if table is not None and ranges:
        everything = len(ranges) == len(tables.id_ranges(table))
        where = " OR ".join(f"(_id >= {low} AND _id <= {high})" for low, high in ranges)
        # Delta checks that the new rows meet the condition, so it must cover the new ids.
        instead_of = "" if everything else f"{where} OR _id >= {base}"
        tables.view(connection, table, name="stored", wanted=columns, where=where)
        removed = count(connection, "removed")
        rows = f"{_replaced(columns, where, removed=removed)} UNION ALL {rows}"
    tables.commit_rows(
        sheet,
        table,
        connection.sql(rows).to_arrow_reader(tables.BATCH),
        record=record,
        moves={tables.NEXT_ID: base + new_ids},
        instead_of=instead_of,
    )


def _touched(connection: DuckDBPyConnection, table: Table | None) -> list[tuple[int, int]]:
    """Id ranges of the files that may hold a changed or removed row."""
    if table is None:
        return []
    connection.execute("CREATE TEMP TABLE IF NOT EXISTS removed (_id BIGINT)")
    return [
        (low, high)
        for low, high in tables.id_ranges(table)
        if connection.execute(
            "SELECT 1 FROM (SELECT _id FROM changed UNION ALL SELECT _id FROM removed) "
            "WHERE _id BETWEEN $1 AND $2 LIMIT 1",
            [low, high],
        ).fetchall()
    ]


def _replaced(columns: Sequence[Column], where: str, *, removed: int) -> str:
    """The stored rows in those ranges, each with its new values, without the removed ones."""
    values = ", ".join(
        f"CASE WHEN c._id IS NULL THEN s.{ident(each.name)} ELSE c.{ident(each.name)} END"
        f" AS {ident(each.name)}"
        for each in columns
    )
    left = " WHERE s._id NOT IN (SELECT _id FROM removed)" if removed else ""
    return (
        f"SELECT {values} FROM (SELECT * FROM stored WHERE {where}) s "
        f"LEFT JOIN changed c ON c._id = s._id{left}"
    )
