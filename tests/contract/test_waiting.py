"""Whoever waits for a run is woken when it moved; the store is asked once for all of them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from serving import Deployment, company, deployment, planned, post

from api.waiting import held
from engine.model import Run, RunStatus
from engine.store import runs

WAITERS = 20


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with deployment(tmp_path_factory.mktemp("data"), worker=False) as running:
        yield running


def queued(there: Deployment) -> tuple[httpx.Client, Run]:
    """A run nobody works on."""
    partner = there.partner()
    client = there.client(there.key(partner))
    planned(client)
    csv = {"csv": "Name,Email,Age\nAnn,ann@x.example,1\n"}
    made = post(client, f"/v1/companies/{company(client)['id']}/imports", csv)
    with there.services.database.begin() as c:
        return client, runs.get(c, partner, made["id"])


def test_many_waiters_look_only_when_their_run_moved(there: Deployment) -> None:
    client, run = queued(there)
    here, looked = there.services, threading.Semaphore(0)
    looks: list[int] = []

    def look() -> Run:
        looks.append(1)
        looked.release()
        with here.database.begin() as c:
            return runs.get(c, run.partner, run.id)

    def wait() -> tuple[Run, bool]:
        # Longer than the results below are waited for: who is not woken comes too late.
        return held(here, run.id, look, over=lambda each: each.ended, seconds=200)

    with ThreadPoolExecutor(WAITERS) as threads:
        waiting = [threads.submit(wait) for _ in range(WAITERS)]
        for _ in range(2 * WAITERS):
            assert looked.acquire(timeout=30)
        post(client, f"/v1/runs/{run.id}/cancel")
        ends = [each.result(60) for each in waiting]
    assert {(there.status, applied) for there, applied in ends} == {(RunStatus.CANCELED, True)}
    assert len(looks) <= 5 * WAITERS


def test_nobody_is_watched_when_nobody_waits(there: Deployment) -> None:
    _, run = queued(there)
    watch, woken = there.services.watch, threading.Event()
    with watch.waking(run.id, woken.set):
        assert woken.wait(30)
        watching = watch._thread
        assert watching is not None
    watching.join(30)
    assert not watching.is_alive()


def test_a_run_that_is_gone_wakes_whoever_waits_for_it(there: Deployment) -> None:
    woken = threading.Event()
    with there.services.watch.waking("run_gone", woken.set):
        assert woken.wait(30)
