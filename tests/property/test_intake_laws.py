"""Whatever the csv module writes is staged back cell by cell, with the right row numbers.

2,000 files in the gate; `FUZZ=100000 pytest tests/property/test_intake_laws.py` reads more.
"""

import csv
import io
import os
import tempfile
from pathlib import Path

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from engine.errors import SourceError
from engine.intake import IntakeLimits, Staged, stage
from plans.plan import Read

FILES = int(os.environ.get("FUZZ", "2000"))
CELL = st.text(
    st.one_of(
        st.sampled_from(list("ab1,;|\t\"'\\ \r\nü€漢")),
        st.characters(codec="utf-8", exclude_characters="\0\ufeff"),
    ),
    max_size=8,
)
WIDTHS = st.integers(1, 5)
TABLE = WIDTHS.flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=12)
)
DIALECT = st.fixed_dictionaries(
    {
        "delimiter": st.sampled_from([",", ";", "\t", "|", "~"]),
        "quotechar": st.sampled_from(['"', "'"]),
        "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
        "lineterminator": st.sampled_from(["\n", "\r\n"]),
        "doublequote": st.booleans(),
    }
)
ENCODING = st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])


def written(table: list[list[str]], dialect: dict[str, object]) -> str:
    out = io.StringIO()
    escape = None if dialect["doublequote"] else "\\"
    # Before Python 3.13 the writer leaves a lone carriage return bare, which splits the record.
    quoting = (
        csv.QUOTE_ALL if any("\r" in cell for row in table for cell in row) else dialect["quoting"]
    )
    csv.writer(out, **{**dialect, "escapechar": escape, "quoting": quoting}).writerows(table)  # type: ignore[arg-type]
    return out.getvalue()


def staged(data: bytes, folder: Path, read: Read) -> Staged:
    path = folder / "upload"
    path.write_bytes(data)
    (table,) = stage(path, name="a.csv", folder=folder, read=read, limits=IntakeLimits())
    return table


def cells(table: Staged) -> dict[int, list[str]]:
    """Source row to cells, by the csv module."""
    out = {}
    for shard in table.shards:
        text = table.path.read_bytes()[shard.start : shard.end].decode()
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter))
        assert len(records) == shard.records
        out |= {table.source_row(shard.first + at): row for at, row in enumerate(records)}
    return out


@settings(max_examples=FILES * 3 // 5)
@given(table=TABLE, dialect=DIALECT, encoding=ENCODING)
@example(table=[["a\r"]], dialect={"delimiter": ",", "quotechar": '"', "quoting": 0, "lineterminator": "\n", "doublequote": True}, encoding="utf-8")  # fmt: skip
def test_a_written_table_comes_back(
    table: list[list[str]], dialect: dict[str, object], encoding: str
) -> None:
    header = [f"h{at}" for at in range(len(table[0]))]
    text = written([header, *table], dialect)
    read = Read(
        delimiter=str(dialect["delimiter"]),
        quote=str(dialect["quotechar"]),
        escape="" if dialect["doublequote"] else "\\",
        header_row=1,
        header_rows=1,
        footer_rows=0,
        first_row=2,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = staged(text.encode(encoding), Path(folder), read)
        expected = {row: each for row, each in enumerate(table, 2) if any(each)}
        assert cells(result) == expected
        assert result.source.columns == tuple(header)
        assert result.source.read == len(table)
        assert result.source.read == result.records + result.source.skipped
        assert result.broken == ()


@settings(max_examples=FILES * 2 // 5)
@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.lists(
            st.sampled_from(
                [b"a", b"12", b",", b";", b'"', b"'", b"\\", b"\n", b"\r\n", b" ", b"\xe9"]
            ),
            max_size=80,
        ).map(b"".join),
    )
)
def test_any_bytes_are_read_or_refused_and_accounted_for(data: bytes) -> None:
    assume(data)
    with tempfile.TemporaryDirectory() as folder:
        try:
            table = staged(data, Path(folder), Read())
        except SourceError:
            return
        source = table.source
        assert source.read == table.records + source.broken + source.skipped
        assert len(cells(table)) == table.records
