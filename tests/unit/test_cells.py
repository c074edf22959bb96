import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from api.cells import cells_of, split

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def chunked(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@given(st.lists(st.lists(TEXT, min_size=2, max_size=4), max_size=8), st.integers(1, 40))
def test_records_are_those_of_csv_wherever_a_chunk_ends(rows: list[list[str]], size: int) -> None:
    rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    content = out.getvalue().encode()
    found = list(split(chunked(content, size)))
    assert [cells_of(record) for record, _ in found] == rows
    for at in range(1, len(found)):
        place = found[at - 1][1]
        again = list(split(chunked(content[place:], size), start=place))
        assert again == found[at:]


def test_a_cell_of_a_million_lines_is_read_in_one_go() -> None:
    cell = "x\n" * 1_000_000
    content = f'1,"{cell}"\r\n2,y\r\n'.encode()
    found = [cells_of(record) for record, _ in split(chunked(content, 1 << 20))]
    assert found == [["1", cell], ["2", "y"]]
