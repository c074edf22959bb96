"""Stored rows on the command line: written now, prepared by a worker, delivered."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import click
import polars
import pytest
from click.testing import CliRunner
from receivers import SECRET, Endpoint, http_endpoint
from serving import Deployment, company, deployment, planned
from stored import fill

from api.cli import root
from engine.errors import ActiveRun, Conflict, NotFound
from engine.ids import Kind, new_id

RUN = new_id(Kind.RUN)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with http_endpoint(lambda batch: (200, {}, {})) as opened:
        yield opened


@pytest.fixture(scope="module")
def there(endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(
        tmp_path_factory.mktemp("data"), poll_seconds=0.05, outbound_http=True,
        outbound_cidrs="127.0.0.0/8", outbound_ports=str(urlsplit(endpoint.url).port),
    ) as running:  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def owner(there: Deployment, tmp_path_factory: pytest.TempPathFactory) -> str:
    client = there.client()
    planned(client)
    made = company(client)
    rows = [{"email": f"{n}@x.io"} for n in range(150)]
    fill(there, made, tmp_path_factory.mktemp("in"), run=RUN, rows=rows)
    return str(made["id"])


@pytest.fixture(autouse=True)
def _here(there: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REKNIT_DATA_DIR", str(there.services.settings.data_dir))


def test_a_suppression_list_of_no_field_is_refused(owner: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("Name,Email,Age\nAnn,ann@x.io,1\n")
    with pytest.raises(click.UsageError, match="no template has a field 'mail'"):
        reknit("runs", "start", owner, str(tmp_path / "in.csv"), "--exclude", "mail=ann@x.io")


def reknit(*arguments: str, given: str | None = None) -> str:
    result = CliRunner().invoke(root, arguments, input=given, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_rows_are_written_now(owner: str, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    told = reknit(
        "companies", "export", owner, "--sheet", "contacts", "--format", "parquet", "--lineage",
        "--as-of", RUN, "--out", str(out),
    )  # fmt: skip
    assert told == f"150 rows in {out}\n"
    assert set(polars.read_parquet(out)["_run"]) == {RUN}
    with pytest.raises(NotFound):
        reknit("companies", "export", owner, "--sheet", "deals", "--out", str(out))


def test_rows_are_prepared_and_fetched(owner: str, tmp_path: Path) -> None:
    with pytest.raises(click.BadParameter, match="where"):
        reknit("exports", "create", owner, "--sheet", "contacts", "--where", '{"op": "="}')
    where = '{"field": "email", "op": "in", "value": ["1@x.io", "2@x.io", "no"]}'
    reknit(
        "companies", "export", owner, "--sheet", "contacts", "--where", where, "--column", "email",
        "--id", "2", "--out", str(tmp_path / "one.csv"),
    )  # fmt: skip
    assert (tmp_path / "one.csv").read_text().split() == ["email", "1@x.io"]
    told = reknit("exports", "create", owner, "--sheet", "contacts", "--wait", "40")
    assert "completed  150/150 rows" in told
    export, out = told.split()[0], tmp_path / "rows.csv"
    assert reknit("exports", "show", export) == told
    reknit("exports", "download", export, "--out", str(out))
    assert len(out.read_text().splitlines()) == 151


def test_rows_are_delivered(owner: str, endpoint: Endpoint) -> None:
    document = {"kind": "http", "url": endpoint.url, "secret": SECRET}
    made = reknit("destinations", "add", "ours", given=json.dumps(document)).strip()
    assert reknit("destinations", "list") == f"{made}  http  ours\n"
    told = reknit("deliveries", "create", owner, "ours", "--run", RUN, "--wait", "40")
    assert "completed  150/150 rows" in told
    assert len(endpoint.rows) == 150
    delivery = told.split()[0]
    assert reknit("deliveries", "show", delivery, "--refused") == told
    for command in ("retry", "cancel"):
        with pytest.raises(Conflict):
            reknit("deliveries", command, delivery)
    reknit("destinations", "remove", "ours")
    with pytest.raises(NotFound):
        reknit("deliveries", "create", owner, "ours")


def test_a_wrong_destination_is_explained_without_its_secret() -> None:
    document = {"kind": "http", "url": "https://x.example", "secret": "hunter2"}
    with pytest.raises(click.BadParameter, match="at least 24 bytes") as told:
        reknit("destinations", "add", "wrong", given=json.dumps(document))
    assert "hunter2" not in str(told.value)


def test_an_import_is_started_with_what_the_api_takes(owner: str, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("Ann;ann@x.io;1\nBob;none;2\n")
    told = reknit(
        "runs", "start", owner, str(tmp_path / "in.csv"), "--map", "name=0", "--map", "email=1",
        "--map", "age=2", "--read", "has_header=false", "--read", "delimiter=;",
        "--max-invalid-rows", "1", "--metadata", "ticket=42", "--dry-run", "--wait", "60",
    )  # fmt: skip
    run = told.split()[0]
    assert "completed        1/2 valid" in told
    shown = json.loads(reknit("runs", "show", run))
    assert (shown["metadata"], shown["options"]["mapping"]["email"]) == ({"ticket": "42"}, 1)
    assert run in reknit("runs", "list", "--plan", shown["plan"])
    evidence = reknit("runs", "evidence", run)
    assert "email: from column 1, given 1.00" in evidence
    assert "nothing left this machine" in evidence
    reknit("runs", "files", run, "contacts/valid.csv", "--out", str(tmp_path / "out"))
    assert (tmp_path / "out/contacts/valid.csv").read_text().splitlines()[1:] == ["Ann,ann@x.io,1"]
    with pytest.raises(NotFound, match="has no file 'nothing'"):
        reknit("runs", "files", run, "nothing")


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (["--map", "mail=0"], click.UsageError, "--map: no template has a field 'mail'"),
        (["--version", "1"], click.UsageError, "--version needs its --plan"),
        (["--plan", "plan_gone"], NotFound, "there is no plan plan_gone"),
        (
            ["--read", "delimiters=;"],
            click.UsageError,
            "--read delimiters: there is no such option",
        ),
    ],
    ids=["map", "version", "plan", "read"],
)
def test_options_of_an_import_that_name_nothing_are_refused(
    owner: str, tmp_path: Path, said: list[str], error: type[Exception], message: str
) -> None:
    (tmp_path / "in.csv").write_text("Name,Email,Age\nAnn,ann@x.io,1\n")
    with pytest.raises(error, match=message):
        reknit("runs", "start", owner, str(tmp_path / "in.csv"), *said)


def test_an_import_waits_for_the_one_before_it_when_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more.csv").write_text("Name,Email,Age\nBob,bob@x.io,4\n")
    with deployment(tmp_path / "data", worker=False) as there:
        monkeypatch.setenv("REKNIT_DATA_DIR", str(there.services.settings.data_dir))
        client = there.client()
        planned(client)
        home = company(client)["id"]
        first = client.post(f"/v1/companies/{home}/imports", json={"csv": "Name,Email\nA,a@x.io\n"})
        start = ("runs", "start", home, str(tmp_path / "more.csv"))
        with pytest.raises(ActiveRun):
            reknit(*start)
        with suppress(SystemExit):
            reknit(*start, "--queue")
        runs = client.get(f"/v1/runs?company={home}").json()["data"]

    assert [each["waits"] for each in runs] == [True, False]
    assert runs[1]["id"] == first.json()["id"]
