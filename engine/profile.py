"""What the values of each staged column look like; counts and rates, never a decision.

Reads the customer's bytes: call it in a sandbox child.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv

from engine import kinds
from engine.intake.source import Shard, Staged

#: Cells looked at in one profile, so that a very wide table costs no more than a narrow one.
MAX_CELLS = 2_000_000
#: Bytes that all columns of a block may reserve together, and the smallest block.
PARSED, MIN_BLOCK = 256 << 20, 1 << 18
_SHAPE = """regexp_replace(regexp_replace(regexp_replace(left(v, 40),
    '[0-9]', '9', 'g'), '\\p{Lu}', 'A', 'g'), '[\\p{Ll}\\p{Lo}]', 'a', 'g')"""
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


def profile(staged: Staged, *, rows: int | None = 5_000) -> Profile:
    """Profile every column over the first rows of every shard; `rows=None` looks at all of them."""
    most = max(200, MAX_CELLS // max(staged.width, 1))
    limit = staged.records if rows is None else min(rows, most)
    table = _read(staged, limit, columns=range(staged.width))
    columns = _profiles(table, staged)
    return Profile(columns=columns, rows=table.num_rows, whole=table.num_rows == staged.records)


def profile_column(staged: Staged, index: int) -> ColumnProfile:
    """Profile one column over every row of the table."""
    return _profiles(_read(staged, staged.records, columns=[index]), staged)[0]


def values(staged: Staged, index: int, *, limit: int = 100_000) -> tuple[tuple[str, int], ...]:
    """Trimmed values of the whole column with their counts, most frequent first."""
    table = _read(staged, staged.records, columns=[index])
    with _connect(_long(table)) as db:
        return tuple(
            db.execute(
                f"SELECT v, sum(n)::BIGINT AS n FROM ({_counted()}) GROUP BY v "
                "ORDER BY n DESC, v LIMIT ?",
                [limit],
            ).fetchall()
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The cells of a column that can be read in exactly the same ways."""

    kinds: frozenset[str]
    cells: int
    samples: tuple[str, ...]  #: at most 10


def readings(staged: Staged, index: int, *, formats: tuple[str, ...] = ()) -> tuple[Reading, ...]:
    """The whole column by what its cells can be read as, most cells first: the base of proofs."""
    tests = kinds.probes(formats)
    date_part, time_part = kinds.parts()
    listed = ", ".join(f"CASE WHEN {sql} THEN {at} END" for at, sql in enumerate(tests.values()))
    names = list(tests)
    with _connect(_long(_read(staged, staged.records, columns=[index]))) as db:
        rows = db.execute(f"""
            WITH counted AS MATERIALIZED (SELECT v, sum(n) AS n FROM ({_counted()}) GROUP BY v),
            parted AS (SELECT *, lower(v) AS low, {date_part} AS d, {time_part} AS t FROM counted),
            told AS (SELECT v, n, list_filter([{listed}], lambda k: k IS NOT NULL) AS ks FROM parted)
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


def _profiles(table: pa.Table, staged: Staged) -> tuple[ColumnProfile, ...]:
    facts = _facts(_long(table))
    headers = staged.source.columns
    indexes = [int(name[1:]) for name in table.column_names]
    return tuple(
        _column(at, headers[at] if at < len(headers) else "", table.num_rows, facts.get(at))
        for at in indexes
    )


def _column(index: int, header: str, rows: int, facts: dict[str, Any] | None) -> ColumnProfile:
    if facts is None:
        facts = {"filled": 0, "distinct": 0, "low": 0, "high": 0, "top": [], "shapes": {}, "n": []}
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
        top=tuple((each["v"], each["n"]) for each in facts["top"]),
        samples=tuple(each["v"] for each in facts["top"][:20]),
        shapes=tuple((shape, int(count)) for shape, count in shapes),
    )


def _facts(long: pa.Table) -> dict[int, dict[str, Any]]:
    """One row of figures per column that has a value."""
    with _connect(long) as db:
        result = db.execute(_sql())
        names = [each[0] for each in result.description]
        return {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}


def _sql() -> str:
    date_part, time_part = kinds.parts()
    flags = ", ".join(f"({sql}) AS f_{at}" for at, sql in enumerate(kinds.probes().values()))
    sums = ", ".join(
        f"coalesce(sum(n) FILTER (f_{at}), 0)::BIGINT AS k_{at}"
        for at in range(len(kinds.probes()))
    )
    return f"""
        WITH counted AS MATERIALIZED (SELECT c, v, sum(n) AS n FROM ({_counted()}) GROUP BY c, v),
        parted AS (SELECT *, lower(v) AS low, {date_part} AS d, {time_part} AS t FROM counted),
        flagged AS (SELECT c, v, n, {flags} FROM parted),
        figures AS (SELECT c, sum(n)::BIGINT AS filled, count(*) AS "distinct",
            min(length(v)) AS low, max(length(v)) AS high,
            list({{'v': left(v, 200), 'n': n::BIGINT}} ORDER BY n DESC, v)[:50] AS top, {sums}
            FROM flagged GROUP BY c),
        shaped AS (SELECT c, map_from_entries(list((shape, n))) AS shapes
            FROM (SELECT c, {_SHAPE} AS shape, sum(n)::BIGINT AS n FROM counted GROUP BY c, shape
                  QUALIFY row_number() OVER (PARTITION BY c ORDER BY sum(n) DESC, shape) <= 10)
            GROUP BY c)
        SELECT * FROM figures JOIN shaped USING (c)"""


def _counted() -> str:
    blanks = "".join(f"\\x{{{ord(each):x}}}" for each in BLANKS)
    trimmed = f"regexp_replace(v, '^[{blanks}]+|[{blanks}]+$', '', 'g')"
    guarded = f"CASE WHEN regexp_matches(v, '^[{blanks}]|[{blanks}]$') THEN {trimmed} ELSE v END"
    counted = "SELECT c, v, count(*) AS n FROM cells GROUP BY c, v"
    return f"SELECT * FROM (SELECT c, {guarded} AS v, n FROM ({counted})) WHERE v <> ''"


def _connect(long: pa.Table) -> duckdb.DuckDBPyConnection:
    db = duckdb.connect(config={"threads": 1, "enable_external_access": False})
    db.register("cells", long)
    return db


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
    text = b""
    for chunk in _chunks(staged, shard, 1 << 20):
        text += chunk
        data = np.frombuffer(text, dtype=np.uint8)
        outside = np.cumsum(data == ord('"'), dtype=np.int64) % 2 == 0
        ends = np.flatnonzero((data == ord("\n")) & outside)
        if len(ends) >= rows:
            return text[: int(ends[rows - 1]) + 1]
    return text


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
