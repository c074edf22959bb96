"""The engine's README names every setting, dependency and run state there is."""

import re
import tomllib
from pathlib import Path

from engine.model import RunStatus
from engine.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "engine" / "README.md").read_text("utf-8")


def test_every_setting_is_documented():
    told = set(re.findall(r"`REKNIT_([A-Z0-9_]+)`", TEXT))
    assert told == {name.upper() for name in Settings.model_fields}


def test_every_dependency_says_why_it_is_there():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.match(r"[A-Za-z0-9-]+", each)[0] for each in project["dependencies"]}
    why = TEXT[TEXT.index("## Why each dependency") :]
    assert {name for name in names if name not in why} == set()


def test_every_state_of_a_run_is_in_the_diagram():
    diagram = TEXT[TEXT.index("## A run's states") : TEXT.index("## Decisions")]
    assert {status for status in RunStatus if status.value not in diagram} == set()
