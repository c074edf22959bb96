"""Every transform of the plan language: what goes in, what comes out."""

from typing import Any, get_args

import pytest
from programs import through

from engine.errors import CompileError
from plans import transforms as ops

NUMBER_DE = {"op": "number", "decimal": ",", "thousands": "."}
NUMBER_EN = {"op": "number", "thousands": ","}

#: (transforms, cells, result)
CASES: list[tuple[list[Any], tuple[str | None, ...], str | None]] = [
    (["trim"], ("\u00a0 a b\t\u200b",), "a b"),
    (["trim"], ("  ",), None),
    ([{"op": "trim", "inner": True}], ("  a \n\u00a0 b ",), "a b"),
    ([{"op": "case", "to": "lower"}], ("ÄÖ Ab",), "äö ab"),
    ([{"op": "case", "to": "upper"}], ("äb",), "ÄB"),
    ([{"op": "case", "to": "title"}], ("jean-luc o'neil don't ÉMILE",), "Jean-Luc O'Neil Don't Émile"),
    ([{"op": "replace", "find": "'", "by": '"'}], ("a'b'c",), 'a"b"c'),
    ([{"op": "replace", "find": "a"}], ("aa",), None),
    ([{"op": "regex_replace", "pattern": r"(\d+)-(\d+)", "by": r"\2/\1"}], ("1-2 3-4",), "2/1 4/3"),
    ([{"op": "regex_extract", "pattern": r"#(\d+)", "group": 1}], ("order #42",), "42"),
    ([{"op": "regex_extract", "pattern": r"#(\d+)", "group": 1}], ("none",), None),
    ([{"op": "split", "separator": " ", "part": 0}], ("Ada King Lovelace",), "Ada"),
    ([{"op": "split", "separator": " ", "part": -1}], ("Ada King Lovelace",), "Lovelace"),
    ([{"op": "split", "separator": " ", "part": 1, "rest": True}], ("Ada King Lovelace",), "King Lovelace"),
    ([{"op": "split", "separator": ";", "part": 5}], ("a;b",), None),
    ([{"op": "join", "separator": ", "}], ("a", None, "c"), "a, c"),
    ([{"op": "join"}], (None, None), None),
    (["trim", {"op": "join", "separator": "-"}], (" a ", " "), "a"),
    ([{"op": "concat", "text": "{1}, {0}!"}], ("Ada", "King"), "King, Ada!"),
    ([{"op": "concat", "text": "{1}, {0}"}], ("Ada", None), None),
    ([{"op": "coalesce"}], (None, "b", "c"), "b"),
    ([{"op": "subtract"}], ("12.50", "2.5"), "10"),
    ([{"op": "subtract"}], (None, "7.25"), "-7.25"),
    ([{"op": "subtract"}], (None, None), None),
    ([NUMBER_DE, {"op": "subtract"}], ("1.000,00", "0,01"), "999.99"),
    ([{"op": "default", "value": "?"}], (None,), "?"),
    ([{"op": "constant", "value": "EUR"}], ("anything",), "EUR"),
    (["nulls"], (" N/A ",), None),
    (["nulls"], ("Nathan",), "Nathan"),
    ([{"op": "nulls", "words": ["."]}], ("x",), "x"),
    ([{"op": "value_map", "values": {"Open": "open", "Won": "won"}}], ("WON",), "won"),
    ([{"op": "value_map", "values": {"a": "b"}}], ("c",), "c"),
    ([{"op": "value_map", "values": {"a": "b"}, "otherwise": "empty"}], ("c",), None),
    ([{"op": "value_map", "values": {"a": "b"}, "ignore_case": False}], ("A",), "A"),
    ([{"op": "value_map", "values": {f"k{n}": f"v{n}" for n in range(100)}}], ("K77",), "v77"),
    ([{"op": "value_map", "values": {f"k{n}": f"v{n}" for n in range(100)}}], ("k100",), "k100"),
    ([NUMBER_DE], ("1.234.567,89",), "1234567.89"),
    ([NUMBER_DE], ("1.234,50 €",), "1234.50"),
    ([NUMBER_EN], ("$1,234.50",), "1234.50"),
    ([NUMBER_EN], ("USD 1,234",), "1234"),
    ([NUMBER_EN], ("(1,234.50)",), "-1234.50"),
    ([NUMBER_EN], ("12-",), "-12"),
    ([NUMBER_EN], ("-$12",), "-12"),
    ([NUMBER_EN], ("\u22127",), "-7"),
    ([NUMBER_EN], ("1,5",), "1,5"),
    ([NUMBER_EN], ("12 apples",), "12 apples"),
    ([{"op": "number", "thousands": " ", "decimal": ","}], ("1\u202f234,5",), "1234,5".replace(",", ".")),
    ([{"op": "number", "thousands": "'"}], ("CHF 1'234.05",), "1234.05"),
    (["number"], ("12.5%",), "12.5"),
    ([{"op": "number", "percent": "divide"}], ("12.5 %",), "0.125"),
    ([{"op": "number", "scale": "1000"}], ("1.5",), "1500"),
    ([{"op": "date", "formats": ["%d.%m.%Y", "%m/%d/%Y"]}], ("31.12.2024",), "2024-12-31"),
    ([{"op": "date", "formats": ["%d.%m.%Y", "%m/%d/%Y"]}], ("12/31/2024",), "2024-12-31"),
    ([{"op": "date", "formats": ["%d/%m/%Y", "%m/%d/%Y"]}], ("04/05/2024",), "2024-05-04"),
    ([{"op": "date", "formats": ["%d.%m.%Y", "%d.%m.%y"]}], ("01.02.24",), "2024-02-01"),
    ([{"op": "date", "formats": ["%d %b %Y"]}], ("5 Jan 2024",), "2024-01-05"),
    ([{"op": "date"}], ("2024-02-30",), "2024-02-30"),
    ([{"op": "date", "excel_serial": True}], ("45292",), "2024-01-01"),
    (["datetime"], ("2024-01-01T12:00:00+02:00",), "2024-01-01T10:00:00Z"),
    (["datetime"], ("2024-01-01 12:00:00+0530",), "2024-01-01T06:30:00Z"),
    ([{"op": "datetime", "timezone": "Europe/Berlin"}], ("2024-07-01 12:00",), "2024-07-01T10:00:00Z"),
    ([{"op": "datetime", "formats": ["%m/%d/%Y %I:%M %p"]}], ("07/01/2024 01:30 PM",), "2024-07-01T13:30:00Z"),
    ([{"op": "datetime", "epoch": "seconds"}], ("1700000000",), "2023-11-14T22:13:20Z"),
    ([{"op": "datetime", "epoch": "milliseconds"}], ("1700000000000",), "2023-11-14T22:13:20Z"),
    ([{"op": "time", "formats": ["%I:%M %p"]}], ("1:30 PM",), "13:30:00"),
    (["boolean"], (" Yes ",), "true"),
    ([{"op": "boolean", "true": ["ja"], "false": ["nein"]}], ("NEIN",), "false"),
    (["boolean"], ("perhaps",), "perhaps"),
    ([{"op": "phone", "region": "DE"}], ("(030) 123-456",), "+4930123456"),
    ([{"op": "phone", "region": "DE"}], ("+49 (0)30/123456",), "+4930123456"),
    ([{"op": "phone", "region": "US"}], ("1 (555) 123.4567",), "+15551234567"),
    ([{"op": "phone", "region": "IT"}], ("06 1234 5678",), "+390612345678"),
    (["phone"], ("0049 30 123456",), "+4930123456"),
    (["phone"], ("tel:+49-30-123456",), "+4930123456"),
    (["email"], ("Ada <ADA@Example.com>",), "ada@example.com"),
    (["email"], ("mailto:ada@example.com?subject=x",), "ada@example.com"),
    (["domain"], ("https://user@www.Example.com:8080/path?q#f",), "example.com"),
    (["domain"], ("ada@mail.example.com",), "mail.example.com"),
    (["domain"], ("www.example.com",), "example.com"),
    (["url"], ("example.com/a",), "https://example.com/a"),
    (["url"], ("ftp://example.com",), "ftp://example.com"),
    (["country"], ("Deutschland",), "DE"),
    (["country"], ("us",), "US"),
    (["country"], ("Côte d\u2019Ivoire",), "CI"),
    (["country"], ("U.S.A.",), "US"),
    (["country"], ("Atlantis",), "Atlantis"),
    (["currency"], ("€",), "EUR"),
    (["currency"], ("us dollar",), "USD"),
    (["currency"], ("chf",), "CHF"),
    (["currency"], ("$",), "$"),
    (["hash"], ("a",), "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ([{"op": "pad_left", "width": 5}], ("123",), "00123"),
    ([{"op": "pad_left", "width": 2}], ("12345",), "12345"),
]  # fmt: skip


@pytest.mark.parametrize(("transforms", "cells", "result"), CASES)
def test_transform_makes_of_a_text(
    transforms: list[Any], cells: tuple[str | None, ...], result: str | None
) -> None:
    assert through(transforms, *cells) == result


def test_every_transform_has_a_case() -> None:
    every = {each.model_fields["op"].default for each in get_args(get_args(ops.Transform)[0])}
    tried = {each if isinstance(each, str) else each["op"] for case in CASES for each in case[0]}
    assert every - tried == {"lookup"}


@pytest.mark.parametrize("transforms", [["trim"], ["email"], ["country"], [NUMBER_EN], ["phone"]])
def test_an_empty_cell_stays_empty(transforms: list[Any]) -> None:
    assert through(transforms, None) is None


@pytest.mark.parametrize(
    ("transform", "told"),
    [
        ({"op": "datetime", "timezone": "Mars/Base"}, "time zone 'Mars/Base'"),
        ({"op": "phone", "region": "ZZ"}, "region 'ZZ'"),
        ({"op": "concat", "text": "{7}!"}, "column {7}"),
        ({"op": "regex_replace", "pattern": "a{0,1000}" * 50}, "the pattern"),
        ({"op": "default", "value": "a\0b"}, "NUL"),
    ],
)
def test_what_cannot_be_compiled_is_named(transform: dict[str, Any], told: str) -> None:
    with pytest.raises(CompileError, match=told.replace("{", r"\{")):
        through([transform], "x")
