"""The packages import each other only downwards, and the outside world only where agreed."""

from pathlib import Path

from importlinter import cli

ROOT = Path(__file__).parents[2]


def test_the_import_contracts_hold(monkeypatch):
    monkeypatch.chdir(ROOT)

    assert cli.lint_imports(no_cache=True) == cli.EXIT_STATUS_SUCCESS
