import pytest

from engine.intake.dialect import detect
from plans.plan import Read

CASES = {
    "comma": ("a,b\n1,2\n3,4\n", ",", '"'),
    "semicolon and decimal comma": ("a;b\n1,5;2\n3,5;4\n", ";", '"'),
    "tab": ("a\tb c\n1\t2 d\n", "\t", '"'),
    "pipe with commas": ("a|b\nx, y|2\nz, q|4\n", "|", '"'),
    "two characters": ("a||b\n1||2\n", "||", '"'),
    "comma and space": ("a, b, c\n1, 2, 3\n4, 5, 6\n", ", ", '"'),
    "single quotes": ("a,b\n'x, y','1'\n'z, q','2'\n", ",", "'"),
    "apostrophes are no quotes": ("a,b\nMen's,2\nKids',4\n", ",", '"'),
    "one column of words": ("title\nred car\nblue car\ngreen car\n", ",", '"'),
    "one column of times": ("at\n10:00\n11:00\n12:00\n", ",", '"'),
    "times in a comma file": ("a,b\n10:00,11:00\n12:00,13:00\n", ",", '"'),
    "padded columns": ("a,   b,    c\n1,  20,  300\n4,   5,    6\n", ",", '"'),
    "character entities": (
        "name,sign\neuro,&#128;\npound,&#163;\nyen,&#165;\ndollar,$\n",
        ",",
        '"',
    ),
    "one column with a comma": ("title\nred car\nblue, old car\ngreen car\n", ";", '"'),
    "single quotes around the same places": (
        "'a';'b'\n'x; y';'1'\n'z; q';'2'\n'z; r';'3'\n",
        ";",
        "'",
    ),
    "wide rows cut short": ("a|b|c|d|e\n1|2|3|4\n1|2|3|4|5\n1|2|3|4\n", "|", '"'),
    "inches at the end of quoted cells": (
        'Acme, Bolt and Co;"pipe 13""";x\nKunz, Oser and Co;"pipe 13""";y\n',
        ";",
        '"',
    ),
    "blanks beside numbers with commas": (
        "day what sum kind to\n6/12 rent 1,000.00 debit Jo\n6/13 fee 1,500.00 debit Mi\n",
        " ",
        '"',
    ),
    "preamble": ("Report; all\nof today\na,b,c\n1,2,3\n4,5,6\n7,8,9\n1,2,3\n", ",", '"'),
    "declared": ("sep=;\na,x;b\n1;2\n", ";", '"'),
    "quoted newlines": ('a,b\n"x\ny",2\n"p\nq",4\n', ",", '"'),
}


@pytest.mark.parametrize(("text", "delimiter", "quote"), CASES.values(), ids=CASES)
def test_the_dialect_is_found(text: str, delimiter: str, quote: str) -> None:
    found = detect(text, Read()).dialect
    assert (found.delimiter, found.quote) == (delimiter, quote)


def test_quotes_are_escaped_as_the_file_does_it() -> None:
    text = 'a|b\n"x \\"y\\" z"|1\n"u \\"v\\" w"|2\n'
    assert detect(text, Read()).dialect.escape == "\\"
    assert detect('a|b\n"C:\\new\\"|1\n"C:\\old\\"|2\n', Read()).dialect.escape == ""


def test_a_close_decision_is_unsure_and_names_the_runner_up() -> None:
    choice = detect("a,b;c,d\n1,2;3,4\n5,6;7,8\n", Read()).choices[0]
    assert choice.confidence < 0.7
    assert {choice.value, choice.others[0][0]} == {",", ";"}


def test_what_the_plan_says_is_not_questioned() -> None:
    found = detect("a,b;c\n1,2;3\n", Read(delimiter=";", quote="", escape="\\"))
    assert (found.dialect.delimiter, found.dialect.quote, found.dialect.escape) == (";", "", "\\")
    assert all(choice.given for choice in found.choices)


def test_a_file_with_every_cell_quoted_is_not_taken_for_lines_quoted_as_a_whole() -> None:
    for delimiter in (";", "\t", "|"):
        row = delimiter.join(f'"{word}"' for word in ("a,b,c", "x", "y"))
        found = detect(f"{row}\n{row}\n{row}\n", Read())
        assert (found.dialect.delimiter, found.wrapped) == (delimiter, False)
