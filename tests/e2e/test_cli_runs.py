"""The command line without a server: run, check, decide, and what lies in the folder afterwards."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PLAN = """
reknit: 1
plan: people
templates:
  - template: people
    fields:
      - {name: email, type: email, required: true}
      - {name: joined, type: date}
      - {name: status, type: enum, values: [active, closed]}
    identity: [email]
sheets:
  - template: people
    columns:
      - {field: email, from: Email, transforms: [trim, {op: case, to: lower}]}
      - {field: joined, from: Joined, transforms: [{op: date, formats: ["%d.%m.%Y"]}]}
      - {field: status, from: Status, transforms: [{op: case, to: lower}]}
"""
GOOD = "Email,Joined,Status\nA@example.com,31.01.2024,Active\nb@example.com,01.02.2024,closed\n"
UNKNOWN = "Email,Joined,Status\na@example.com,31.01.2024,active\nb@example.com,01.02.2024,paused\n"


def reknit(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from api.cli import main; main()", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "plan.yaml").write_text(PLAN)
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "unknown.csv").write_text(UNKNOWN)
    return tmp_path


def test_a_file_that_fits_is_imported_and_its_valid_rows_lie_in_the_folder(folder):
    done = reknit("run", "good.csv", "--plan", "plan.yaml", "--out", "out", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "completed"
    text = (folder / "out/results/people/valid.csv").read_text()
    rows = list(csv.reader(text.splitlines()))
    assert rows == [
        ["email", "joined", "status"],
        ["a@example.com", "2024-01-31", "active"],
        ["b@example.com", "2024-02-01", "closed"],
    ]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "reknit: interrupted"), (signal.SIGTERM, 143, "")],
)
def test_an_interrupted_run_leaves_nothing_and_says_so(folder, number, code, said):
    os.mkfifo(folder / "endless.csv")
    command = [sys.executable, "-c", "from api.cli import main; main()"]
    words = ["run", "endless.csv", "--plan", "plan.yaml", "--out", "out"]
    with subprocess.Popen(
        [*command, *words], cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        end = time.monotonic() + 30
        while not (folder / "out").exists() and time.monotonic() < end:
            time.sleep(0.05)
        os.killpg(process.pid, number)
        told = process.communicate(timeout=60)[1]
    assert (process.returncode, told.strip()) == (code, said)
    assert not (folder / "out").exists()


def test_rows_that_were_skipped_are_told_with_the_reason(folder):
    (folder / "gaps.csv").write_text(GOOD.replace("b@", ",,\n,,\nb@"))
    done = reknit("run", "gaps.csv", "--plan", "plan.yaml", "--out", "out", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "blank_rows_skipped: gaps.csv: blank rows (2), first in row 3" in done.stdout


def test_an_unknown_value_waits_for_a_decision_and_nothing_is_written(folder):
    done = reknit("run", "unknown.csv", "--plan", "plan.yaml", "--out", "out", "--json", cwd=folder)
    assert done.returncode == 10, done.stderr
    (question,) = json.loads(done.stdout)["proposal"]["questions"]
    assert question["target"]["samples"] == ["paused"]
    assert not list(folder.glob("out/results/people/valid.*"))


def test_taking_the_valid_rows_ends_the_waiting_run(folder):
    reknit("run", "unknown.csv", "--plan", "plan.yaml", "--out", "out", cwd=folder)
    done = reknit("decide", "out", "--take-valid", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert len((folder / "out/results/people/valid.csv").read_text().splitlines()) == 2
    assert not list(folder.glob("out/staging-*"))
    rejected = list(
        csv.DictReader((folder / "out/results/people/rejected-rows.csv").read_text().splitlines())
    )
    assert rejected[0]["Email"] == "b@example.com"
    assert rejected[0]["reknit_row"] == "3"


def test_rejecting_the_proposal_fails_the_run_and_a_second_decision_is_refused(folder):
    reknit("run", "unknown.csv", "--plan", "plan.yaml", "--out", "out", cwd=folder)
    assert reknit("decide", "out", "--reject", cwd=folder).returncode == 11
    again = reknit("decide", "out", "--accept", cwd=folder)
    assert again.returncode == 3
    assert "nothing waits for a decision" in again.stderr


def test_accepting_the_proposal_ends_the_run(folder):
    reknit("run", "unknown.csv", "--plan", "plan.yaml", "--out", "out", cwd=folder)
    done = reknit("decide", "out", "--accept", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["accounting"] == {
        "read": 2, "valid": 1, "invalid": 1, "duplicate": 0, "skipped": 0,
    }  # fmt: skip


def test_check_says_how_columns_are_bound_and_writes_nothing(folder):
    before = sorted(folder.iterdir())
    done = reknit("check", "good.csv", "--plan", "plan.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "Joined" in done.stdout
    assert "exact" in done.stdout
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("run", "good.csv", "--plan", "nowhere.yaml"), 6, "nowhere"),
        (("run", "empty.csv", "--plan", "plan.yaml"), 4, "empty.csv"),
        (("run", "good.csv", "--plan", "broken.yaml"), 2, "line 2"),
        (("run", "gone.csv", "--plan", "plan.yaml"), 2, "gone.csv"),
        (("decide", "good-run", "--accept"), 2, "good-run"),
    ],
)
def test_bad_input_ends_with_a_documented_code_and_leaves_nothing(folder, args, code, message):
    (folder / "empty.csv").write_text("")
    (folder / "broken.yaml").write_text("reknit: 1\nplan: [x]\nsheets: []\n")
    done = reknit(*args, cwd=folder)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "reknit-run").exists()
