"""Durable runs on DBOS: a turn is one short workflow, and no workflow ever waits for a person.

DBOS keeps the queue and finds out which turns a dead process left behind. That a turn counts once
is not its business but that of the guarded updates in engine.store.runs.
"""

import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from time import monotonic, sleep
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer

from engine import courier, decisions, failpoints, landing, retention
from engine.courier import Courier, go
from engine.desk import Desk, Stop, scratch_root
from engine.endings import abandoned
from engine.errors import Conflict, NotUndoable, gist
from engine.files import Files
from engine.ids import utcnow
from engine.model import ENDED, Run, RunKind, RunStatus, UploadStatus, Width
from engine.outbound import outbound
from engine.phase import Advance, Context
from engine.policy import Policy
from engine.proposal import Decision
from engine.secrets import Keys
from engine.settings import Settings, load_secrets
from engine.store import companies, errands, executors, line, plans, runs, uploads
from engine.store.database import is_busy, transaction
from engine.store.errands import Errand
from engine.store.migrate import migrate
from engine.turns import take_turn

log = logging.getLogger(__name__)

NAME, QUEUE, TURN = "reknit", "runs", "turn"
#: Exports and deliveries wait in a line of their own: a slow receiver holds no import up.
ERRANDS, ERRAND = "errands", "errand"
#: Recovery finds only workflows of the same version: change it when a waiting turn's arguments do.
VERSION = "turns-1"
#: More than engine.turns.MOST_CLAIMS, which closes the run in time.
MOST_RECOVERIES = 10
WATCH_SECONDS = 0.25


def prepare(engine: sa.Engine) -> None:
    """Bring the tables of the state and of the queue to this version."""
    migrate(engine)
    DBOS.migrate(engine.url.render_as_string(hide_password=False))


class Work:
    """Starts, decides and cancels runs. Light: an API process needs no worker for it."""

    def __init__(self, engine: sa.Engine, settings: Settings, *, revise: decisions.Revise) -> None:
        self.engine, self.settings, self._revise = engine, settings, revise
        self.client = DBOSClient(
            system_database_engine=engine,
            serializer=DBOSPortableJSONSerializer(),
            application_name=NAME,
            lazy=True,
            retry_connection_errors=False,
        )

    def submit(
        self,
        c: sa.Connection,
        partner: str,
        *,
        company: str,
        plan: str | None = None,
        version: int | None = None,
        used: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
        dry_run: bool = False,
        priority: int = 0,
        metadata: Mapping[str, str] | None = None,
        actor: str,
        kind: RunKind = RunKind.IMPORT,
        origin: str | None = None,
        queue: bool = False,
    ) -> Run:
        """A queued run of the company over its uploads `used`, in the caller's transaction.

        Without `plan` it is the company's own, else its source's published one. With `queue` it
        waits for the company's active run.
        """
        there = companies.get(c, partner, company)
        if there.archived_at is not None:
            raise Conflict(f"company {company} is archived and takes no imports")
        for upload in used:
            sent = uploads.get(c, partner, upload)
            if sent.company != company or sent.status is not UploadStatus.STORED:
                raise Conflict(f"upload {upload} is not a complete file of company {company}")
        if plan is None:
            plan = plans.effective(c, partner, source=there.source, company=company).id
        run = runs.add(
            c, partner, company=company, plan=plans.version(c, partner, plan, number=version),
            uploads=used, options=options or {}, policy=policy or Policy(), dry_run=dry_run,
            priority=priority, metadata=metadata or {}, actor=actor, kind=kind, origin=origin,
            queue=queue,
        )  # fmt: skip
        failpoints.hit("submit:before-enqueue")
        if not run.waits:
            self.enqueue(c, run)
        failpoints.hit("submit:after-enqueue")
        return run

    def undo(self, c: sa.Connection, partner: str, run: str, *, actor: str) -> Run:
        """A queued run that takes back what a completed one wrote; NotUndoable when it cannot be."""
        there = runs.get(c, partner, run)
        if there.kind is RunKind.UNDO:
            raise NotUndoable(
                f"run {run} is an undo itself: import the files of {there.origin} again"
            )
        if there.status is not RunStatus.COMPLETED or there.dry_run:
            raise NotUndoable(f"run {run} has stored no rows: it is a {there.status} {there.kind}")
        if done := runs.of_origin(c, partner, run, kind=RunKind.UNDO):
            raise NotUndoable(f"run {run} is undone already, by {done[0].id}")
        sheets = companies.get(c, partner, there.company).sheets
        landing.places(self.settings, sheets, run=run)
        return self.submit(
            c, partner, company=there.company, plan=there.plan, version=there.plan_version,
            kind=RunKind.UNDO, origin=run, actor=actor,
        )  # fmt: skip

    def decide(
        self, partner: str, run: str, decision: Decision, *, width: Width = Width.COMPANY
    ) -> Run:
        """One transaction: the decision, the new plan version, the run's next turn."""
        with transaction(self.engine, "decide") as c:
            return decisions.decide(
                c, partner, run, decision=decision, width=width, revise=self._revise,
                enqueue=self.enqueue,
            )  # fmt: skip

    def cancel(self, partner: str, run: str, *, actor: str) -> Run:
        """End the run at once, or within a second when a worker is at it."""
        with transaction(self.engine, "cancel") as c:
            return line.cancel(c, partner, run, actor=actor, enqueue=self.enqueue)

    def wait(
        self,
        partner: str,
        run: str,
        *,
        seconds: float,
        until: Collection[RunStatus] = ENDED | {RunStatus.NEEDS_ATTENTION},
    ) -> Run:
        """The run, as soon as it is in one of these states or the time is over."""
        deadline = monotonic() + seconds
        while True:
            with self.engine.begin() as c:
                there = runs.get(c, partner, run)
            if there.status in until or monotonic() >= deadline:
                return there
            sleep(min(0.1, max(deadline - monotonic(), 0)))

    def enqueue(self, c: sa.Connection, run: Run, later: float = 0) -> None:
        """The run's present turn waits for a worker, in the caller's transaction."""
        options = _options(QUEUE, TURN, run, later)
        if run.priority:
            options["priority"] = run.priority
        self.client.enqueue_in_transaction(c, options, run.partner, run.id, run.turn)  # type: ignore[arg-type]

    def send(self, c: sa.Connection, errand: Errand, later: float = 0) -> None:
        """The errand's present turn waits for a worker, in the caller's transaction."""
        self.client.enqueue_in_transaction(
            c, _options(ERRANDS, ERRAND, errand, later),  # type: ignore[arg-type]
            errand.partner, errand.company, errand.id, errand.turn,
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the queue; the engine stays open."""
        self.client.destroy()


def turn_id(of: Run | Errand) -> str:
    """The workflow of its present turn."""
    return f"{of.id}:{of.turn}"


def _options(queue: str, workflow: str, of: Run | Errand, later: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "queue_name": queue,
        "workflow_name": workflow,
        "workflow_id": turn_id(of),
        "queue_partition_key": of.partner,
        "application_name": NAME,
    }
    return {**options, "delay_seconds": later} if later else options


class Worker:
    """Takes turns of runs until it is stopped. One per process: DBOS knows only one of itself."""

    def __init__(self, work: Work, files: Files, *, advance: Callable[[Context], Advance]) -> None:
        self.work = work
        self.desk = Desk(
            engine=work.engine,
            files=files,
            settings=work.settings,
            executor=f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid4().hex[:8]}",
            advance=advance,
            enqueue=work.enqueue,
        )
        self.courier = Courier(
            desk=self.desk,
            seals=Keys.from_ring(load_secrets(work.settings).every("seal")),
            outbound=outbound(work.settings),
            enqueue=work.send,
        )
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take turns from now on, in threads of this process."""
        settings, engine = self.work.settings, self.work.engine
        # The first beat comes before the first turn: whoever dies with one is missed.
        self._beat()
        DBOS(
            config={
                "name": NAME,
                "system_database_url": engine.url.render_as_string(hide_password=False),
                "system_database_engine": engine,
                "application_version": VERSION,
                "executor_id": self.desk.executor,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "use_listen_notify": False,
            }
        )

        @DBOS.workflow(name=TURN, max_recovery_attempts=MOST_RECOVERIES)
        def take(partner: str, run: str, turn: int) -> None:
            take_turn(self.desk, partner, run, turn=turn)

        @DBOS.workflow(name=ERRAND, max_recovery_attempts=MOST_RECOVERIES)
        def do(partner: str, company: str, errand: str, turn: int) -> None:
            go(self.courier, partner, company, errand, turn=turn)

        DBOS.launch()
        # An export may wait a second: looking for one costs as much as looking for a run.
        for queue, patience in ((QUEUE, 1), (ERRANDS, 5)):
            DBOS.register_queue(
                queue,
                worker_concurrency=settings.slots,
                partition_worker_concurrency=settings.partner_slots,
                polling_interval_sec=settings.poll_seconds * patience,
                on_conflict="always_update",
            )
        self._every(settings.heartbeat_seconds, self._reap)
        self._every(settings.sweep_seconds, self._sweep)
        self._every(settings.collect_seconds, self._collect)
        self._every(WATCH_SECONDS, self._watch)

    def stop(self, *, seconds: float = 30) -> None:
        """Finish what runs within `seconds`, hand the rest to others, and let go."""
        hand_over = threading.Timer(seconds, self._leave)
        hand_over.daemon = True
        hand_over.start()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=int(seconds) + 5)
        hand_over.cancel()
        self.desk.stopping.set()
        for thread in self._threads:
            thread.join()
        with self.work.engine.begin() as c:
            executors.leave(c, self.desk.executor)

    def _leave(self) -> None:
        for stop in list(self.desk.working.values()):
            stop.reason = stop.reason or "leaving"

    def _every(self, seconds: float, act: Callable[[], object]) -> None:
        def loop() -> None:
            while not self.desk.stopping.wait(seconds):
                try:
                    act()
                except Exception as error:
                    if is_busy(error):
                        log.warning("the database is busy or away: %s", gist(error))
                    else:
                        log.exception("housekeeping failed")

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _beat(self) -> None:
        """Say that this process lives."""
        with transaction(self.work.engine, "beat") as c:
            executors.beat(c, self.desk.executor)

    def _reap(self) -> None:
        """Say so, and give the turns of silent ones to whoever is free."""
        self._beat()
        with transaction(self.work.engine, "silent") as c:
            gone = executors.silent(c, seconds=self.work.settings.dead_seconds)
        for executor in gone:
            self._recover([executor])
            shutil.rmtree(scratch_root(self.work.settings) / executor, ignore_errors=True)
            with transaction(self.work.engine, "reap") as c:
                executors.leave(c, executor, silent_seconds=self.work.settings.dead_seconds)

    def _recover(self, gone: list[str]) -> None:
        failpoints.hit("recover:before")
        # Private, and pinned by a contract test: one guarded update, harmless when repeated.
        DBOS._recover_pending_workflows(gone)
        failpoints.hit("recover:after")

    def _watch(self) -> None:
        """Tell turns whose run is to be canceled to stop."""
        working: dict[str, Stop] = dict(self.desk.working)
        if not working:
            return
        with self.work.engine.begin() as c:
            asked = runs.canceled_among(c, list(working))
        for run in asked:
            working[run].reason = working[run].reason or "canceled"

    def _sweep(self) -> None:
        """Find turns that nobody will end: their process or their workflow is gone."""
        with self.work.engine.begin() as c:
            living = set(executors.living(c, seconds=self.work.settings.dead_seconds)) | {
                self.desk.executor
            }
            seconds = 2 * self.work.settings.dead_seconds
            silent: list[Run | Errand] = [
                *runs.untouched(c, seconds=seconds),
                *errands.untouched(c, seconds=seconds),
            ]
        flows = {
            flow.workflow_id: flow
            for flow in self.work.client.list_workflows(
                workflow_ids=[turn_id(each) for each in silent],
                load_input=False, load_output=False,
            )
        } if silent else {}  # fmt: skip
        for each in silent:
            flow = flows.get(turn_id(each))
            if flow is not None and flow.status in ("ENQUEUED", "DELAYED"):
                continue
            if flow is not None and flow.status == "PENDING":
                if flow.executor_id is not None and flow.executor_id not in living:
                    self._recover([flow.executor_id])
                if flow.executor_id != self.desk.executor or each.id in self.desk.working:
                    continue
            failpoints.hit("sweep:found")
            # Every worker sweeps, and one of them is the first.
            with suppress(Conflict):
                if isinstance(each, Run):
                    abandoned(self.desk, each)
                else:
                    courier.abandoned(self.courier, each)

    def _collect(self) -> None:
        """Retention, of the queue's own entries too: DBOS keeps them for ever."""
        retention.collect(self.desk)
        cutoff = (utcnow() - timedelta(days=self.work.settings.run_days)).isoformat()
        while True:
            old = self.work.client.list_workflows(
                completed_before=cutoff, limit=1_000, load_input=False, load_output=False
            )
            if not old:
                return
            self.work.client.delete_workflows([flow.workflow_id for flow in old])
