"""Hostile headers, plan texts and cells against every transform: nothing of them becomes SQL.

The gate tries a few hundred; for the 10,000 of the promise: EXAMPLES=10000 with --timeout=0.
"""

import os
from typing import Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import compiled, sheet, template

from engine.compiler.program import Program
from engine.sql import literal

EXAMPLES = int(os.environ.get("EXAMPLES", "60"))

HOSTILE = (
    '"; DROP TABLE precious; --', "'; DROP TABLE precious; --", "' OR 1=1 --", "{source}", "c0", "\\",
    "$1", "?", "%s", "/*", "*/", "\n", "\r\n", "=cmd|' /C calc'!A0", "null", "N/A", "12-", "(1)", "1e999",
    "99999999999999999999", "-0", "1.234,56", "31.12.2024", "2024-02-30", "infinity", "epoch", "ß", "\u017f",
    "\u202e", "\ufeff", "é́", "👩‍👩‍👧", "x" * 5_000, "\\1", "(", "[", "a@b", "+", "0" * 400, "9" * 40 + "%",
)  # fmt: skip
#: Lone surrogates cannot come out of UTF-8 text, NUL not out of staging.
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
)
FORMATS = st.lists(
    st.sampled_from(["%d.%m.%Y", "%m/%d/%y", "%Y%m%d", "%H:%M", "%d %b %Y", "%Y-%m-%d %H:%M %z"]),
    max_size=3,
)
MARKS = st.sampled_from([(".", ","), (",", "."), (".", ""), (",", " "), (".", "'")])
REGEX = st.sampled_from([r"(\d+)", ".*", "'", r"^\s*(.)", '"', "a|b", r"[^\x00-\x7F]", "(?i)x"])


def op(name: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"op": st.just(name), **members})


SINGLE = st.one_of(
    op("trim", inner=st.booleans()),
    op("case", to=st.sampled_from(["lower", "upper", "title"])),
    op("replace", find=TEXT.filter(bool).map(lambda t: t[:200]), by=TEXT.map(lambda t: t[:200])),
    op("regex_replace", pattern=REGEX, by=TEXT.map(lambda t: t[:200].replace("\\", r"\0"))),
    op("regex_extract", pattern=REGEX),
    op("split", separator=TEXT.filter(bool).map(lambda t: t[:10]), part=st.integers(-20, 20), rest=st.booleans()),
    op("default", value=TEXT.map(lambda t: t[:1000])),
    op("constant", value=TEXT.map(lambda t: t[:1000])),
    op("nulls", words=st.lists(TEXT.map(lambda t: t[:1000]), max_size=5)),
    op(
        "value_map",
        values=st.dictionaries(TEXT.map(lambda t: t[:1000]), TEXT.map(lambda t: t[:1000]), min_size=1, max_size=40),
        ignore_case=st.booleans(),
        otherwise=st.sampled_from(["keep", "empty"]),
    ),
    MARKS.flatmap(lambda marks: op(
        "number", decimal=st.just(marks[0]), thousands=st.just(marks[1]),
        percent=st.sampled_from(["keep", "divide"]), scale=st.sampled_from(["1", "1000", "-0.01", "999999999999"]),
    )),
    op("date", formats=FORMATS, excel_serial=st.booleans()),
    op("datetime", formats=FORMATS, timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
       epoch=st.sampled_from(["none", "seconds", "milliseconds"])),
    op("time", formats=FORMATS),
    op("boolean"),
    op("phone", region=st.sampled_from([None, "DE", "US", "IT", "RU"])),
    op("email"), op("domain"), op("url"), op("country"), op("currency"), op("hash"),
    op("pad_left", width=st.integers(1, 64), fill=st.sampled_from(["0", "'", "ä", "\\"])),
)  # fmt: skip
COMBINING = st.one_of(
    op("join", separator=TEXT.map(lambda t: t[:10])),
    op("concat", text=st.sampled_from(["{0}'{1}", '{1}"; --', "a{0}{0}{1}"])),
    op("coalesce"),
    op("subtract"),
)
FIELD = st.one_of(
    st.fixed_dictionaries({"type": st.sampled_from(
        ["string", "integer", "decimal", "boolean", "date", "datetime", "time", "email", "url",
         "domain", "phone", "country", "currency", "uuid", "json"])}),
    st.fixed_dictionaries({"type": st.just("enum"), "values": st.lists(TEXT, min_size=1, max_size=5)}),
    st.fixed_dictionaries({"type": st.just("string"), "pattern": REGEX, "max_length": st.integers(1, 9)}),
)  # fmt: skip

#: What the SQL of a plan may call; nothing that grows without bound, reads files or runs text.
ALLOWED = frozenset(
    [
        "array_to_string",
        "cast",
        "coalesce",
        "concat_ws",
        "contains",
        "ends_with",
        "enum_code",
        "greatest",
        "json_valid",
        "left",
        "length",
        "list_filter",
        "list_transform",
        "lower",
        "make_timestamp",
        "map",
        "nullif",
        "regexp_extract",
        "regexp_extract_all",
        "regexp_full_match",
        "regexp_matches",
        "regexp_replace",
        "replace",
        "right",
        "rtrim",
        "sha256",
        "starts_with",
        "strftime",
        "string_split",
        "strip_accents",
        "strlen",
        "substr",
        "substring",
        "timezone",
        "trim",
        "try",
        "try_cast",
        "try_strptime",
        "upper",
    ]
)

#: Operators and literals that DuckDB keeps as functions.
OPERATORS = frozenset(
    {"||", "+", "-", "*", "list_value", "struct_pack", "array_extract", "array_slice"}
)


@st.composite
def things(draw: st.DrawFn) -> tuple[Program, list[list[str | None]]]:
    """A program of one field made of anything a plan can say, and hostile rows."""
    chain = [
        *draw(st.lists(SINGLE, max_size=2)),
        draw(COMBINING),
        *draw(st.lists(SINGLE, max_size=2)),
    ]
    headers = draw(st.lists(TEXT.map(lambda t: t[:9000]), min_size=3, max_size=3, unique=True))
    policy = draw(st.sampled_from(["reject", "empty", "warn", "stop"]))
    field = {"name": "x", "on_invalid": policy, "unique": draw(st.booleans()), **draw(FIELD)}
    plan = sheet(
        {"field": "x", "from": [{"header": each} for each in headers[:2]], "transforms": chain},
        extra_columns="keep",
    )
    of = template(field, identity=["x"] if draw(st.booleans()) else [])
    rows = draw(
        st.lists(st.lists(st.none() | TEXT, min_size=3, max_size=3), min_size=1, max_size=8)
    )
    return compiled(plan, of, headers), rows


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(things())
def test_no_text_of_a_plan_header_or_cell_becomes_sql(
    made: tuple[Program, list[list[str | None]]],
) -> None:
    program, rows = made
    with duckdb.connect() as connection:
        connection.execute("SET disabled_optimizers = 'in_clause'")
        connection.execute("CREATE TABLE precious AS SELECT 1")
        connection.execute('CREATE TABLE "source" (n INTEGER, c0 VARCHAR, c1 VARCHAR, c2 VARCHAR)')
        numbered = [(number, *row) for number, row in enumerate(rows)]
        connection.executemany('INSERT INTO "source" VALUES (?, ?, ?, ?)', numbered)
        for sql in (program.stage, program.values):
            assert len(connection.extract_statements(sql)) == 1
            assert functions(connection, sql) - ALLOWED == set()
            connection.execute(f"CREATE OR REPLACE TABLE result AS {sql}")
            assert connection.execute("SELECT count(*) FROM result").fetchall() == [(len(rows),)]
            kept = f"SELECT f{len(program.outputs) - 1} FROM result ORDER BY rowid"
            assert [each for (each,) in connection.execute(kept).fetchall()] == [
                row[2] for row in rows
            ]
        assert connection.execute("SELECT * FROM precious").fetchall() == [(1,)]


def functions(connection: duckdb.DuckDBPyConnection, sql: str) -> set[str]:
    """Names of all functions in a statement, as DuckDB's own parser sees it."""
    (tree,) = connection.execute(f"SELECT json_serialize_sql({literal(sql)})").fetchone() or ("",)
    query = "SELECT DISTINCT lower(unnest(json_extract_string(?, '$..function_name')))"
    names = {str(name) for (name,) in connection.execute(query, [tree]).fetchall()}
    return names - OPERATORS
