"""What a worker costs while nothing happens, and how soon it starts what comes, on both databases.

python tests/bench/bench_worker.py [runs] [idle seconds]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import sleep

sys.path[:0] = [str(Path(__file__).parents[1])]

from databases import create_postgresql, postgresql_server
from records import World, settle
from worker import fast, revise

from engine.store import companies, events
from engine.store.database import open_database
from engine.work import Work, prepare

WORKER = """
import sys, threading
from pathlib import Path
from worker import advance, revise
from engine.files import open_files
from engine.settings import Settings
from engine.store.database import open_database
from engine.work import Work, Worker
settings = Settings(data_dir=Path(sys.argv[2]))
worker = Worker(Work(open_database(sys.argv[1]), settings, revise=revise), open_files(settings), advance=advance)
worker.start()
threading.Event().wait()
"""
TICKS = os.sysconf("SC_CLK_TCK")


def main(count: int, idle: float) -> None:
    """Print a line for each database."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        folder.chmod(0o755)
        for each in ("sqlite", "postgresql", "server", "runtime"):
            (folder / each).mkdir()
        (folder / "runtime").chmod(0o700)
        measure("sqlite", f"sqlite:///{folder}/state.db", folder / "sqlite", count, idle)
        with postgresql_server(folder / "server", runtime=folder / "runtime") as server:
            create_postgresql(server, "bench")
            measure("postgresql", server.format("bench"), folder / "postgresql", count, idle)


def measure(backend: str, url: str, folder: Path, count: int, idle: float) -> None:
    """One worker with the settings of a deployment, first idle, then given one run at a time."""
    engine = open_database(url)
    prepare(engine)
    work = Work(engine, fast(folder), revise=revise)
    with engine.begin() as c:
        world = settle(c, "Acme")
    paths = os.pathsep.join((str(Path(__file__).parents[1]), *sys.path))
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, url, str(folder)],
        env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
    )
    try:
        waits = sorted(started(work, world, number) for number in range(count))
        sleep(3)  # what a run leaves to do
        before = cpu(worker.pid)
        sleep(idle)
        share = (cpu(worker.pid) - before) / idle
    finally:
        worker.kill()
        worker.wait()
        work.close()
        engine.dispose()
    print(
        f"backend={backend} runs={count} enqueue_to_start_p50_s={waits[count // 2]:.2f}"
        f" max_s={waits[-1]:.2f} idle_cpu_of_a_core={share:.1%}",
        flush=True,
    )


def started(work: Work, world: World, number: int) -> float:
    """Seconds between a run's first two events: queued and running."""
    with work.engine.begin() as c:
        company = companies.add(
            c, world.partner.id, name=f"n{number}", source=world.source.id, templates=[]
        )
        run = work.submit(
            c, world.partner.id, company=company.id, options={"steps": 0}, actor="bench"
        )
    work.wait(run.partner, run.id, seconds=120)
    with work.engine.begin() as c:
        queued, running, *_ = events.of_run(c, run.partner, run.id)
    assert (queued.type, running.type) == ("run.queued", "run.running")
    return (running.at - queued.at).total_seconds()


def cpu(pid: int) -> float:
    """CPU seconds the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / TICKS


if __name__ == "__main__":
    said = sys.argv[1:]
    main(int(said[0]) if said else 30, float(said[1]) if said[1:] else 30.0)
