"""Tables without a delimiter: drawn with lines, or aligned by blanks."""

from pathlib import Path

import pytest
from small_files import codes, rows, staged

from engine.errors import SourceCode, SourceError
from engine.intake import layout
from engine.intake.source import Choice, ReadCode
from plans.plan import Read

MYSQL = """\
mysql> select * from staff;
+----+-----------+--------+
| id | name      | amount |
+----+-----------+--------+
|  1 | Jo, Maier |  12.50 |
|  2 |           |   NULL |
+----+-----------+--------+
2 rows in set (0.00 sec)
"""
SQLPLUS = """\
        ID NAME       CITY
---------- ---------- ----------
         1 Jo Maier   Bonn
         2 Mi         New York
         3 A name that is too long
         4 Zoe

4 rows selected.
"""


def layout_of(choices: tuple[Choice, ...]) -> Choice | None:
    return next((each for each in choices if each.what == "layout"), None)


def test_borders_and_rules_of_a_drawn_table_are_no_rows(tmp_path: Path) -> None:
    table = staged(tmp_path, MYSQL)
    assert table.source.columns == ("id", "name", "amount")
    assert rows(table) == [(3, ["1", "Jo, Maier", "12.50"]), (4, ["2", "", "NULL"])]
    assert {ReadCode.DRAWN, ReadCode.PREAMBLE, ReadCode.FOOTER} <= codes(table)
    (note,) = [each for each in table.source.notes if each.code is ReadCode.DRAWN]
    assert "are no rows: 3" in note.message
    found = layout_of(table.source.choices)
    assert found is not None
    assert (found.value, found.confidence, found.given) == ("drawn", 0.95, False)
    assert table.source.delimiter is None


def test_an_aligned_row_that_does_not_fit_is_broken_with_its_text(tmp_path: Path) -> None:
    table = staged(tmp_path, SQLPLUS)
    assert table.source.columns == ("ID", "NAME", "CITY")
    assert rows(table)[1:] == [(3, ["2", "Mi", "New York"]), (5, ["4", "Zoe", ""])]
    (bad,) = table.broken
    assert (bad.row, bad.line, bad.code) == (4, 5, layout.OUTSIDE)
    assert "too long" in bad.text
    assert (table.source.read, table.source.skipped) == (6, 2)


def test_a_backslash_may_end_a_cell_and_stand_before_a_vertical_of_markdown(tmp_path: Path) -> None:
    drawn = "+----+-----+\n| id | dir |\n+----+-----+\n|  1 | C:\\|\n|  2 | D:\\|\n+----+-----+\n"
    assert [cells for _, cells in rows(staged(tmp_path, drawn))] == [["1", "C:\\"], ["2", "D:\\"]]
    written = "| id | what |\n|---|---|\n| 1 | a \\| b |\n| 2 | c |\n| 3 | d |\n"
    assert rows(staged(tmp_path, written))[0] == (2, ["1", "a | b"])


def test_a_value_wider_than_those_of_the_sample_keeps_its_column(tmp_path: Path) -> None:
    body = "".join(f"{n:<6}name{n:<8}{n:>8}\n" for n in range(1_000, 4_000))
    table = staged(tmp_path, f"id    name            total\n{body}1     a_longer_name 123456\n")
    assert table.records == 3_001
    assert rows(table)[-1][1] == ["1", "a_longer_name", "123456"]


@pytest.mark.parametrize(
    "text",
    [
        "a|b\nx  y|1\nz  u|2\n",
        "name,   age\nJo   M, 31\nMi   K, 42\nZo   H, 27\n",
        "a b\n1 2\n3 4\n",
        "time\n2024-11-01 10:00\n2024-11-02 11:00\n",
        "a;b\n--;--\n1;2\n",
        "what\nsome words here\nother words there\nmore words again\n",
        "a\tb\n1   x\t2\n3   y\t4\n",
    ],
)
def test_delimited_text_is_no_drawing_and_has_no_aligned_columns(text: str) -> None:
    assert layout.find(text, Read(), delimiter=",") is None


def test_the_call_can_say_how_the_columns_are_parted(tmp_path: Path) -> None:
    short = "Name      Age\nJo Maier   31\nMi Kunz    42\n"
    unsure = staged(tmp_path, short)
    assert [view.read for view in unsure.source.views] == [
        Read(layout="aligned"),
        Read(layout="delimited"),
    ]
    said = staged(tmp_path, short, layout="aligned")
    assert (said.width, said.source.views) == (2, ())
    assert staged(tmp_path, short, layout="delimited").width == 1
    assert ReadCode.DRAWN not in codes(staged(tmp_path, MYSQL, delimiter="|"))
    with pytest.raises(SourceError) as refused:
        staged(tmp_path, "a,b\n1,2\n", layout="drawn")
    assert refused.value.code is SourceCode.OPTION
