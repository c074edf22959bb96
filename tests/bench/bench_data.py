"""A table of 15 mixed columns with about 1 % bad cells in each, the same for the same size.

Sixteen bytes of quotes, line ends inside cells, four date formats, names and codes of countries, and
a reference to another file: about 275 bytes a row.
"""

from pathlib import Path

import duckdb
from bench_peers import HEADERS, LONGEST, PATTERNS, REFERENCE, REQUIRED, UNIQUE

from plans.plan import SheetPlan
from plans.template import Template

SIZES = {"1k": 1_000, "100k": 100_000, "1m": 1_000_000, "10m": 10_000_000}
USERS = 20_000

COUNTRIES = {
    "US": "United States", "DE": "Germany", "FR": "France", "GB": "United Kingdom", "SE": "Sweden",
    "FI": "Finland", "JP": "Japan", "PL": "Poland", "ES": "Spain", "IT": "Italy", "NL": "Netherlands",
    "BR": "Brazil", "IN": "India", "CA": "Canada", "AU": "Australia", "CH": "Switzerland",
    "AT": "Austria", "DK": "Denmark", "NO": "Norway", "PT": "Portugal",
}  # fmt: skip
FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %b %Y")
#: For each column the SQL of a good and of a bad value of record `i` (0-based; `r` is its source row).
_GOOD_BAD = (
    ("CASE WHEN i > 0 AND (hash(i, 99) % 1000)::BIGINT = 0 THEN 'C-' || lpad((i - 1)::VARCHAR, 8, '0') ELSE 'C-' || lpad(i::VARCHAR, 8, '0') END", "'X' || i"),
    ("substr(m, 1, 8) || '-' || substr(m, 9, 4) || '-' || substr(m, 13, 4) || '-' || substr(m, 17, 4) || '-' || substr(m, 21, 12)", "'not-a-uuid-' || r"),
    ("['Acme', 'Globex', 'Initech', 'Umbrella', 'Stark'][i % 5 + 1] || ' ' || ['Tools', 'Foods', 'Media', 'Labs'][(hash(i) % 4)::BIGINT + 1] || ' ' || i", "NULL"),
    ("'company' || i || '.example.com'", "'no domain'"),
    ("'info.' || i || '@company' || i || '.example.com'", "'info at company'"),
    ("'+49 ' || (30 + i % 60) || ' ' || (1000000 + (hash(i, 5) % 8999999)::BIGINT)", "'12'"),
    ("'https://www.company' || i || '.example.com/about'", "'nowhere'"),
    ("(hash(i, 7) % 50000)::BIGINT::VARCHAR", "'-5'"),
    ("(1900 + (hash(i, 8) % 125)::BIGINT)::VARCHAR", "'3019'"),
    ("format('{:,}', (hash(i, 9) % 90000000)::BIGINT) || '.' || lpad((hash(i, 10) % 100)::BIGINT::VARCHAR, 2, '0')", "'much'"),
    ("[{dates}][i % 4 + 1]", "'soon'"),
    ("[{countries}][(hash(i, 12) % 40)::BIGINT + 1]", "'Atlantis'"),
    ("'user' || (hash(i, 13) % {users})::BIGINT || '@team.example'", "'ghost@nowhere.example'"),
    ("['new; eu', 'eu', 'key; us; old', 'us'][i % 4 + 1]", None),
    ("CASE WHEN i % 6 = 0 THEN 'Said \"call me\",' || chr(10) || 'then left. Ärger, 東京 ' || i ELSE 'Imported from the old system; nothing to add for number ' || i END", None),
)  # fmt: skip


def write(folder: Path, rows: int) -> tuple[Path, Path, int]:
    """The table and its users as CSV files, and how many cells are bad (twice-used ids included)."""
    table, users, count = folder / f"{rows}.csv", folder / "users.csv", folder / f"{rows}.bad"
    if not count.exists():
        with duckdb.connect() as db:
            header = ", ".join(f'c{n} AS "{name}"' for n, name in enumerate(HEADERS))
            db.execute(f"COPY (SELECT {header} FROM ({_cells(rows)})) TO '{table}' (HEADER)")
            db.execute(
                f"COPY (SELECT 'user' || i || '@team.example' AS email FROM range({USERS}) t(i))"
                f" TO '{users}' (HEADER)"
            )
            bad = " + ".join(f"({_bad(n)})::INTEGER" for n, (_, b) in enumerate(_GOOD_BAD) if b)
            (cells,) = db.execute(f"SELECT sum({bad}) FROM range({rows}) t(i)").fetchall()[0]
            (twice,) = db.execute(
                f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) n FROM ({_cells(rows)})"
                " WHERE c0 LIKE 'C-%' GROUP BY c0 HAVING n > 1)"
            ).fetchall()[0]
        count.write_text(str(cells + twice))
    return table, users, int(count.read_text())


def _bad(column: int) -> str:
    return f"hash(i, {100 + column}) % 100 = 0"


def _cells(rows: int) -> str:
    words = {
        "dates": ", ".join(f"strftime(d, '{each}')" for each in FORMATS),
        "countries": ", ".join(f"'{each}'" for pair in COUNTRIES.items() for each in pair),
        "users": USERS,
    }
    cells = []
    for n, (good, bad) in enumerate(_GOOD_BAD):
        value = good
        for name, word in words.items():
            value = value.replace("{" + name + "}", str(word))
        cells.append(
            f"{f'CASE WHEN {_bad(n)} THEN {bad} ELSE {value} END' if bad else value} AS c{n}"
        )
    day = "DATE '2015-01-01' + (hash(i, 11) % 3600)::INTEGER"
    numbered = f"SELECT i, i + 2 AS r, md5(i::VARCHAR) AS m, {day} AS d FROM range({rows}) t(i)"
    return f"SELECT {', '.join(cells)} FROM ({numbered})"


TEMPLATE = Template.model_validate(
    {
        "template": "companies",
        "fields": [
            {"name": "ext_id", "required": True, "unique": True, "pattern": "C-[0-9]{8}"},
            {"name": "uuid", "type": "uuid"},
            {"name": "name", "required": True, "max_length": 120},
            {"name": "domain", "type": "domain"},
            {"name": "email", "type": "email", "required": True},
            {"name": "phone", "type": "phone"},
            {"name": "website", "type": "url"},
            {"name": "employees", "type": "integer", "min": 0, "max": 10_000_000},
            {"name": "founded", "type": "integer", "min": 1800, "max": 2026},
            {"name": "revenue", "type": "decimal", "scale": 2, "min": 0},
            {"name": "created", "type": "date"},
            {"name": "country", "type": "country"},
            {"name": "owner", "type": "reference", "references": {"template": "users", "field": "email"}},
            {"name": "tags"},
            {"name": "notes", "max_length": 5_000},
        ],
    }
)  # fmt: skip
_TRANSFORMS = {
    "name": ["trim"], "domain": ["domain"], "email": ["email"], "phone": ["phone"],
    "revenue": [{"op": "number", "thousands": ","}],
    "created": [{"op": "date", "formats": FORMATS[1:]}], "country": ["country"], "owner": ["email"],
}  # fmt: skip
SHEET = SheetPlan.model_validate(
    {
        "template": "companies",
        "columns": [
            {"field": field.name, "from": header, "transforms": _TRANSFORMS.get(field.name, [])}
            for field, header in zip(TEMPLATE.fields, HEADERS, strict=True)
        ],
    }
)
USER = Template.model_validate(
    {"template": "users", "fields": [{"name": "email", "type": "email"}]}
)
USER_SHEET = SheetPlan.model_validate(
    {"template": "users", "columns": [{"field": "email", "from": "email"}]}
)

#: The rules as the peers are given them: patterns on the text as it stands, nothing converted.
TEXT_TEMPLATE = Template.model_validate(
    {
        "template": "companies",
        "fields": [
            {
                "name": field.name,
                "type": "reference" if header == REFERENCE else "string",
                "references": {"template": "users", "field": "email"} if header == REFERENCE else None,
                "required": header in REQUIRED,
                "unique": header == UNIQUE,
                "pattern": PATTERNS.get(header),
                "max_length": LONGEST.get(header),
            }
            for field, header in zip(TEMPLATE.fields, HEADERS, strict=True)
        ],
    }
)  # fmt: skip
TEXT_SHEET = SheetPlan.model_validate(
    {
        "template": "companies",
        "columns": [
            {"field": field.name, "from": header}
            for field, header in zip(TEMPLATE.fields, HEADERS, strict=True)
        ],
    }
)
