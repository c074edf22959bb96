"""The text of valid rows, as other programs read it."""

import csv
import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.execute.valid import lines

CELLS = st.one_of(st.none(), st.text(st.sampled_from('a,"\r\nß 東#'), max_size=6))


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[CELLS] * n), max_size=8)))
def test_any_csv_reader_gives_the_cells_back(rows: list[tuple[str | None, ...]]) -> None:
    columns = list(zip(*rows, strict=True)) or [()]
    text = bytes(lines([pa.array(each, pa.string()) for each in columns])).decode()
    read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert read == [[cell or "" for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [("a b", "a b"), ("a,b", '"a,b"'), ('a "b"', '"a ""b"""'), ("a\nb", '"a\nb"'), (None, "")],
)
def test_only_cells_that_need_quotes_have_them(cell: str | None, shown: str) -> None:
    cells = [pa.array([cell, "plain"]), pa.array([1, None]), pa.array([True, False])]
    assert bytes(lines(cells)).decode() == f"{shown},1,true\r\nplain,,false\r\n"
