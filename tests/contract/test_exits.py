"""Every foreseeable error has a documented exit code."""

import inspect
import socket
from pathlib import Path

import pytest

import engine.errors
import plans.errors
from api.cli import EXITS, main
from api.cli.exits import EXITS as TABLE
from api.cli.exits import NEEDS_ATTENTION, RUN_FAILED, exit_code
from api.server import serve
from engine.errors import EngineError
from engine.settings import Settings, SettingsInvalid
from engine.store.database import open_database
from engine.store.migrate import migrate, pending

ROOT = Path(__file__).parents[2]
DAY1, PLAN = "fixtures/crm_contacts/day1.csv", "fixtures/crm_contacts/plan.yaml"


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


@pytest.mark.parametrize(
    ("words", "environment", "code", "told"),
    [
        (("run", DAY1, "--plan", PLAN, "--out", "{tmp}/file"), {}, 2, "is a file"),
        (("run", DAY1, "--plan", PLAN, "--out", "{tmp}/no", "--map", "nme=1"), {}, 3, "'nme'"),
        (("run", DAY1, "--plan", PLAN, "--auto-approve", "4"), {}, 2, "0.5<=x<=1"),
        (("plan", "validate", "{tmp}/latin.yaml"), {}, 2, "UTF-8"),
        (("plan", "infer", DAY1, "--out", "{tmp}/a/b"), {}, 6, "there is no folder {tmp}/a"),
        (("partners", "list"), {"REKNIT_DATA_DIR": "{tmp}/file"}, 1, "{tmp}/file"),
        (("partners", "list"), {"REKNIT_DATABASE_URL": "mysql://h/d"}, 2, "postgresql://"),
        (
            ("partners", "list"),
            {"REKNIT_DATABASE_URL": "sqlite:///{tmp}/file"},
            1,
            "not a database",
        ),
        (("worker",), {"REKNIT_DATABSE_URL": "x"}, 2, "did you mean REKNIT_DATABASE_URL?"),
        (("serve",), {"REKNIT_OUTBOUND_CIDRS": "x"}, 2, "REKNIT_OUTBOUND_CIDRS"),
        (("serve",), {"REKNIT_LOG_LEVEL": "loud"}, 2, "'DEBUG'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
def test_a_wrong_call_is_one_message_that_names_the_place(
    tmp_path, monkeypatch, capfd, words, environment, code, told
):
    (tmp_path / "file").write_text("no folder, and nothing a database would hold")
    (tmp_path / "latin.yaml").write_bytes("plan: Prüfung".encode("latin-1"))
    for name, value in {"REKNIT_DATA_DIR": "{tmp}/data", **environment}.items():
        monkeypatch.setenv(name, value.format(tmp=tmp_path))
    monkeypatch.setattr("sys.argv", ["reknit", *(each.format(tmp=tmp_path) for each in words)])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main()
    assert told.format(tmp=tmp_path) in capfd.readouterr().err
    assert ended.value.code == code


@pytest.mark.parametrize("option", ["--port", "REKNIT_METRICS_PORT"])
def test_a_port_that_is_taken_is_named_with_its_option(tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mine, figures = (port, 0) if option == "--port" else (0, port)
        settings = Settings(data_dir=tmp_path, metrics_port=figures)
        with pytest.raises(SettingsInvalid, match=rf"127\.0\.0\.1:{port}.*{option}"):
            serve(settings, host="127.0.0.1", port=mine, worker=False)
    assert not any(tmp_path.iterdir())


def test_a_database_of_a_later_version_is_left_alone(tmp_path):
    database = open_database(f"sqlite:///{tmp_path}/later.db")
    with database.begin() as c:
        c.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        c.exec_driver_sql("INSERT INTO alembic_version VALUES ('9999')")
    for act in (pending, migrate):
        with pytest.raises(EngineError, match=r"9999.*newer version"):
            act(database)
    database.dispose()
