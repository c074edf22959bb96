"""Plans and templates as text: what is read, what is refused, and where."""

import pickle
from textwrap import dedent

import pytest

from plans.document import MAX_TEXT, dump, load
from plans.errors import PlanInvalid, Problem
from plans.plan import Column, Plan
from plans.template import FieldType, Template
from plans.transforms import Split, Trim, ValueMap

SMALL = """
    plan: shop
    source: Shop
    sheets:
      - template: customers
        files: "*customers*.csv"
        columns:
          - field: name
            from: Name
            transforms: [trim, {op: split, separator: ",", part: 0}]
          - field: id
            from: 0
          - field: country
            from: {header: Land, aliases: [Country]}
            transforms:
              - op: value_map
                values: {NO: Norway, 01: one, true: yes}
"""


def plan(text: str) -> Plan:
    return load(Plan, dedent(text), name="plan.yaml")


def problems(kind: type[Plan] | type[Template], text: str) -> list[str]:
    with pytest.raises(PlanInvalid) as refused:
        load(kind, dedent(text), name="x.yaml")
    return [str(each) for each in refused.value.problems]


def test_short_forms_become_full_ones():
    sheet = plan(SMALL).sheet("customers")

    assert sheet.files.names == ("*customers*.csv",)
    assert sheet.mappings[0].columns == (Column(header="Name"),)
    assert sheet.mappings[0].transforms == (Trim(), Split(separator=",", part=0))
    assert sheet.mappings[1].columns == (Column(position=0),)
    assert sheet.mappings[2].columns[0].names == ("Land", "Country")


def test_no_is_a_country_and_keys_stay_as_written():
    mapping = plan(SMALL).sheet("customers").mapping("country")

    assert mapping.transforms == (ValueMap(values={"NO": "Norway", "01": "one", "true": "yes"}),)


def test_a_dumped_document_loads_as_itself():
    document = plan(SMALL)

    assert load(Plan, dump(document), name="again") == document


def test_json_is_read_too_with_tabs_and_escaped_pairs():
    text = '{\n\t"template": "t",\n\t"fields": [{"name": "a", "title": "\\ud83d\\ude00"}]\n}'

    assert load(Template, text, name="t.json").field("a").title == "\U0001f600"


def test_every_problem_says_path_line_and_what_to_do():
    told = problems(
        Plan,
        """\
        plan: shop
        sheets:
          - template: customers
            columns:
              - field: Name
                from: Name
              - field: amount
                from: Amount
                transforms:
                  - {op: number, decimal: ",", thousands: ","}
                  - {op: date, formats: ["%Q"]}
                  - {op: default, value: 3}
              - field: note
            extra: 1
        """,
    )

    at = "sheets[0].columns"
    assert told[0].startswith(f"line 5, {at}[0].field: ")
    assert told[1] == f"line 10, {at}[1].transforms[0]: decimal and thousands marks must differ"
    assert told[2].startswith(f"line 11, {at}[1].transforms[1].formats[0]: '%Q' is not a date")
    assert told[3] == (f"line 12, {at}[1].transforms[2].value: should be text; put it in quotes")
    assert told[4].startswith(f"line 13, {at}[2]: needs `from` columns")
    assert told[5] == "line 14, sheets[0].extra: is not known here; misspelt?"
    assert len(told) == 6


def test_a_word_nobody_knows_is_told_with_the_one_that_was_meant():
    told = problems(
        Plan,
        """
        plan: shop
        sheets:
          - template: customers
            extra_columns: kepe
            columns:
              - {field: a, from: A, transforms: [emial, {op: case, to: 7}, {to: lower}, 7]}
              - a
        """,
    )
    place = "line 7, sheets[0].columns[0].transforms"
    assert [each for each in told if "transforms" in each] == [
        f"{place}[0]: 'emial' is not known here; did you mean 'email'?",
        f"{place}[1].to: '7' is not known here; it can be 'lower', 'upper' or 'title'",
        f"{place}[2]: does not say what it is (by op, rule or change)",
        f"{place}[3]: should be names with values (name: value)",
    ]
    assert "'kepe' is not known here; did you mean 'keep'?" in "".join(told)
    assert problems(Plan, "[]") == ["line 1, document: should be names with values (name: value)"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "document: the document is empty"),
        ("a: [1", "line 1, document: "),
        ("plan: a\nb: 1\nplan: c", "line 3, document: the key 'plan' stands here twice"),
        ("? [1]\n: 2", "line 1, document: a key must be text"),
        ("a: &a [*a]", "document: more than 200000 values once its aliases are followed"),
        ("[" * 3000, "document: nested too deeply"),
        ("just words", "line 1, document: "),
        ("#" * (MAX_TEXT + 1), f"document: longer than {MAX_TEXT} characters"),
    ],
)
def test_text_that_is_no_document_is_refused(text, told):
    assert problems(Plan, text)[0].startswith(told)


def test_an_alias_bomb_is_refused_before_it_is_expanded():
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)
    ]

    assert "aliases" in problems(Plan, "\n".join(lines))[0]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("{name: a, type: enum}", "`values` belongs to type enum, and an enum needs it"),
        ("{name: a, values: [x]}", "`values` belongs to type enum, and an enum needs it"),
        ("{name: a, type: reference}", "`references` belongs to type reference"),
        ("{name: a, on_invalid: default}", "on_invalid: default needs a `default`"),
        ("{name: a, required: true, on_invalid: empty}", "a required field cannot have"),
        ("{name: a, min: 1}", "type string has no `min` or `max`"),
        ("{name: a, type: date, min: 2020-13-01}", "'2020-13-01' is no limit for type date"),
        ("{name: a, pattern: '(?=x)'}", "not a pattern of RE2: invalid perl operator: (?="),
        ("{name: a, type: enum, values: [x], default: y}", "the default 'y' is not one of"),
        ("{name: A}", "String should match pattern"),
    ],
)
def test_a_contradictory_field_is_refused(field, told):
    message = problems(Template, f"template: t\nfields: [{field}]")[0]

    assert message.startswith("line 2, fields[0]")
    assert told in message


def test_limits_are_kept_digit_by_digit():
    text = "template: t\nfields: [{name: a, type: decimal, min: 0, max: '10.50'}]"
    field = load(Template, text, name="t").field("a")

    assert (field.type, field.min, field.max) == (FieldType.DECIMAL, "0", "10.50")


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("fields: [{name: a}, {name: a}]", "field named twice: a"),
        ("fields: [{name: a}]\nidentity: [b]", "identity or rule names unknown field: b"),
        ("fields: [{name: a}]\nrules: [{rule: compare, left: a, op: '<'}]", "compare needs either"),
        ("fields: [{name: a}]\nrules: [{rule: require_any, fields: [a, z]}]", "unknown field: z"),
    ],
)
def test_a_template_that_contradicts_itself_is_refused(rest, told):
    assert told in problems(Template, f"template: t\n{rest}")[0]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("[{field: a, from: [x, y]}]", "several columns need join, concat, coalesce or subtract"),
        ("[{field: a, from: x, transforms: [join, coalesce]}]", "only one combining transform"),
        ("[{field: a, from: x}, {field: a, from: y}]", "field mapped twice: a"),
        ("[{field: a, from: {aliases: [x]}}]", "a column needs a `header` or a `position`"),
        (
            "[{field: a, from: x, transforms: [{op: boolean, true: [no]}]}]",
            "means both yes and no: no",
        ),
        (
            "[{field: a, from: x, transforms: [{op: regex_extract, pattern: x, group: 1}]}]",
            "the pattern has no group 1",
        ),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(columns, told):
    assert told in problems(Plan, f"plan: p\nsheets: [{{template: t, columns: {columns}}}]")[0]


def test_two_sheets_of_one_template_need_names_of_their_own():
    two = "plan: p\nsheets: [{template: t, columns: []}, {template: t, name: %s}]"

    assert "sheet named twice: t" in problems(Plan, two % "t")[0]
    assert [each.name for each in plan(two % "other").sheets] == ["t", "other"]


def test_problems_without_a_line_still_name_the_document():
    assert str(Problem(path="", message="wrong")) == "document: wrong"


def test_a_plan_is_written_as_a_person_would():
    assert "name: customers" not in dump(plan(SMALL))
    assert "        from: Name\n        transforms:\n          - trim\n" in dump(plan(SMALL))
    assert "        from: 0\n" in dump(plan(SMALL))


def test_an_invalid_document_survives_the_way_between_processes() -> None:
    error = PlanInvalid("p.yaml", (Problem(path="sheets", message="missing", line=3),))
    again = pickle.loads(pickle.dumps(error))
    assert (again.name, again.problems, str(again)) == (error.name, error.problems, str(error))
