import io

import pytest

from engine.errors import SourceCode, SourceError
from engine.intake.parse import Dialect, Record, parse

COMMA = Dialect(delimiter=",")


def read(text: str, dialect: Dialect = COMMA) -> list[Record]:
    return list(parse(io.StringIO(text, newline=""), dialect))


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("a,b\n", ["a", "b"]),
        ('"a,b",c\n', ["a,b", "c"]),
        ('"a""b",c\n', ['a"b', "c"]),
        ('"a\r\nb",c\r\n', ["a\r\nb", "c"]),
        ('x, "a, b" ,c\n', ["x", "a, b", "c"]),
        ('"a "b" c",d\n', ['a "b" c', "d"]),
        ('"Acme" Inc,5\n', ['"Acme" Inc', "5"]),
        ('5" pipe,2\n', ['5" pipe', "2"]),
        ("a,,\n", ["a", "", ""]),
    ],
)
def test_quotes_mean_what_a_person_reads(text: str, cells: list[str]) -> None:
    assert [each.cells for each in read(text)] == [cells]


def test_rows_count_records_and_lines_count_physical_lines() -> None:
    records = read('a\n"x\ny"\n\nz')
    assert [(each.row, each.line) for each in records] == [(1, 1), (2, 2), (3, 4), (4, 5)]


def test_an_unclosed_quote_costs_one_line() -> None:
    records = read('a,"b\nc,d\ne,f\n')
    assert [each.problem for each in records] == ["unclosed_quote", "", ""]
    assert records[0].text == 'a,"b'
    assert [each.cells for each in records[1:]] == [["c", "d"], ["e", "f"]]


def test_a_cell_that_opens_inside_of_a_quoted_one_shows_that_its_quote_was_stray() -> None:
    records = read('a,"b\nc,"d"\ne,f\n')
    assert [(each.line, each.problem) for each in records] == [(1, "stray_quote"), (2, ""), (3, "")]
    assert [each.cells for each in records] == [["a", '"b'], ["c", "d"], ["e", "f"]]


def test_a_stray_quote_leaves_the_cells_behind_it_alone() -> None:
    (record,) = read('"a,b,"c, d","e"\n')
    assert record.cells == ['"a', "b", "c, d", "e"]


def test_escapes_other_quotes_and_long_delimiters() -> None:
    escaped = Dialect(delimiter=",", escape="\\")
    assert read('a\\,b,"e\\"f",\\N\n', escaped)[0].cells == ["a,b", 'e"f', "\\N"]
    long = Dialect(delimiter="||", quote="'")
    assert read("'a||b'||c\n", long)[0].cells == ["a||b", "c"]


def test_a_line_longer_than_allowed_is_refused_with_its_place() -> None:
    with pytest.raises(SourceError, match="line 2") as caught:
        list(parse(["a\n", "x" * 100 + "\n"], COMMA, longest=50))
    assert caught.value.code is SourceCode.FIELD_TOO_LARGE


def test_reading_in_vain_behind_unclosed_quotes_ends() -> None:
    line = 'x, "a\n' + "y" * 900_000 + "\n"
    with pytest.raises(SourceError) as caught:
        list(parse(io.StringIO(line * 200, newline=""), COMMA))
    assert caught.value.code is SourceCode.UNCLOSED_QUOTE
