"""The egress ledger in a terminal."""

import pytest

from api.cli.evidence import _bindings, _tried, ledger
from engine.mapping.converse import _address

SENT = {
    "model": "openai/m", "prompt": "system\nDATA-1\n{}\nDATA-1", "digest": "ab" * 32,
    "status": "answered", "prompt_tokens": 1200, "output_tokens": 30, "cost": 0.0021,
}  # fmt: skip
REFUSED = {**SENT, "prompt": "", "digest": "", "status": "not sent: the run's budget", "cost": None}


def test_the_ledger_shows_what_left_and_what_did_not(capsys: pytest.CaptureFixture[str]) -> None:
    ledger({"status": "answered", "exchanges": [SENT, REFUSED]})
    shown = capsys.readouterr().out
    assert "1. openai/m: answered, 1,200 + 30 tokens, cost 0.002100 USD" in shown
    assert "| DATA-1" in shown
    assert "2. openai/m: not sent: the run's budget" in shown
    assert shown.count("SHA-256") == 1


def test_the_ledger_says_where_it_went_and_what_came_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {"to": "http://10.0.0.5:8000", "answer": '{"matches": []}', "prompt": "x" * 200}
    ledger({"status": "answered", "exchanges": [SENT | told]})
    shown = capsys.readouterr().out
    assert "1. openai/m at http://10.0.0.5:8000: answered" in shown
    assert all(line.startswith("     | ") for line in shown.splitlines() if "xx" in line)
    assert '> {"matches": []}' in shown


def test_an_address_is_told_without_its_path_and_user() -> None:
    assert _address("https://user:secret@llm.example.org:8443/v1/secret") == (
        "https://llm.example.org:8443"
    )
    assert _address("") == ""


def test_no_call_is_told_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    ledger({"status": "off", "exchanges": []})
    assert "nothing left this machine" in capsys.readouterr().out


def test_a_column_is_told_by_its_header_and_an_effect_without_what_it_did_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bound = {"field": "name", "columns": [1, 0], "by": "exact", "score": 1.0, "evidence": "split"}
    _bindings([{"table": 0, "sheet": "s", "bounds": [bound], "missing": []}], [["Last", "First"]])
    assert "name: from 'First' + 'Last', exact 1.00" in capsys.readouterr().out
    assert _tried({"fixed": 60, "broken": 0, "changed": 2}) == "60 fixed, 2 changed"
    assert _tried(None) == "not tried"
