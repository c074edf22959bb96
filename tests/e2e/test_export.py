import csv
import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import duckdb
import polars
import pytest
from buckets import Bucket
from pydantic import ValidationError
from sheets import bring

from engine.dataset import Location, undo, upsert
from engine.errors import SelectionInvalid
from engine.export import Format, Selection, Shape, count, etag, write, write_zip

PEOPLE = [
    {"email": "ann@x.io", "name": "Ann", "amount": Decimal("1.50"), "linkedin": "in/ann"},
    {"email": "ben@x.io", "name": 'Ben "B" Böll', "amount": Decimal(-20)},
    {"email": "cleo@x.io", "name": "Cleo\nTwo", "amount": None},
]


@pytest.fixture
def sheet(tmp_path: Path) -> Location:
    sheet = Location(url=str(tmp_path / "a sheet é"))
    bring(sheet, tmp_path, "r1", PEOPLE, tags=("old",))
    return sheet


def exported(
    sheet: Location, folder: Path, selection: dict[str, Any] | None = None, **shape: Any
) -> bytes:
    to = folder / "out"
    as_of = shape.pop("as_of", None)
    write(
        sheet, Selection.model_validate(selection or {}), to=to, shape=Shape(**shape),
        scratch=folder, as_of=as_of,
    )  # fmt: skip
    return to.read_bytes()


def names(sheet: Location, folder: Path, selection: dict[str, Any], **more: Any) -> list[str]:
    rows = json.loads(exported(sheet, folder, selection, format=Format.JSON, **more))
    assert len(rows) == count(
        sheet, Selection.model_validate(selection), scratch=folder, as_of=more.get("as_of")
    )
    return [row["name"] for row in rows]


def test_csv_is_rfc_4180_in_canonical_text(sheet: Location, tmp_path: Path) -> None:
    assert exported(sheet, tmp_path).decode() == (
        "email,name,amount,linkedin\r\n"
        "ann@x.io,Ann,1.5,in/ann\r\n"
        'ben@x.io,"Ben ""B"" Böll",-20,\r\n'
        'cleo@x.io,"Cleo\nTwo",,\r\n'
    )


def test_gzip_holds_the_same_bytes(sheet: Location, tmp_path: Path) -> None:
    plain = exported(sheet, tmp_path)
    assert gzip.decompress(exported(sheet, tmp_path, gzip=True)) == plain


def test_parquet_keeps_types_and_lineage_when_asked(sheet: Location, tmp_path: Path) -> None:
    exported(sheet, tmp_path, format=Format.PARQUET, lineage=True)
    row = polars.read_parquet(tmp_path / "out").row(0, named=True)
    assert row == {
        "email": "ann@x.io", "name": "Ann", "amount": Decimal("1.5000"), "linkedin": "in/ann",
        "_id": 1, "_run": "r1", "_file": "r1.csv", "_row": 2, "_plan_version": "v1",
        "_tags": ["old"], "_created_run": "r1",
    }  # fmt: skip


def test_json_lines_are_objects(sheet: Location, tmp_path: Path) -> None:
    lines = exported(sheet, tmp_path, {"columns": ["amount", "_id"]}, format=Format.NDJSON)
    assert [json.loads(each) for each in lines.splitlines()] == [
        {"amount": 1.5, "_id": 1}, {"amount": -20, "_id": 2}, {"amount": None, "_id": 3},
    ]  # fmt: skip


def condition(field: str, op: str, value: Any = None) -> dict[str, Any]:
    return {"filter": {"field": field, "op": op, "value": value}}


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        ({}, ["Ann", "Ben", "Cleo"]),
        (condition("email", "=", "ann@x.io"), ["Ann"]),
        (condition("amount", "!=", 1.5), ["Ben", "Cleo"]),
        (condition("amount", "<", "0"), ["Ben"]),
        (condition("amount", ">=", -20), ["Ann", "Ben"]),
        (condition("amount", "is_empty"), ["Cleo"]),
        (condition("linkedin", "is_filled"), ["Ann"]),
        (condition("email", "in", ["ann@x.io", "cleo@x.io"]), ["Ann", "Cleo"]),
        (condition("name", "contains", "bö"), ["Ben"]),
        (condition("email", "starts_with", "C"), ["Cleo"]),
        (condition("_row", "=", 3), ["Ben"]),
        (condition("name", "=", "' OR 1=1 --"), []),
        ({"ids": [1, 3, 99]}, ["Ann", "Cleo"]),
        ({"tags": ["old", "x"]}, ["Ann", "Ben", "Cleo"]),
        ({"tags": ["x"]}, []),
        ({"run": "r9"}, []),
        ({"run": "r1", **condition("email", "starts_with", "a")}, ["Ann"]),
    ],
)
def test_selections(
    sheet: Location, tmp_path: Path, selection: dict[str, Any], found: list[str]
) -> None:
    assert [name.split()[0] for name in names(sheet, tmp_path, selection)] == found


def test_conditions_nest(sheet: Location, tmp_path: Path) -> None:
    low = {"field": "amount", "op": "<", "value": 0}
    ann = {"field": "name", "op": "=", "value": "Ann"}
    mail = {"field": "email", "op": "contains", "value": "@x.io"}
    either = {"filter": {"all": [mail, {"any": [low, ann]}]}}
    assert [name[:3] for name in names(sheet, tmp_path, either)] == ["Ann", "Ben"]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (condition("salary", "=", "1"), "no column 'salary'"),
        ({"columns": ["salary"]}, "no column 'salary'"),
        (condition("amount", "=", "much"), "amount: 'much' is not a value of type DECIMAL"),
        (condition("amount", "in", [1, "much"]), "'much' is not a value"),
        (condition("amount", "=", [1]), "needs one value"),
        (condition("amount", "in", 1), "needs a list"),
    ],
)
def test_what_no_row_can_be_held_against_is_refused(
    sheet: Location, tmp_path: Path, selection: dict[str, Any], message: str
) -> None:
    with pytest.raises(SelectionInvalid, match=message):
        exported(sheet, tmp_path, selection)


def test_a_filter_with_an_unknown_operator_or_member_is_no_filter() -> None:
    for wrong in (condition("a", "like", "x"), {"filter": {"sql": "1=1"}}, {"where": "1=1"}):
        with pytest.raises(ValidationError):
            Selection.model_validate(wrong)


def test_formulas_are_guarded_only_when_asked_and_typed_values_never(tmp_path: Path) -> None:
    sheet = Location(url=str(tmp_path / "sheet"))
    texts = ["=1+1", "+49301234567", "-x", "@SUM(A1)", "\tx", "\rx", "\uff1d1", "plain", "a=b"]
    rows = [{"email": str(n), "name": t, "amount": Decimal(-5)} for n, t in enumerate(texts)]
    bring(sheet, tmp_path, "r1", rows)
    for safe, expected in (
        (False, texts),
        (
            True,
            [
                "'=1+1",
                "+49301234567",
                "'-x",
                "'@SUM(A1)",
                "'\tx",
                "'\rx",
                "'\uff1d1",
                "plain",
                "a=b",
            ],
        ),
    ):
        text = exported(sheet, tmp_path, safe=safe).decode()
        back = list(csv.DictReader(StringIO(text, newline="")))
        assert [row["name"] for row in back] == expected
        assert {row["amount"] for row in back} == {"-5"}


def test_rows_can_be_read_as_of_a_run_a_version_or_a_moment(
    sheet: Location, tmp_path: Path
) -> None:
    between = datetime.now(UTC)
    bring(sheet, tmp_path, "r2", [{**PEOPLE[0], "name": "Anna"}])
    undo(sheet, "r1", undo_run="u1", scratch=tmp_path)
    ann = condition("email", "=", "ann@x.io")
    assert names(sheet, tmp_path, ann) == ["Anna"]
    for moment, found in (("r1", "Ann"), (0, "Ann"), (between, "Ann"), ("r2", "Anna")):
        assert names(sheet, tmp_path, ann, as_of=moment) == [found]


def test_the_etag_changes_with_the_rows_and_with_the_request(
    sheet: Location, tmp_path: Path
) -> None:
    first = etag(sheet, Selection(), shape=Shape())
    assert first == etag(sheet, Selection(), shape=Shape())
    assert first != etag(sheet, Selection(ids=(1,)), shape=Shape())
    assert first != etag(sheet, Selection(), shape=Shape(safe=True))
    bring(sheet, tmp_path, "r2", [{**PEOPLE[0], "name": "Anna"}])
    assert first != etag(sheet, Selection(), shape=Shape())
    assert first == etag(sheet, Selection(), shape=Shape(), as_of="r1")


def test_a_workbook_is_a_zip_of_its_sheets(sheet: Location, tmp_path: Path) -> None:
    other = Location(url=str(tmp_path / "other"))
    bring(other, tmp_path, "r1", PEOPLE[:1])
    to = tmp_path / "book.zip"
    rows = write_zip({"contacts": sheet, "deals": other}, to=to, shape=Shape(), scratch=tmp_path)
    assert rows == {"contacts": 3, "deals": 1}
    with ZipFile(to) as book:
        assert book.namelist() == ["contacts.csv", "deals.csv"]
        assert book.read("contacts.csv") == exported(sheet, tmp_path)


def test_moments_are_utc_text(tmp_path: Path) -> None:
    part, sheet = tmp_path / "p.parquet", Location(url=str(tmp_path / "sheet"))
    duckdb.sql("SELECT 'a' AS email, TIMESTAMPTZ '2026-01-02 03:04:05+01' AS at").write_parquet(
        str(part)
    )
    upsert(sheet, [part], identity=(), run="r", plan_version="1", scratch=tmp_path)
    assert exported(sheet, tmp_path) == b"email,at\r\na,2026-01-02T02:04:05Z\r\n"
    later = condition("at", ">", "2026-01-02T02:04:04")
    assert len(json.loads(exported(sheet, tmp_path, later, format=Format.JSON))) == 1


def test_a_sheet_in_s3_is_exported_the_same(
    sheet: Location, bucket: Bucket, tmp_path: Path
) -> None:
    there = Location(url=f"{bucket.url}/contacts", options=bucket.options)
    bring(there, tmp_path, "r1", PEOPLE, tags=("old",))
    assert exported(there, tmp_path) == exported(sheet, tmp_path)
    assert count(there, Selection(tags=("old",)), scratch=tmp_path) == 3
