"""A sheet is a plain Delta Lake table: others read it without us."""

import importlib.util
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest

from engine.dataset import Location, undo, upsert

TYPES = """
    SELECT 'user' || i AS email, (i / 4)::DECIMAL(18, 4) AS amount, i AS visits, i % 2 = 0 AS active,
    DATE '2026-01-01' + i::INT AS joined, TIMESTAMPTZ '2026-01-01 00:00:00+00' AS seen,
    {note} AS note, 'in.csv' AS _file, i AS _row FROM range({low}, {high}) t(i)
"""
ROW = ("user7", Decimal("1.7500"), 7, False, date(2026, 1, 8), "two", ["a", "b"])
NAMES = ("email", "amount", "visits", "active", "joined", "note", "_tags")


@pytest.fixture
def sheet(tmp_path: Path) -> Location:
    """100 rows created, 50 of them updated and 50 more created, a third run taken back."""
    sheet = Location(url=str(tmp_path / "sheet"))
    parts = [("'one'", 0, 100, "a"), ("'two'", 0, 150, "b"), ("'three'", 50, 200, "c")]
    for number, (note, low, high, tag) in enumerate(parts):
        path = tmp_path / f"{number}.parquet"
        duckdb.sql(TYPES.format(note=note, low=low, high=high)).write_parquet(str(path))
        upsert(
            sheet, [path], identity=(("email",),), run=f"r{number}", plan_version="1",
            scratch=tmp_path, tags=(tag,),
        )  # fmt: skip
    undo(sheet, "r2", undo_run="u", scratch=tmp_path)
    return sheet


def test_polars_reads_it(sheet: Location) -> None:
    frame = polars.read_delta(sheet.url)
    assert frame.height == 150
    row = frame.filter(polars.col("email") == "user7").select(NAMES).row(0)
    assert (*row[:-1], sorted(row[-1])) == ROW
    assert frame.schema["seen"] == polars.Datetime("us", "UTC")
    assert polars.read_delta(sheet.url, version=0).height == 100


def test_duckdb_reads_it_by_the_log_alone(sheet: Location) -> None:
    """The open protocol: files added and not removed since, in the order of the commits."""
    connection = duckdb.connect()
    connection.execute(
        f"""CREATE TABLE actions AS SELECT filename AS commit, add.path AS added,
        remove.path AS removed FROM read_json('{sheet.url}/_delta_log/*.json', filename = true,
        columns = {{'add': 'STRUCT(path VARCHAR)', 'remove': 'STRUCT(path VARCHAR)'}})"""
    )
    live = connection.execute(
        "SELECT added FROM actions WHERE added NOT IN "
        "(SELECT removed FROM actions WHERE removed IS NOT NULL)"
    ).fetchall()
    files = [f"{sheet.url}/{path}" for (path,) in live]
    rows: Any = connection.execute(
        f"SELECT {', '.join(NAMES)} FROM read_parquet($1) WHERE email = 'user7'", [files]
    ).fetchall()
    assert [(*row[:-1], sorted(row[-1])) for row in rows] == [ROW]
    assert connection.execute("SELECT count(*) FROM read_parquet($1)", [files]).fetchall() == [
        (150,)
    ]


def test_spark_reads_it(sheet: Location) -> None:
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed; Delta's jar for it comes from Maven only")
    from pyspark.sql import SparkSession

    session = (
        SparkSession.builder.config("spark.jars.packages", "io.delta:delta-spark_2.13:4.0.0")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .getOrCreate()
    )
    assert session.read.format("delta").load(sheet.url).count() == 150
