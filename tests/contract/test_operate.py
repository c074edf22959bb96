import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import root
from engine.errors import Conflict, NotFound

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reknit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Command":
    monkeypatch.setenv("REKNIT_DATA_DIR", str(tmp_path))
    return Command()


class Command:
    """`reknit …` in this process."""

    def __call__(self, *arguments: str) -> str:
        result = self.result(*arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    def result(self, *arguments: str) -> Result:
        return CliRunner().invoke(root, arguments, standalone_mode=False)


def test_a_deployment_is_set_up_from_nothing(reknit: Command) -> None:
    assert "revision" in reknit("migrate")
    partner = reknit("partners", "add", "Acme").strip()
    text = reknit("keys", "mint", "ci", "--scope", "companies:read").strip()
    assert re.fullmatch(r"rk_live_[0-9A-Za-z]{39}", text)
    listed = reknit("keys", "list")
    assert text not in listed
    assert text[:12] in listed
    company = reknit("companies", "add", "B", "--source", "crm", "--template", "contacts").strip()
    assert company in reknit("companies", "list", "--partner", partner)
    assert "whole" in reknit("partners", "verify-audit")


def test_a_key_is_revoked_and_a_company_erased(reknit: Command) -> None:
    reknit("partners", "add", "Acme")
    reknit("keys", "mint", "ci")
    key = reknit("keys", "list").split()[0]
    reknit("keys", "revoke", key)
    assert "dead" in reknit("keys", "list")
    company = reknit("companies", "add", "B", "--source", "crm", "--template", "contacts").strip()
    reknit("companies", "erase", company, "--yes")
    assert reknit("companies", "list") == ""


def test_the_doctor_says_what_is_wrong(reknit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = reknit.result("doctor").output
    assert "FAIL database: not at this version; run `reknit migrate`" in fresh
    assert "FAIL workers: nobody knows" in fresh
    reknit("migrate")
    healthy = reknit("doctor")
    assert re.findall(r"ok   (\w+)", healthy) == [
        "versions", "secrets", "database", "workers", "files", "disk", "confinement",
    ]  # fmt: skip
    monkeypatch.setattr("engine.confine.landlock", lambda: -1)
    monkeypatch.setenv("REKNIT_MIN_FREE_BYTES", str(1 << 60))
    monkeypatch.setenv("REKNIT_DATABASE_URL", "sqlite:////proc/no/such.db")
    result = reknit.result("doctor")
    assert isinstance(result.exception, SystemExit)
    assert re.findall(r"FAIL (\w+)", result.output) == [
        "database", "workers", "disk", "confinement",
    ]  # fmt: skip


def test_a_wrong_setting_is_named(reknit: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKNIT_DATABSE_URL", "sqlite://")
    assert "REKNIT_DATABSE_URL" in str(reknit.result("doctor").exception)


def test_several_partners_must_be_told_apart(reknit: Command) -> None:
    with pytest.raises(NotFound, match="partners add"):
        reknit("runs", "list")
    for name in ("A", "B"):
        reknit("partners", "add", name)
    assert "--partner" in str(reknit.result("runs", "list").exception)
    assert reknit("runs", "list", "--partner", "B") == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "show", "run_x"),
        ("runs", "cancel", "run_x"),
        ("plans", "publish", "plan_x", "--version", "1"),
        ("plans", "rollback", "plan_x"),
        ("keys", "revoke", "key_x"),
    ],
)
def test_what_is_not_there_is_not_found(reknit: Command, arguments: tuple[str, ...]) -> None:
    reknit("partners", "add", "A")
    with pytest.raises(NotFound):
        reknit(*arguments)


def test_a_run_that_waits_for_nothing_cannot_be_decided(reknit: Command) -> None:
    reknit("partners", "add", "A")
    with pytest.raises(Conflict, match="no decision"):
        reknit("runs", "approve", "run_x")


def test_a_plan_is_stored_published_and_revised_from_a_file(reknit: Command) -> None:
    reknit("partners", "add", "A")
    plan = str(ROOT / "fixtures/crm_contacts/plan.yaml")
    assert "version 1  published" in reknit("plans", "add", plan, "--source", "crm", "--publish")
    company = reknit("companies", "add", "B", "--source", "crm").strip()
    assert company in reknit("companies", "list")
    assert "version 2" in reknit("plans", "add", plan, "--source", "crm")
    assert "published 1, latest 2" in reknit("plans", "list")
    assert "no plan yet" in str(reknit.result("companies", "add", "C", "--source", "x").exception)


def test_wrong_words_about_runs_are_refused_by_name(reknit: Command) -> None:
    reknit("partners", "add", "A")
    assert "'ended' is not one of" in str(
        reknit.result("runs", "list", "--status", "ended").exception
    )
    told = reknit.result("runs", "approve", "run_x", "--answer", "status").exception
    assert "NAME=VALUE" in str(told)
    with pytest.raises(NotFound):
        reknit("runs", "review", "run_x")
