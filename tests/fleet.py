"""Worker processes to kill: forked from one process that has imported everything already."""

import faulthandler
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from time import sleep
from typing import Any


class Fleet:
    """Processes on one database, started and killed by their number."""

    def __init__(self, url: str, folder: Path, **settings: object) -> None:
        self.url, self.folder, self.settings = url, folder, settings
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(each) for each in (Path(__file__).parent, *sys.path)),
            "OPENBLAS_NUM_THREADS": "1",
        }
        self._nursery = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=environment,
        )  # fmt: skip
        self.alive: list[int] = []

    def worker(self, failpoint: str = "", **order: object) -> int:
        """Start one more worker; its process id. With a `folder`: on a machine of its own."""
        return self._start(role="worker", failpoint=failpoint, **order)

    def client(self, failpoint: str = "", **order: object) -> int:
        """Start a process that does one thing of an API process."""
        return self._start(role="client", failpoint=failpoint, **order)

    def _start(self, **order: object) -> int:
        told = {"url": self.url, "folder": str(self.folder), "settings": self.settings, **order}
        pid = self._tell(told)
        self.alive.append(pid)
        return pid

    def _tell(self, order: dict[str, object]) -> int:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(json.dumps(order) + "\n")
        self._nursery.stdin.flush()
        return int(self._nursery.stdout.readline())

    def status(self, pid: int) -> int:
        """How an ended process ended: its exit code, or minus the signal that killed it."""
        return self._tell({"status": pid})

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send the signal; a killed process is gone when this returns."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        if number == signal.SIGKILL:
            while self.running(pid):
                sleep(0.005)
            self.alive.remove(pid)

    def running(self, pid: int) -> bool:
        """Whether the process is there."""
        return self._state(pid) not in ("", "Z")

    def frozen(self, pid: int) -> bool:
        """Whether it was stopped by a signal."""
        return self._state(pid) == "T"

    def _state(self, pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""

    def orphans(self) -> list[int]:
        """Processes that work in the fleet's folder and whose parent is gone."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                inside = Path(os.readlink(process / "cwd")).is_relative_to(self.folder)
            except OSError:
                continue
            if inside and (parent == 1 or not self.running(parent)):
                found.append(int(process.name))
        return found

    def close(self) -> None:
        """End every process."""
        for pid in list(self.alive):
            self.kill(pid, signal.SIGCONT)
            self.kill(pid)
        self._nursery.kill()
        self._nursery.communicate()


def main() -> None:
    """Fork a process for each order that comes in, and say its number."""
    import records
    import worker

    assert records
    assert worker
    out = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        order = json.loads(line)
        if "status" in order:
            number = os.waitstatus_to_exitcode(os.waitpid(order["status"], 0)[1])
        elif (number := os.fork()) == 0:
            _become(order)
            os._exit(0)
        out.write(f"{number}\n")
        out.flush()


def _become(order: dict[str, Any]) -> None:
    folder = Path(order["folder"])
    os.chdir(folder)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    faulthandler.register(signal.SIGUSR1)
    try:
        _ROLES[order["role"]](order)
    finally:
        # Not a step further in the forked copy of the nursery, whatever happened.
        if error := sys.exc_info()[1]:
            traceback.print_exception(error)
            sys.stderr.flush()
            os._exit(1)


def _work(order: dict[str, Any]) -> None:
    from worker import advance, fast, revise

    from engine import failpoints
    from engine.files import open_files
    from engine.store.database import open_database
    from engine.work import Work, Worker

    settings = fast(Path(order["folder"]), **order["settings"])
    work = Work(open_database(order["url"], idle_seconds=1.5), settings, revise=revise)
    started = Worker(work, open_files(settings), advance=advance)
    failpoints.arm(order["failpoint"])
    started.start()
    while True:
        sleep(60)


def _ask(order: dict[str, Any]) -> None:
    from worker import fast, revise

    from engine import failpoints
    from engine.proposal import Decision, Verdict
    from engine.store import runs
    from engine.store.database import open_database, transaction
    from engine.work import Work

    settings = fast(Path(order["folder"]), **order["settings"])
    work = Work(open_database(order["url"], idle_seconds=1.5), settings, revise=revise)
    failpoints.arm(order["failpoint"])
    partner = order["partner"]
    if order["act"] == "submit":
        with transaction(work.engine, "submit") as c:
            if not runs.page(c, partner, company=order["company"]):
                work.submit(c, partner, company=order["company"], actor="client")
    elif order["act"] == "decide":
        decision = Decision(etag=order["etag"], verdict=Verdict.ACCEPT, answers={}, actor="client")
        work.decide(partner, order["run"], decision)
    else:
        work.cancel(partner, order["run"], actor="client")


_ROLES = {"worker": _work, "client": _ask}

if __name__ == "__main__":
    main()
