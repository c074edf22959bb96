"""The same rules in other validators: `python bench_peers.py NAME TABLE USERS` prints CPU and count.

Each ends with what Reknit ends with: a CSV of every bad cell with its row number, column, what is
wrong with it, and its text. All are told the same patterns, made for this table, on the text as it
stands; nobody converts. Imports count for nobody, reading the file for everybody; that the file is
told apart from other dialects and encodings, hashed and counted a second time only Reknit does.
"""

import csv
import importlib
import json
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable

Cell = tuple[int, str, str, object]  #: row number, column, what is wrong, its text

NAMES = "United States|Germany|France|United Kingdom|Sweden|Finland|Japan|Poland|Spain|Italy|Netherlands|Brazil|India|Canada|Australia|Switzerland|Austria|Denmark|Norway|Portugal"
CODES = "US|DE|FR|GB|SE|FI|JP|PL|ES|IT|NL|BR|IN|CA|AU|CH|AT|DK|NO|PT"
REQUIRED = ("Ext ID", "Company", "E-mail")
LONGEST = {"Company": 120, "Notes": 5_000}
UNIQUE, REFERENCE = "Ext ID", "Owner"
PATTERNS = {
    "Ext ID": "C-[0-9]{8}",
    "UUID": "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "Domain": r"([a-z0-9-]+\.)+[a-z]{2,}",
    "E-mail": r"[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}",
    "Phone": r"\+49 [0-9]{2} [0-9]{7}",
    "Website": r"https?://[^\s]+",
    "Employees": "[0-9]{1,7}",
    "Founded": "(1[89]|20)[0-9]{2}",
    "Revenue": r"[0-9]{1,3}(,[0-9]{3})*\.[0-9]{2}",
    "Created": r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}\.[0-9]{2}\.[0-9]{4}|[0-9]{2}/[0-9]{2}/[0-9]{4}|[0-9]{2} [A-Z][a-z]{2} [0-9]{4}",
    "Country": f"{NAMES}|{CODES}",
}  # fmt: skip
WHOLE = {name: f"^(?:{pattern})$" for name, pattern in PATTERNS.items()}
HEADERS = (
    "Ext ID", "UUID", "Company", "Domain", "E-mail", "Phone", "Website", "Employees", "Founded",
    "Revenue", "Created", "Country", "Owner", "Tags", "Notes",
)  # fmt: skip


def users_in(path: str) -> list[str]:
    with open(path, encoding="utf-8", newline="") as file:
        return [row["email"] for row in csv.DictReader(file)]


def frame(path: str):  # type: ignore[no-untyped-def]
    import polars

    return polars.read_csv(path, infer_schema=False)


def pydantic(table: str, users: str) -> Iterable[Cell]:
    from typing import Annotated

    from pydantic import StringConstraints, TypeAdapter, ValidationError, create_model

    def kind(name: str) -> object:
        limits = StringConstraints(pattern=WHOLE.get(name), max_length=LONGEST.get(name))
        text = Annotated[str, limits]
        return (text, ...) if name in REQUIRED else (text | None, None)

    fields = {f"c{n}": kind(name) for n, name in enumerate(HEADERS)}
    row_of = TypeAdapter(create_model("Row", **fields)).validator  # type: ignore[call-overload]
    known, seen, keys = set(users_in(users)), Counter[str](), []
    with open(table, encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for number, row in enumerate(reader, 2):
            cells = {f"c{n}": cell for n, cell in enumerate(row) if cell}
            try:
                row_of.validate_python(cells)
            except ValidationError as error:
                for each in error.errors(include_url=False, include_context=False):
                    name = HEADERS[int(str(each["loc"][0])[1:])]
                    yield number, name, each["type"], each["input"]
            if row[12] and row[12] not in known:
                yield number, REFERENCE, "reference", row[12]
            if row[0].startswith("C-"):
                seen[row[0]] += 1
                keys.append((number, row[0]))
    yield from ((number, UNIQUE, "unique", key) for number, key in keys if seen[key] > 1)


def pandera(table: str, users: str) -> Iterable[Cell]:
    import pandera.polars as pa

    def column(name: str):  # type: ignore[no-untyped-def]
        checks = []
        if name in WHOLE:
            checks.append(pa.Check.str_matches(WHOLE[name]))
        if name in LONGEST:
            checks.append(pa.Check.str_length(max_value=LONGEST[name]))
        if name == REFERENCE:
            checks.append(pa.Check.isin(users_in(users)))
        return pa.Column(str, checks, nullable=name not in REQUIRED, unique=name == UNIQUE)

    schema = pa.DataFrameSchema({name: column(name) for name in HEADERS})
    try:
        schema.validate(frame(table), lazy=True)
    except pa.errors.SchemaErrors as error:
        for case in error.failure_cases.iter_rows(named=True):
            # A check is told with its arguments, which may be all the users.
            wrong, _, _ = case["check"].partition("(")
            yield (case["index"] or 0) + 2, case["column"], wrong, case["failure_case"]


def dataframely(table: str, users: str) -> Iterable[Cell]:
    import dataframely as dy
    import polars as pl

    known = pl.Series(users_in(users))

    def column(name: str):  # type: ignore[no-untyped-def]
        return dy.String(
            nullable=name not in REQUIRED,
            regex=WHOLE.get(name),
            max_length=LONGEST.get(name),
            check=(lambda value: value.is_in(known.implode())) if name == REFERENCE else None,
            alias=name,
        )

    def once(cls: object) -> pl.Expr:
        return ~(pl.col(UNIQUE).is_duplicated() & pl.col(UNIQUE).str.starts_with("C-"))

    members: dict[str, object] = {f"c{n}": column(name) for n, name in enumerate(HEADERS)}
    members |= {"number": dy.UInt32(alias="number"), "once": dy.rule()(once)}
    schema = type("Rows", (dy.Schema,), members)
    _, failure = schema.filter(frame(table).with_row_index("number", offset=2))
    details = failure.details()
    rules = [n for n in details.columns if n == "once" or ("|" in n and n[:6] != "number")]
    for rule in rules:
        name = rule.split("|")[0] if "|" in rule else UNIQUE
        bad = details.filter(pl.col(rule).cast(str) == "invalid")
        rows = bad.select("number", name).rows()
        yield from ((number, name, rule, value) for number, value in rows)


def pointblank(table: str, users: str) -> Iterable[Cell]:
    import pointblank as pb
    import polars

    checks = pb.Validate(frame(table))
    steps = []
    for name in HEADERS:
        if name in REQUIRED:
            checks = checks.col_vals_not_null(columns=name)
            steps.append(name)
        if name in WHOLE:
            checks = checks.col_vals_regex(columns=name, pattern=WHOLE[name], na_pass=True)
            steps.append(name)
        if name in LONGEST:
            short = polars.col(name).str.len_chars() <= LONGEST[name]
            checks = checks.col_vals_expr(expr=short | polars.col(name).is_null())
            steps.append(name)
    checks = checks.col_vals_in_set(columns=REFERENCE, set=users_in(users)).rows_distinct(
        columns_subset=[UNIQUE]
    )
    steps += [REFERENCE, UNIQUE]
    extracts = checks.interrogate(extract_limit=100_000_000).get_data_extracts()
    for step, name in enumerate(steps, 1):
        found = extracts[step]
        if found is not None and len(found):
            rows = found.select("_row_num_", name).rows()
            wrong = checks.validation_info[step - 1].assertion_type
            yield from ((number + 1, name, wrong, value) for number, value in rows)


def great_expectations(table: str, users: str) -> Iterable[Cell]:
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas

    rows = pandas.read_csv(table, dtype=str)
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("bench").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows})
    asked = [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in REQUIRED]
    asked += [gxe.ExpectColumnValuesToMatchRegex(column=n, regex=p) for n, p in WHOLE.items()]
    asked.append(gxe.ExpectColumnValuesToBeInSet(column=REFERENCE, value_set=users_in(users)))
    asked.append(gxe.ExpectColumnValuesToBeUnique(column=UNIQUE))
    for name, most in LONGEST.items():
        asked.append(gxe.ExpectColumnValueLengthsToBeBetween(column=name, max_value=most))
    rows["_row"] = range(2, len(rows) + 2)
    everything = {"result_format": "COMPLETE", "unexpected_index_column_names": ["_row"]}
    suite = gx.ExpectationSuite(name="bench", expectations=asked)
    for each in batch.validate(suite, result_format=everything).results:
        name = each.expectation_config.kwargs["column"]
        places = each.result.get("unexpected_index_list") or []
        wrong = each.expectation_config.type
        yield from ((place["_row"], name, wrong, place.get(name)) for place in places)


def frictionless(table: str, users: str) -> Iterable[Cell]:
    from frictionless import Check, Checklist, Resource, Schema, errors, system

    known = set(users_in(users))

    class Known(Check):
        Errors = (errors.CellError,)

        def validate_row(self, row):  # type: ignore[no-untyped-def]
            if row[REFERENCE] and row[REFERENCE] not in known:
                note = "unknown owner"
                yield errors.CellError.from_row(row, note=note, field_name=REFERENCE)

    def field(name: str) -> dict[str, object]:
        limits: dict[str, object] = {"required": name in REQUIRED, "unique": name == UNIQUE}
        limits |= {"pattern": PATTERNS[name]} if name in PATTERNS else {}
        limits |= {"maxLength": LONGEST[name]} if name in LONGEST else {}
        return {"name": name, "type": "string", "constraints": limits}

    system.trusted = True
    schema = Schema.from_descriptor({"fields": [field(name) for name in HEADERS]})
    resource = Resource(path=table, schema=schema)
    report = resource.validate(Checklist(checks=[Known()]), limit_errors=100_000_000)
    yield from map(tuple, report.flatten(["rowNumber", "fieldName", "type", "cell"]))


#: What is loaded before the clock starts, and what the peer leaves to others.
MODULES = {
    "pandera": ("pandera.polars", "holds the whole table in memory"),
    "pydantic": ("pydantic", "reading, row numbers, uniqueness and references are our code around it"),
    "frictionless": ("frictionless", "references are our code inside of it"),
    "great_expectations": ("great_expectations.expectations", "holds the whole table in memory"),
    "dataframely": ("dataframely", "holds the whole table in memory; row numbers and values are our code"),
    "pointblank": ("pointblank", "holds the whole table in memory; values are our code"),
}  # fmt: skip
PEERS = {
    each.__name__: each
    for each in (pandera, pydantic, frictionless, great_expectations, dataframely, pointblank)
}


def spent() -> float:
    """CPU seconds of this process and its children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    # Our own figure leaves the start of Python and its imports out too.
    importlib.import_module(MODULES[sys.argv[1]][0])
    before = spent()
    found = list(PEERS[sys.argv[1]](sys.argv[2], sys.argv[3]))
    with tempfile.TemporaryFile("w", encoding="utf-8", newline="") as cells:
        csv.writer(cells).writerows(found)
    cpu = spent() - before
    distinct = {(row, column) for row, column, *_ in found}
    print(json.dumps({"cpu": cpu, "bad": len(distinct), "listed": len(found)}))
