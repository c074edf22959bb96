"""Exports and deliveries whose worker dies by -9 end once, with every row and one file."""

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

import polars
from receivers import SECRET, Endpoint, http_endpoint
from sheets import bring

from engine.delivery import HttpDestination, seal_destination
from engine.files import open_files
from engine.ids import Kind as Id
from engine.ids import new_id
from engine.model import Company
from engine.pipeline import revise
from engine.secrets import Keys
from engine.settings import Settings, load_secrets
from engine.sheets import location
from engine.shipping import Shipment, planned
from engine.store import batches, companies, destinations, errands, partners, sources
from engine.store.database import open_database
from engine.store.errands import Errand, Kind, Status
from engine.work import Work, prepare

ROWS = 450
#: The errand each of them falls into, and where.
PLACES = (
    (Kind.EXPORT, "errand-claim:after-commit:kill"),
    (Kind.EXPORT, "errand:file-stored:kill"),
    (Kind.EXPORT, "errand-completed:before-commit:kill"),
    (Kind.DELIVERY, "delivery-step:before-commit:kill:3"),
    (Kind.DELIVERY, "delivery-step:after-commit:kill:2"),
)


def test_an_errand_whose_worker_is_killed_ends_once(tmp_path: Path) -> None:
    with http_endpoint(lambda batch: (200, {}, {})) as endpoint:
        settings = allowed(tmp_path, endpoint)
        work = Work(open_database(settings.database), settings, revise=revise)
        prepare(work.engine)
        company = provisioned(work, tmp_path)
        begun = []
        for kind, place in PLACES:
            begun.append(ask(work, company, endpoint, kind))
            assert begin(settings, place).wait(timeout=100) == -9, place
        worker = begin(settings, "")
        done = [ended(work, each) for each in begun]
        worker.terminate()
        assert worker.wait(timeout=60) == 0
        assert {each.status for each in done} == {Status.COMPLETED}
        assert_one_file_each(settings, work, company, done)
        assert_every_row_told_once(work, endpoint, done)
        work.close()
        work.engine.dispose()


def allowed(folder: Path, endpoint: Endpoint) -> Settings:
    return Settings(
        data_dir=folder, dead_seconds=1.0, heartbeat_seconds=0.25, outbound_http=True,
        outbound_cidrs="127.0.0.0/8", outbound_ports=str(urlsplit(endpoint.url).port),
    )  # fmt: skip


def provisioned(work: Work, folder: Path) -> Company:
    with work.engine.begin() as c:
        partner = partners.add(c, "Acme").id
        source = sources.add(c, partner, name="crm").id
        company = companies.add(c, partner, name="A", source=source, templates=["contacts"])
    place = location(work.settings, partner, company.id, sheet=company.sheets[0].id)
    incoming = folder / "in"
    incoming.mkdir()
    bring(place, incoming, new_id(Id.RUN), [{"email": f"{n}@x.io"} for n in range(ROWS)])
    return company


def ask(work: Work, company: Company, endpoint: Endpoint, kind: Kind) -> Errand:
    with work.engine.begin() as c:
        to, request = None, {"sheet": "contacts", "format": "parquet"}
        if kind is Kind.DELIVERY:
            to = destination(c, work, company, endpoint)
            request = planned(work.settings, company, Shipment(destination=to))
        made = errands.add(
            c, company.partner, company=company.id, kind=kind, title="A", request=request,
            destination=to, actor="test",
        )  # fmt: skip
        work.send(c, made)
    return made


def destination(c, work: Work, company: Company, endpoint: Endpoint) -> str:
    made = new_id(Id.DESTINATION)
    document = HttpDestination(url=endpoint.url, secret=SECRET)
    keys = Keys.from_ring(load_secrets(work.settings).every("seal"))
    sealed = seal_destination(document, keys=keys, owner=made)
    destinations.add(c, company.partner, destination=made, name=made, shown={}, sealed=sealed)
    return made


def begin(settings: Settings, failpoint: str) -> subprocess.Popen[bytes]:
    given = {
        f"REKNIT_{name.upper()}": str(getattr(settings, name)) for name in settings.model_fields_set
    }
    with (settings.data_dir / "log").open("ab") as log:
        return subprocess.Popen(
            [Path(sys.executable).with_name("reknit"), "worker"],
            env=os.environ | given | {"FAILPOINT": failpoint}, stdout=log, stderr=log,
        )  # fmt: skip


def ended(work: Work, errand: Errand) -> Errand:
    deadline = monotonic() + 100
    while monotonic() < deadline:
        with work.engine.begin() as c:
            there = errands.get(c, errand.partner, errand.id)
        if not there.open:
            return there
        sleep(0.2)
    raise AssertionError(f"{there} did not end")


def assert_one_file_each(
    settings: Settings, work: Work, company: Company, done: list[Errand]
) -> None:
    files = open_files(settings)
    for each in done:
        if each.kind is Kind.EXPORT:
            assert each.file is not None
            path = files.local(each.file.key)
            assert path is not None
            assert len(polars.read_parquet(path)) == each.file.records == ROWS
            assert list(path.parent.iterdir()) == [path]


def assert_every_row_told_once(work: Work, endpoint: Endpoint, done: list[Errand]) -> None:
    # What is sent again after a crash comes under the same id, so that a receiver can tell.
    assert len(set(endpoint.ids)) < len(endpoint.ids)
    for each in done:
        if each.kind is Kind.DELIVERY:
            with work.engine.begin() as c:
                told, _ = batches.results(c, each.partner, each.id, limit=10_000)
            assert [one.row for one in told] == list(range(1, ROWS + 1))
            sent = [b for b in endpoint.batches if b["delivery_id"] == each.id]
            assert {row["id"] for b in sent for row in b["rows"]} == set(range(1, ROWS + 1))
