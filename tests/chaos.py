"""Kills workers at random while runs start, wait, are decided and canceled; then checks everything.

`python tests/chaos.py --kills 50` does it on SQLite and PostgreSQL and prints a line for each.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import click
from databases import create_postgresql, postgresql_server
from fleet import Fleet
from invariants import ALL, check_invariants
from records import World, settle
from worker import fast, revise

from engine import retention
from engine.desk import Desk
from engine.errors import ActiveRun, Conflict
from engine.files import open_files
from engine.ids import utcnow
from engine.model import RunStatus
from engine.proposal import Decision, Verdict
from engine.store import companies, endpoints, events, partners, proposals, runs, uploads
from engine.store.database import open_database
from engine.work import Work, prepare

#: What a run of the storm does; the weights make waiting and plain runs the most frequent.
KINDS: tuple[tuple[dict[str, object], int], ...] = (
    ({}, 3),
    ({"ask": True, "sleep": 0.1}, 6),
    ({"approve": True, "sleep": 0.1}, 1),
    ({"fault": 1}, 1),
    ({"unreadable": True}, 1),
    ({"crash": True}, 1),
    ({"sleep": 0.5}, 8),
)
DEAD = 1.0
DEADLINE = 120.0


@dataclass
class Storm:
    """One database under fire."""

    work: Work
    fleet: Fleet
    worlds: list[World]
    companies: list[tuple[World, str]]
    accepted: list[str] = field(default_factory=list)
    killed: dict[str, datetime] = field(default_factory=dict)  #: by executor

    def submit(self, chance: random.Random) -> None:
        """Start a run where none is active, now and then asking twice with one key."""
        world, company = chance.choice(self.companies)
        kinds, weights = zip(*KINDS, strict=True)
        options = chance.choices(kinds, weights)[0]
        sent = self.upload(world, company, f"a,b\n{chance.random()},x\n".encode())
        with suppress(ActiveRun), self.work.engine.begin() as c:
            run = self.work.submit(
                c, world.partner.id, company=company, used=[sent], options=options, actor="storm",
                queue=chance.random() < 0.3,
            )  # fmt: skip
            self.accepted.append(run.id)

    def upload(self, world: World, company: str, text: bytes) -> str:
        """A stored upload of the company."""
        stored = open_files(self.work.settings).put_content(world.partner.id, company, [text])
        with self.work.engine.begin() as c:
            up = uploads.add(
                c, world.partner.id, company=company, name="x.csv", content_type="text/csv",
                size=stored.size, valid_until=utcnow() + timedelta(hours=1),
            )  # fmt: skip
            uploads.stored(c, world.partner.id, up.id, digest=stored.digest, size=stored.size)
        return up.id

    def decide(self, chance: random.Random) -> None:
        """Decide every waiting run, some twice, some late or wrongly."""
        for world in self.worlds:
            with self.work.engine.begin() as c:
                waiting = runs.page(
                    c, world.partner.id, status=[RunStatus.NEEDS_ATTENTION], limit=ALL
                )
                shown = [proposals.open_of(c, world.partner.id, each.id) for each in waiting]
            for run, seen in zip(waiting, shown, strict=True):
                if seen is None:
                    continue
                verdict = chance.choice([Verdict.ACCEPT] * 4 + [Verdict.TAKE_VALID, Verdict.REJECT])
                decision = Decision(
                    etag=seen.proposal.etag, verdict=verdict, answers={}, actor="storm",
                )  # fmt: skip
                for _ in range(chance.choice([1, 2])):
                    with suppress(Conflict):
                        self.work.decide(world.partner.id, run.id, decision)

    def cancel(self, chance: random.Random) -> None:
        """Cancel one of the active runs."""
        world = chance.choice(self.worlds)
        with self.work.engine.begin() as c:
            active = runs.page(
                c, world.partner.id, status=[RunStatus.QUEUED, RunStatus.RUNNING], limit=50
            )
        if active:
            with suppress(Conflict):
                self.work.cancel(world.partner.id, chance.choice(active).id, actor="storm")

    def strike(self, chance: random.Random) -> None:
        """Kill a worker, or freeze it beyond its death and wake it; a fresh one takes its place."""
        victim = chance.choice(self.fleet.alive)
        if chance.random() < 0.15:
            self.fleet.kill(victim, signal.SIGSTOP)
            sleep(2 * DEAD)
            self.fleet.kill(victim, signal.SIGCONT)
            sleep(0.2)
        self.fleet.kill(victim)
        self.killed[str(victim)] = datetime.now(UTC)
        self.fleet.worker()

    def settle(self, chance: random.Random) -> None:
        """Decide and wait until no run is active."""
        deadline = monotonic() + DEADLINE
        while monotonic() < deadline:
            self.decide(chance)
            with self.work.engine.begin() as c:
                left = [
                    run
                    for world in self.worlds
                    for run in runs.page(c, world.partner.id, limit=ALL)
                    if not run.ended
                ]
            if not left:
                return
            sleep(0.1)
        # Too late: the log tells what everybody was doing instead.
        for pid in self.fleet.alive:
            self.fleet.kill(pid, signal.SIGUSR1)
        sleep(1)
        click.echo((self.fleet.folder / "log").read_text()[-20_000:], err=True)

    def resumes(self) -> list[float]:
        """Seconds beyond the dead threshold after which killed workers' turns went on."""
        found = []
        with self.work.engine.begin() as c:
            for world in self.worlds:
                for run in runs.page(c, world.partner.id, limit=ALL):
                    before = None
                    for event in events.of_run(c, world.partner.id, run.id, limit=ALL):
                        if event.type == "run.recovered" and before is not None:
                            died = self.killed.get(before.split("-")[-2])
                            if died is not None and died < event.at:
                                found.append((event.at - died).total_seconds() - DEAD)
                        if event.type in ("run.running", "run.recovered"):
                            before = event.actor
        return found

    def violations(self) -> list[str]:
        """What does not hold, after every worker is gone and the leftovers are collected."""
        self.fleet.close()
        sleep(0.5)
        found = [f"I11 process {pid} has lost its parent" for pid in self.fleet.orphans()]
        files = open_files(self.work.settings)
        desk = Desk(
            engine=self.work.engine, files=files, settings=self.work.settings, executor="check",
            advance=lambda context: None, enqueue=self.work.enqueue,  # type: ignore[arg-type,return-value]
        )  # fmt: skip
        files.sweep(older_seconds=-1)
        retention.drop_leftovers(desk, age=timedelta(0), dead_seconds=0)
        return found + check_invariants(
            self.work.engine, files, accepted=self.accepted, folder=self.fleet.folder
        )


@contextmanager
def storm(url: str, folder: Path, *, workers: int = 3, **settings: object) -> Iterator[Storm]:
    """Three partners with four companies each, and workers."""
    engine = open_database(url)
    prepare(engine)
    given = {"dead_seconds": DEAD, "heartbeat_seconds": 0.25} | settings
    work = Work(engine, fast(folder, **given), revise=revise)
    with engine.begin() as c:
        worlds = [settle(c, f"partner {number}") for number in range(3)]
        homes = [(world, world.company.id) for world in worlds]
        for world in worlds:
            endpoints.add(c, world.partner.id, url="https://x.example", types=(), secrets=["s"])
            homes += [
                (
                    world,
                    companies.add(
                        c, world.partner.id, name=str(n), source=world.source.id, templates=[]
                    ).id,
                )
                for n in range(3)
            ]
        assert len(partners.listed(c)) == 3
    fleet = Fleet(url, folder, **given)
    for _ in range(workers):
        fleet.worker()
    try:
        yield Storm(work=work, fleet=fleet, worlds=worlds, companies=homes)
    finally:
        fleet.close()
        work.close()
        engine.dispose()


def rage(url: str, folder: Path, *, kills: int, seed: int) -> tuple[Storm, list[str], list[float]]:
    """Strike so often, then let everything end; the violations and the times to resume."""
    chance = random.Random(seed)
    with storm(url, folder) as under:
        for _ in range(kills):
            until = monotonic() + chance.uniform(0.1, 0.9)
            while monotonic() < until:
                under.submit(chance)
                under.decide(chance)
                if chance.random() < 0.1:
                    under.cancel(chance)
                sleep(0.02)
            under.strike(chance)
        under.settle(chance)
        resumes = under.resumes()
        return under, under.violations(), resumes


def report(backend: str, url: str, folder: Path, *, kills: int, seed: int) -> int:
    """Print the figures of one backend; how many violations."""
    started = monotonic()
    under, violations, resumes = rage(url, folder, kills=kills, seed=seed)
    for each in violations:
        click.echo(f"violation: {each}", err=True)
    ordered = sorted(resumes) or [0.0]
    click.echo(
        f"backend={backend} kills={kills} runs={len(under.accepted)} violations={len(violations)}"
        f" recovered={len(resumes)} resume_p50_s={ordered[len(ordered) // 2]:.2f}"
        f" resume_max_s={ordered[-1]:.2f} seed={seed} seconds={monotonic() - started:.0f}"
    )
    return len(violations)


def main() -> None:
    """The command of `make faults`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    base = Path(tempfile.mkdtemp(prefix="reknit-faults-"))
    base.chmod(0o755)
    for each in ("sqlite", "postgresql", "server", "runtime"):
        (base / each).mkdir()
    (base / "runtime").chmod(0o700)
    bad = report(
        "sqlite", f"sqlite:///{base}/sqlite/state.db", base / "sqlite",
        kills=given.kills, seed=given.seed,
    )  # fmt: skip
    with postgresql_server(base / "server", runtime=base / "runtime") as server:
        create_postgresql(server, "faults")
        bad += report(
            "postgresql", server.format("faults"), base / "postgresql",
            kills=given.kills, seed=given.seed,
        )  # fmt: skip
    if bad:
        click.echo(f"what was left behind lies in {base}", err=True)
        sys.exit(1)
    shutil.rmtree(base)


if __name__ == "__main__":
    main()
