"""What the values of each staged column look like; counts and rates, never a decision.

Reads the customer's bytes: call it in a sandbox child.
"""

import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from engine import kinds
from engine.intake.source import Shard, Staged

#: Cells looked at in one profile, so that a very wide table costs no more than a narrow one.
MAX_CELLS = 2_000_000
#: Bytes that all columns of a block may reserve together, and the smallest block.
PARSED, MIN_BLOCK = 256 << 20, 1 << 18
_COUNTED = "SELECT c, v, count(*) AS n FROM cells WHERE v <> '' GROUP BY c, v"
#: What `m`, the text with its ASCII letters and digits masked, still lacks; ASCII text lacks none.
_SHAPE = """CASE WHEN strlen(m) = length(m) THEN left(m, 40) ELSE regexp_replace(regexp_replace(
    left(m, 40), '\\p{Lu}', 'A', 'g'), '[\\p{Ll}\\p{Lo}]', 'a', 'g') END"""
_MASK = bytes.maketrans(
    (string.digits + string.ascii_uppercase + string.ascii_lowercase).encode(),
    b"9" * 10 + b"A" * 26 + b"a" * 26,
)
#: Spaces people cannot see are spaces too.
BLANKS = " \t\r\n\u00a0\u202f\u2007\u200b\u3000\ufeff"


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnProfile:
    """One column over the rows looked at. `rates`: share (0..1) of filled cells that fit a kind."""

    index: int
    header: str
    rows: int
    filled: int
    distinct: int
    rates: dict[str, float]
    min_length: int
    max_length: int
    top: tuple[tuple[str, int], ...]  #: most frequent values with their counts, at most 50
    samples: tuple[str, ...]  #: a few different values, at most 20
    shapes: tuple[tuple[str, int], ...]  #: letters as A/a, digits as 9, at most 10

    def rate(self, kind: str) -> float:
        """Share of filled cells that fit this kind."""
        return self.rates.get(kind, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """All columns of one staged table. `whole` tells that every row was looked at."""

    columns: tuple[ColumnProfile, ...]
    rows: int
    whole: bool


def profile(staged: Staged, *, rows: int = 5_000) -> Profile:
    """Profile every column over the first rows of every shard."""
    most = max(200, MAX_CELLS // max(staged.width, 1))
    table = _read(staged, min(rows, most), columns=range(staged.width))
    facts, headers = _facts(_long(table)), staged.source.columns
    columns = tuple(
        _column(at, headers[at] if at < len(headers) else "", table.num_rows, facts.get(at))
        for at in range(staged.width)
    )
    return Profile(columns=columns, rows=table.num_rows, whole=table.num_rows == staged.records)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The cells of a column that can be read in exactly the same ways."""

    kinds: frozenset[str]
    cells: int
    samples: tuple[str, ...]  #: at most 10


def readings(staged: Staged, index: int, *, formats: tuple[str, ...] = ()) -> tuple[Reading, ...]:
    """The whole column by what its cells can be read as, most cells first: the base of proofs."""
    tests = kinds.probes(formats)
    listed = ", ".join(f"CASE WHEN {sql} THEN {at} END" for at, sql in enumerate(tests.values()))
    names = list(tests)
    with _connect(_long(_read(staged, staged.records, columns=[index]))) as db:
        rows = db.execute(f"""
            WITH told AS (SELECT v, n, list_filter([{listed}], lambda k: k IS NOT NULL) AS ks
                FROM ({kinds.parted(f"({_COUNTED})")}))
            SELECT ks, sum(n)::BIGINT AS n, list(left(v, 200) ORDER BY n DESC, v)[:10]
            FROM told GROUP BY ks ORDER BY n DESC, ks""").fetchall()
    return tuple(
        Reading(kinds=frozenset(names[at] for at in ks), cells=n, samples=tuple(samples))
        for ks, n, samples in rows
    )


def of_values(columns: Sequence[tuple[str, Sequence[str]]]) -> tuple[ColumnProfile, ...]:
    """Profile columns given as (header, values): examples, or what another file had."""
    owners = [at for at, (_, cells) in enumerate(columns) for _ in cells]
    cells = [cell for _, cells in columns for cell in cells]
    facts = _facts(pa.table({"c": pa.array(owners, pa.int32()), "v": pa.array(cells, pa.string())}))
    return tuple(
        _column(at, header, len(cells), facts.get(at)) for at, (header, cells) in enumerate(columns)
    )


def _column(index: int, header: str, rows: int, facts: dict[str, Any] | None) -> ColumnProfile:
    if facts is None:
        facts = {"filled": 0, "distinct": 0, "low": 0, "high": 0, "top": [], "shapes": {}, "n": []}
    top = tuple((each["v"][:200], -each["n"]) for each in facts["top"])
    shapes = sorted(facts["shapes"].items(), key=lambda each: (-each[1], each[0]))[:10]
    rates = {
        kind: facts[f"k_{at}"] / facts["filled"]
        for at, kind in enumerate(kinds.probes())
        if facts.get(f"k_{at}")
    }
    return ColumnProfile(
        index=index,
        header=header,
        rows=rows,
        filled=facts["filled"],
        distinct=facts["distinct"],
        rates=rates,
        min_length=facts["low"],
        max_length=facts["high"],
        top=top,
        samples=tuple(value for value, _ in top[:20]),
        shapes=tuple((shape, int(count)) for shape, count in shapes),
    )


def _facts(long: pa.Table) -> dict[int, dict[str, Any]]:
    """One row of figures per column that has a value."""
    with _connect(long) as db:
        # A batch of strings holds 2 GiB at most.
        counted = db.sql(_COUNTED).to_arrow_table(batch_size=1 << 16)
        masks = pa.chunked_array([_masked(each) for each in counted["v"].chunks], type=pa.string())
        db.register("counted", counted.append_column("m", masks))
        result = db.execute(_sql())
        names = [each[0] for each in result.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}


def _sql() -> str:
    flags = ", ".join(f"({sql}) AS f_{at}" for at, sql in enumerate(kinds.probes().values()))
    sums = ", ".join(
        f"sum(CASE WHEN f_{at} THEN n ELSE 0 END)::BIGINT AS k_{at}"
        for at in range(len(kinds.probes()))
    )
    return f"""
        WITH flagged AS (SELECT c, v, n, {flags} FROM ({kinds.parted("counted")})),
        figures AS (SELECT c, sum(n)::BIGINT AS filled, count(*) AS "distinct",
            min(length(v)) AS low, max(length(v)) AS high,
            min({{'n': -n, 'v': v}}, 50) AS top, {sums} FROM flagged GROUP BY c),
        shaped AS (SELECT c, map_from_entries(list((shape, n))) AS shapes
            FROM (SELECT c, {_SHAPE} AS shape, sum(n)::BIGINT AS n FROM counted GROUP BY c, shape
                  QUALIFY row_number() OVER (PARTITION BY c ORDER BY sum(n) DESC, shape) <= 10)
            GROUP BY c)
        SELECT * FROM figures JOIN shaped USING (c)"""


def _connect(long: pa.Table) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"threads": 1, "enable_external_access": False})
    trimmed = pc.utf8_trim(long["v"], characters=BLANKS)
    db.register("cells", pa.table({"c": long["c"], "v": trimmed}))
    return db


def _masked(texts: pa.Array) -> pa.Array:
    """The texts with their ASCII letters as A or a and their digits as 9."""
    _, offsets, data = texts.buffers()
    masked = pa.py_buffer(data.to_pybytes().translate(_MASK))
    return pa.StringArray.from_buffers(len(texts), offsets, masked, None, 0, texts.offset)


def _long(table: pa.Table) -> pa.Table:
    """One row a cell: `c` column index, `v` text."""
    chunks: list[pa.Array] = []
    owners: list[Any] = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        chunks += column.chunks
        owners.append(np.full(len(column), int(name[1:]), dtype=np.int32))
    numbers = np.concatenate(owners) if owners else np.empty(0, dtype=np.int32)
    return pa.table({"c": pa.array(numbers), "v": pa.chunked_array(chunks, type=pa.string())})


def _read(staged: Staged, rows: int, *, columns: Any) -> pa.Table:
    """Staged columns c0…cN of at most `rows` records, taken evenly from the shards."""
    names = [f"c{at}" for at in columns]
    each = -(-rows // max(len(staged.shards), 1))
    tables = [
        _parse(text, staged, names)
        for shard in staged.shards
        if (text := _records(staged, shard, min(each, shard.records)))
    ]
    empty = pa.schema([(name, pa.string()) for name in names]).empty_table()
    return pa.concat_tables([empty, *tables])


def _records(staged: Staged, shard: Shard, rows: int) -> bytes:
    """The text of the shard's first records."""
    if rows >= shard.records:
        return b"".join(_chunks(staged, shard, shard.end - shard.start))
    text: list[bytes] = []
    inside = np.uint8(0)
    for chunk in _chunks(staged, shard, 1 << 20):
        data = np.frombuffer(chunk, dtype=np.uint8)
        quoted = (np.cumsum(data == ord('"'), dtype=np.uint8) + inside) % 2
        ends = np.flatnonzero((data == ord("\n")) & (quoted == 0))
        if len(ends) >= rows:
            return b"".join((*text, chunk[: int(ends[rows - 1]) + 1]))
        text.append(chunk)
        rows, inside = rows - len(ends), quoted[-1]
    return b"".join(text)


def _chunks(staged: Staged, shard: Shard, size: int) -> Iterator[bytes]:
    with staged.path.open("rb") as file:
        file.seek(shard.start)
        left = shard.end - shard.start
        while left > 0 and (chunk := file.read(min(size, left))):
            left -= len(chunk)
            yield chunk


def _parse(text: bytes, staged: Staged, names: list[str]) -> pa.Table:
    # Arrow reserves a whole block for each column: 300 of them were gigabytes of address space.
    block = max(MIN_BLOCK, PARSED // max(len(names), 1))
    try:
        return _table(text, staged, names, block=min(block, len(text) + 1))
    except pa.ArrowInvalid:  # a record longer than a block
        return _table(text, staged, names, block=len(text) + 1)


def _table(text: bytes, staged: Staged, names: list[str], *, block: int) -> pa.Table:
    every = [f"c{at}" for at in range(staged.width)]
    return pyarrow.csv.read_csv(
        pa.BufferReader(text),
        read_options=pyarrow.csv.ReadOptions(
            column_names=every, use_threads=False, block_size=block
        ),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=staged.delimiter, newlines_in_values=True, ignore_empty_lines=False
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            include_columns=names,
            strings_can_be_null=False,
        ),
    )
