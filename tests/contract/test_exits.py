"""Every foreseeable error has a documented exit code."""

import inspect

import engine.errors
import plans.errors
from api.cli import EXITS
from api.cli.exits import EXITS as TABLE
from api.cli.exits import NEEDS_ATTENTION, RUN_FAILED, exit_code


def test_every_error_of_ours_has_an_exit_code():
    kinds = [
        kind
        for module in (plans.errors, engine.errors)
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Exception)
    ]
    assert len(kinds) > 10
    assert [kind for kind in kinds if not any(issubclass(kind, row) for row, _ in TABLE)] == []


def test_help_documents_every_exit_code():
    codes = {code for _, code in TABLE} | {0, NEEDS_ATTENTION, RUN_FAILED}
    told = {int(word) for word in EXITS.split() if word.isdigit()}
    assert codes <= told


def test_an_error_nobody_foresaw_has_none():
    assert exit_code(ValueError("?")) is None
