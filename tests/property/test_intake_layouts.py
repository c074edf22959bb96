"""Whatever is drawn with lines or aligned by blanks is staged back cell by cell."""

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.intake import IntakeLimits, layout, stage
from plans.plan import Read

WORD = st.text(st.sampled_from("ab1.,;:\"'/\\ü€"), min_size=1, max_size=6)
CELL = st.lists(WORD, max_size=3).map(" ".join)
TABLE = st.integers(2, 5).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8)
)
READ = Read(header_row=1, header_rows=1, footer_rows=0, first_row=2)


def lines_of(table: list[list[str]], kind: str) -> list[str]:
    """Names, rule and rows, as psql, mysql, a box or sqlplus write them."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    edge, between, rule, cross = {
        "psql": ("", " | ", "-", "-+-"),
        "mysql": ("|", " | ", "-", "-+-"),
        "box": ("│", " │ ", "═", "═╪═"),
        "aligned": ("", "  ", "-", "  "),
    }[kind]
    padded = (
        [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)] for cells in table
    )
    rows = [edge + between.join(cells) + edge for cells in padded]
    ruled = cross.join(rule * width for width in widths)
    corner = "+" if edge == "|" else edge
    return [rows[0], corner + ruled + corner, *rows[1:]]


@settings(max_examples=150)
@given(table=TABLE, kind=st.sampled_from(["psql", "mysql", "box", "aligned"]))
def test_a_laid_out_table_comes_back(table: list[list[str]], kind: str) -> None:
    names = [f"name{at}" for at in range(len(table[0]))]
    text = "\n".join(lines_of([names, *table], kind))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        path.write_text(text)
        (found,) = stage(path, name="a.txt", folder=Path(folder), read=READ, limits=IntakeLimits())
        kept = [cells for cells in table if any(cells)]
        data = found.path.read_text() if found.records else ""
        assert list(csv.reader(io.StringIO(data, newline=""))) == kept
        assert found.source.columns == tuple(names)
        assert found.source.read == len(table) == found.records + found.source.skipped
        assert layout.OUTSIDE not in {each.code for each in found.broken}
