"""Field types, constraints, policies for bad cells, and rules of a row."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from programs import compiled, judged, sheet, template, through

from engine.compiler.program import CellCode
from engine.errors import CompileError

UUID = "0190f5a5-7f2c-7e1a-9c1e-1f5a3b2c4d5e"

#: (type, options, text, value or code)
TYPES: list[tuple[str, dict[str, Any], str, Any]] = [
    ("string", {}, "007", "007"),
    ("string", {}, " x ", " x "),
    ("integer", {}, " -42 ", -42),
    ("integer", {}, "007", 7),
    ("integer", {}, "12.0", 12),
    ("integer", {}, "12.7", CellCode.FORMAT),
    ("integer", {}, "1e3", CellCode.FORMAT),
    ("integer", {}, "1_000", CellCode.FORMAT),
    ("integer", {}, "9223372036854775808", CellCode.FORMAT),
    ("decimal", {"scale": 2}, "1234.50", Decimal("1234.50")),
    ("decimal", {"scale": 2}, "+.5", Decimal("0.50")),
    ("decimal", {"scale": 2}, "1.2300", Decimal("1.23")),
    ("decimal", {"scale": 2}, "1.234", CellCode.FORMAT),
    ("decimal", {"scale": 2}, "1,234.5", CellCode.FORMAT),
    ("decimal", {"precision": 5, "scale": 2}, "12345.6", CellCode.FORMAT),
    ("decimal", {"scale": 0}, "100", Decimal(100)),
    ("boolean", {}, "YES", True),
    ("boolean", {}, "0", False),
    ("boolean", {}, "2", CellCode.TYPE),
    ("date", {}, "2024-02-29", date(2024, 2, 29)),
    ("date", {}, "2024-02-29 00:00:00", date(2024, 2, 29)),
    ("date", {}, "2024-02-29 10:00", CellCode.FORMAT),
    ("date", {}, "2023-02-29", CellCode.FORMAT),
    ("date", {}, "infinity", CellCode.FORMAT),
    ("datetime", {}, "2024-01-01T01:30:00+02:00", datetime(2023, 12, 31, 23, 30)),
    ("datetime", {}, "2024-01-01", datetime(2024, 1, 1)),
    ("datetime", {}, "yesterday", CellCode.FORMAT),
    ("time", {}, "9:05", time(9, 5)),
    ("time", {}, "25:00", CellCode.FORMAT),
    ("email", {}, "Ada.L@Example.CO.uk", "ada.l@example.co.uk"),
    ("email", {}, "ada@", CellCode.TYPE),
    ("email", {}, "a b@example.com", CellCode.TYPE),
    ("email", {}, "jürgen@müller.de", "jürgen@müller.de"),
    ("url", {}, "https://example.com/a?b#c", "https://example.com/a?b#c"),
    ("url", {}, "example.com", CellCode.TYPE),
    ("url", {}, "javascript:alert(1)", CellCode.TYPE),
    ("domain", {}, "Mail.Example.com", "mail.example.com"),
    ("domain", {}, "localhost", CellCode.TYPE),
    ("domain", {}, "-a.com", CellCode.TYPE),
    ("phone", {}, "+4930123456", "+4930123456"),
    ("phone", {}, "030123456", CellCode.TYPE),
    ("country", {}, "DE", "DE"),
    ("country", {}, "XX", CellCode.TYPE),
    ("currency", {}, "CHF", "CHF"),
    ("currency", {}, "XXY", CellCode.TYPE),
    ("uuid", {}, UUID.upper(), UUID),
    ("uuid", {}, UUID.replace("-", ""), UUID),
    ("uuid", {}, UUID[:-1], CellCode.TYPE),
    ("enum", {"values": ["a", "b"]}, "a", "a"),
    ("enum", {"values": ["a", "b"]}, "A", CellCode.VALUE),
    ("json", {}, '{"a": [1]}', '{"a": [1]}'),
    ("json", {}, "{a}", CellCode.TYPE),
    ("string", {"pattern": "C-[0-9]+"}, "C-1", "C-1"),
    ("string", {"pattern": "C-[0-9]+"}, "xC-1", CellCode.PATTERN),
    ("integer", {"min": 0}, "-1", CellCode.MIN),
    ("integer", {"max": "10.5"}, "10", 10),
    ("integer", {"max": 10}, "11", CellCode.MAX),
    ("decimal", {"min": "0.01"}, "0", CellCode.MIN),
    ("date", {"min": "2000-01-01"}, "1999-12-31", CellCode.MIN),
    ("datetime", {"max": "2024-01-01T00:00:00+01:00"}, "2023-12-31T23:00:01Z", CellCode.MAX),
    ("time", {"min": "08:00"}, "07:59", CellCode.MIN),
    ("string", {"min_length": 3}, "ab", CellCode.TOO_SHORT),
    ("string", {"max_length": 3}, "äöü", "äöü"),
    ("string", {"max_length": 3}, "äöüx", CellCode.TOO_LONG),
]


@pytest.mark.parametrize(("kind", "options", "text", "result"), TYPES)
def test_text_of_a_type(kind: str, options: dict[str, Any], text: str, result: Any) -> None:
    value = through([], text, type=kind, **options)
    assert value == result
    assert type(value) is type(result)


@pytest.mark.parametrize("text", [None, "   "])
@pytest.mark.parametrize("kind", ["string", "integer", "email", "date"])
def test_a_required_field_may_not_be_blank(kind: str, text: str | None) -> None:
    assert through([], text, type=kind, required=True) is CellCode.REQUIRED


def test_a_date_is_read_by_the_plans_formats_without_a_way_over_text() -> None:
    formats = [{"op": "date", "formats": ["%d.%m.%Y"]}]
    assert through(formats, " 31.12.2024 ", type="date") == date(2024, 12, 31)
    assert through(formats, "31.02.2024", type="date") is CellCode.FORMAT
    assert through(formats, "1.2.24", type="date") is CellCode.FORMAT


def one(text: str | None, **field: Any) -> tuple[Any, bool, list[tuple[str, str | None]]]:
    """One integer cell: value, whether the row is bad, what is listed."""
    options = {"name": "x", "type": "integer", "max": 9, **field}
    program = compiled(sheet({"field": "x", "from": "X"}), template(options), ["X"])
    ((values, bad, broken),) = judged(program, [(text,)])
    return values[0], bad, broken


def test_a_bad_cell_does_what_its_policy_says() -> None:
    listed = [(CellCode.FORMAT, "many")]
    assert one("many") == (None, True, listed)
    assert one("many", on_invalid="empty") == (None, False, listed)
    assert one("many", on_invalid="default", default="7") == (7, False, listed)
    assert one("many", on_invalid="warn") == (None, False, listed)
    assert one("12", on_invalid="warn") == (12, False, [(CellCode.MAX, "12")])
    assert one("many", on_invalid="stop") == (None, True, listed)


def test_a_default_that_is_no_value_of_the_type_is_refused() -> None:
    with pytest.raises(CompileError, match="field 'x': the default 'seven' is no integer"):
        one("many", on_invalid="default", default="seven")


def test_a_default_fills_empty_cells_unless_it_is_for_bad_ones() -> None:
    assert one(None, default="7") == (7, False, [])
    assert one(None, required=True, default="7") == (7, False, [])
    assert one(None, on_invalid="default", default="7") == (None, False, [])
    assert one(None, required=True, on_invalid="default", default="7")[:2] == (7, False)


def test_a_required_field_without_a_column_makes_every_row_invalid() -> None:
    of = template({"name": "x", "required": True}, {"name": "y"})
    program = compiled(
        sheet({"field": "x", "from": "gone"}, {"field": "y", "from": "Y"}), of, ["Y"]
    )
    assert [row[1:] for row in judged(program, [("a",), ("b",)])] == [
        (True, [(CellCode.MISSING_COLUMN, None)])
    ] * 2
    constant = sheet({"field": "x", "transforms": [{"op": "constant", "value": "k"}]})
    assert judged(compiled(constant, of, ["Y"]), [("a",)]) == [(("k", None), False, [])]


def test_joined_columns_show_their_own_texts() -> None:
    columns = {"field": "x", "from": ["A", "B"], "transforms": ["trim", {"op": "join"}]}
    program = compiled(sheet(columns), template({"name": "x", "max_length": 3}), ["A", "B"])
    assert judged(program, [(" ab", "cd")])[0][2] == [(CellCode.TOO_LONG, " ab | cd")]


RULED = template(
    {"name": "email"},
    {"name": "phone"},
    {"name": "start", "type": "date"},
    {"name": "end", "type": "date"},
    {"name": "stage", "type": "enum", "values": ["open", "lost"]},
    {"name": "reason"},
    {"name": "amount", "type": "decimal"},
    rules=[
        {"rule": "require_any", "fields": ["email", "phone"]},
        {"rule": "compare", "left": "start", "op": "<=", "right": "end"},
        {"rule": "compare", "left": "amount", "op": ">", "value": "0", "severity": "warning"},
        {"rule": "required_if", "field": "reason", "when": "stage", "values": ["lost"]},
    ],
)


@pytest.mark.parametrize(
    ("row", "bad", "codes"),
    [
        (("a", None, "2024-01-01", "2024-01-02", "open", None, "1"), False, []),
        ((None, None, None, None, None, None, None), True, [CellCode.REQUIRE_ANY]),
        (("a", None, "2024-01-02", "2024-01-01", None, None, None), True, [CellCode.COMPARE]),
        (("a", None, "2024-01-02", None, None, None, None), False, []),
        (("a", None, "soon", "2024-01-01", None, None, None), True, [CellCode.FORMAT]),
        (("a", None, None, None, None, None, "0"), False, [CellCode.COMPARE]),
        (("a", None, None, None, "lost", None, None), True, [CellCode.REQUIRED_IF]),
        (("a", None, None, None, "lost", "price", None), False, []),
    ],
)
def test_rules_of_a_row(row: tuple[str | None, ...], bad: bool, codes: list[CellCode]) -> None:
    headers = [field.name for field in RULED.fields]
    program = compiled(sheet(*({"field": h, "from": h} for h in headers)), RULED, headers)
    _, is_bad, broken = judged(program, [row])[0]
    assert (is_bad, [code for code, _ in broken]) == (bad, codes)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"rule": "compare", "left": "start", "op": "<", "right": "amount"}, "cannot be compared"),
        ({"rule": "compare", "left": "amount", "op": "<", "value": "many"}, "'many'"),
        ({"rule": "compare", "left": "amount", "op": "<", "value": "1e999999"}, "'1e999999'"),
        ({"rule": "required_if", "field": "email", "when": "start", "values": ["x"]}, "'x'"),
    ],
)
def test_a_rule_that_cannot_be_asked_is_refused(rule: dict[str, Any], told: str) -> None:
    of = template(*(field.model_dump() for field in RULED.fields), rules=[rule])
    with pytest.raises(CompileError, match=told):
        compiled(sheet(), of, ["A"])


def test_extra_columns_are_kept_under_names_of_their_own() -> None:
    headers = ["X", "x", "Größe (m²)", "", "x 2", "SELECT"]
    plan = sheet({"field": "x", "from": "X"}, extra_columns="keep")
    program = compiled(plan, template({"name": "x"}), headers)
    names = [output.name for output in program.outputs]
    assert names == ["x", "x_2", "grosse_m", "column_4", "x_2_2", "select"]
    row = ("1", "2", "3", "4", "5", "6")
    assert judged(program, [row])[0][0] == row


def test_the_same_plan_gives_the_same_program() -> None:
    of = template({"name": "x", "type": "integer"})
    once, again = (compiled(sheet({"field": "x", "from": "X"}), of, ["X"]) for _ in range(2))
    other = compiled(sheet({"field": "x", "from": "Y"}), of, ["X", "Y"])
    assert once == again
    assert once.digest == again.digest != other.digest


def test_moments_do_not_depend_on_the_machines_zone() -> None:
    zoned = [{"op": "datetime", "timezone": "America/New_York"}]
    moment = through(zoned, "2024-07-01 08:00", type="datetime")
    assert moment.replace(tzinfo=UTC) == datetime(2024, 7, 1, 12, tzinfo=UTC)
