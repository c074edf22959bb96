"""A process is killed at every named place, once; nothing is lost and nothing happens twice."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from time import monotonic, sleep

import pytest
import sqlalchemy as sa
from chaos import Storm, storm

from engine import failpoints
from engine.model import Run, RunStatus
from engine.policy import Policy
from engine.store import companies, plans, proposals, runs, tables

PLAIN: dict[str, object] = {"steps": 1}
ROWS: dict[str, object] = {"steps": 1, "rows": True}
COMMIT = ("before-commit", "after-commit")


def ends(*names: str) -> list[str]:
    return [f"{name}:{end}" for name in names for end in COMMIT]


#: Where a worker dies, and what the run does that gets it there.
WORKER: tuple[tuple[str, dict[str, object]], ...] = (
    *((point, PLAIN) for point in ends("beat", "claim", "progress", "settle-completed")),
    *((f"turn:{place}", PLAIN) for place in ("inputs-here", "before-advance", "file-stored")),
    *((f"turn:{place}", PLAIN) for place in ("after-advance", "before-settle", "end")),
    *((f"file:{place}", PLAIN) for place in ("before-sync", "after-sync")),
    *((f"file:{place}", PLAIN) for place in ("before-rename", "after-rename")),
    *((f"settle:{place}", PLAIN) for place in ("moved", "findings-kept")),
    *((point, {"ask": True}) for point in ends("settle-needs_attention")),
    *((point, {"fault": 1}) for point in ends("settle-retry")),
    *((point, {"unreadable": True}) for point in ends("settle-failed")),
    *((point, {"sleep": 60, "cancel": True}) for point in ends("settle-canceled")),
    *((point, ROWS) for point in (*ends("land"), "land:begun", "land:sheet-done")),
    ("land:sheet-done:kill:2", ROWS),
    ("settle-completed:before-commit", ROWS),
    ("line:admitted", {"sleep": 1, "next": True}),
    ("land:taken-back", {**ROWS, "spoilt": True}),
    *((point, {**ROWS, "undo": True}) for point in ("undo:begun", "undo:sheet-done")),
    *((point, PLAIN) for point in ("recover:before", "recover:after", *ends("reap"))),
    *((point, {"lost": True}) for point in ("sweep:found", *ends("sweep"))),
    *((point, {"old": 1 / 12}) for point in ends("collect-orphans")),
    *((point, {"old": 31}) for point in ("collect:files-gone", *ends("collect-run"))),
    *((point, {"old": 31}) for point in ends("collect-upload", "collect-keys")),
)
CLIENT = (
    *(("submit", point) for point in ("submit:before-enqueue", "submit:after-enqueue")),
    *((act, point) for act in ("submit", "decide", "cancel") for point in ends(act)),
)


def test_there_are_enough_places() -> None:
    points = [point for point, _ in WORKER] + [point for _, point in CLIENT]
    assert len(set(points)) >= 60


def test_a_process_may_die_anywhere(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    folder.mkdir()
    settings = {"dead_seconds": 0.6, "heartbeat_seconds": 0.15, "sweep_seconds": 0.3}
    with storm(database_url, folder, workers=0, collect_seconds=0.3, **settings) as under:
        survived = [
            f"a worker survived {point}" for point, does in WORKER if not dies(under, point, does)
        ]
        under.fleet.worker()
        for act, point in CLIENT:
            if not client_dies(under, act, point):
                survived.append(f"a client survived {point}")
        under.settle(Random(1))
        assert survived + under.violations() == []


def dies(under: Storm, point: str, does: dict[str, object]) -> bool:
    """One more worker dies at the point, over a run of a new company."""
    company = home(under)
    done = completed(under, company, **does) if "undo" in does else None
    armed = under.fleet.worker(point if ":kill" in point else f"{point}:kill")
    if done is not None:
        undo(under, done)
    elif "lost" in does:
        lose(under, company)
    elif "old" in does:
        under.upload(under.worlds[0], company, b"a,b\n")
        age(under, days=float(str(does["old"])))
    else:
        run = start(under, company, **does)
        if "next" in does:
            assert start(under, company).waits
        if "cancel" in does:
            under.work.wait(run.partner, run.id, seconds=120, until={RunStatus.RUNNING})
            under.work.cancel(run.partner, run.id, actor="a test")
    return killed(under, armed)


def completed(under: Storm, company: str, **does: object) -> Run:
    """A run that a worker ended, which also ends what those before it had left behind.

    Else the armed worker might take up the undo of the last one and die of that.
    """
    worker = under.fleet.worker()
    run = start(under, company, **does)
    under.settle(Random(1))
    under.fleet.kill(worker)
    return run


def undo(under: Storm, run: Run) -> None:
    """Take the run back."""
    with under.work.engine.begin() as c:
        under.accepted.append(under.work.undo(c, run.partner, run.id, actor="x").id)


def client_dies(under: Storm, act: str, point: str) -> bool:
    """A client dies at the point, and does it again as one that got no answer would."""
    order = dict(ask(under, act))
    gone = killed(under, under.fleet.client(f"{point}:kill", act=act, **order))
    assert not killed(under, under.fleet.client("", act=act, **order))
    return gone


def ask(under: Storm, act: str) -> Iterator[tuple[str, object]]:
    company = home(under)
    yield "partner", under.worlds[0].partner.id
    if act == "submit":
        yield "company", company
        return
    run = start(under, company, ask=act == "decide", sleep=0 if act == "decide" else 2)
    yield "run", run.id
    if act == "decide":
        under.work.wait(run.partner, run.id, seconds=120)
        with under.work.engine.begin() as c:
            shown = proposals.open_of(c, run.partner, run.id)
            assert shown is not None
            yield "etag", shown.proposal.etag


def home(under: Storm) -> str:
    world = under.worlds[0]
    with under.work.engine.begin() as c:
        return companies.add(
            c, world.partner.id, name="one more", source=world.source.id, templates=[]
        ).id


def start(under: Storm, company: str, **does: object) -> Run:
    world = under.worlds[0]
    with under.work.engine.begin() as c:
        run = under.work.submit(
            c, world.partner.id, company=company, options=does, actor="x", queue=True
        )
        under.accepted.append(run.id)
        return run


def lose(under: Storm, company: str) -> None:
    """A run whose workflow is not there."""
    world = under.worlds[0]
    with under.work.engine.begin() as c:
        run = runs.add(
            c, world.partner.id, company=company, plan=plans.version(c, world.partner.id,
            world.plan.plan), uploads=(), options=PLAIN, policy=Policy(), dry_run=False,
            priority=0, metadata={}, actor="x",
        )  # fmt: skip
        under.accepted.append(run.id)


def age(under: Storm, *, days: float) -> None:
    """Let what ended be long ago."""
    gone = timedelta(days=days) // timedelta(microseconds=1)
    with under.work.engine.begin() as c:
        for table, column in ((tables.runs, "finished_at"), (tables.uploads, "stored_at")):
            text = f"UPDATE {table.name} SET {column} = {column} - {gone} WHERE {column} NOTNULL"
            c.execute(sa.text(text))
        c.execute(sa.text("UPDATE runs SET swept_at = NULL, expired_at = NULL"))


def killed(under: Storm, pid: int, *, seconds: float = 120) -> bool:
    """Whether the process kills itself in time; it is gone in any case."""
    deadline = monotonic() + seconds
    while under.fleet.running(pid) and monotonic() < deadline:
        sleep(0.02)
    survived = under.fleet.running(pid)
    under.fleet.kill(pid)
    return not survived and under.fleet.status(pid) == -9


@pytest.mark.parametrize("text", ["x:explode", "x:kill:many", "kill", "x"])
def test_a_wrong_failpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="place:action"):
        failpoints.arm(text)
