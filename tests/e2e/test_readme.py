"""The README is true: its commands run, its transcript is what they print, its tables are whole."""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import pytest
from ports import free_port

from api.cli import EXITS
from engine.compiler.program import CellCode
from engine.drift import DriftCode
from engine.errors import SourceCode
from plans import library
from plans.document import load
from plans.plan import Plan
from plans.template import FieldType
from plans.transforms import Transform
from plans.versions import first_version

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
#: Far more than it takes; a slow machine is not a bug.
SECONDS = 420
CHAPTERS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))


def blocks(chapter: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", CHAPTERS[chapter], re.DOTALL)


def shell(commands: str, folder: Path) -> tuple[int, str]:
    """The exit code and everything that was printed; whatever was started is gone afterwards."""
    (folder / "fixtures").symlink_to(ROOT / "fixtures")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (folder / "printed").open("w+") as out:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=folder,
            env={
                "PATH": path,
                "COLUMNS": "200",
                "HOME": str(folder),
                "REKNIT_MIN_FREE_BYTES": "0",
                "REKNIT_METRICS_PORT": str(free_port()),
            },
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        return process.returncode, out.read()


@pytest.mark.timeout(SECONDS + 30)
def test_the_five_minutes_run_and_print_what_the_readme_shows(tmp_path):
    code, printed = shell("\n".join(blocks("Five minutes", "sh")), tmp_path)

    assert code == 0, printed
    shown = [line.strip() for text in blocks("Five minutes", "text") for line in text.splitlines()]
    assert [line for line in shown if line not in printed] == []


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not on this machine")
@pytest.mark.timeout(SECONDS + 30)
def test_the_api_session_ends_with_the_valid_rows(tmp_path):
    (commands,) = blocks("The API in curl", "sh")
    code, printed = shell(commands.replace("8000", str(free_port())), tmp_path)

    assert code == 0, printed
    assert "needs_attention" in printed
    assert "external_id,first_name,last_name" in printed


def test_the_plan_is_one():
    (text,) = blocks("A plan", "yaml")

    assert first_version(load(Plan, text, name="README"), ()).number == 1


def test_the_numbers_of_the_language_are_right():
    assert f"vocabulary of {len(Transform.__origin__.__args__)} transforms" in TEXT
    assert f"{len(FieldType)} field types" in TEXT


@pytest.mark.parametrize("codes", [CellCode, DriftCode, SourceCode])
def test_every_code_has_its_row(codes: type[StrEnum]):
    assert [each for each in codes if f"| `{each}` |" not in CHAPTERS["Codes"]] == []


def test_every_exit_code_has_its_row():
    codes = re.findall(r"(?:^|\s)(\d+)  ", EXITS)

    assert [code for code in codes if f"| {code} |" not in CHAPTERS["Exit codes"]] == []


def test_the_make_targets_exist():
    targets = re.findall(r"^make (\w+)", TEXT, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert [each for each in targets if f"\n{each}:" not in makefile] == []


def test_the_plans_that_ship_are_as_many_as_it_names():
    named = ("HubSpot", "Salesforce", "Pipedrive", "Outlook", "Google", "Stripe", "bank")

    assert len(library.plans()) == len(named)
    assert all(each in CHAPTERS["Five minutes"] for each in named)


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)", TEXT)

    assert [each for each in links if not (ROOT / each).exists()] == []
