"""Upserts in a process that is killed or frozen at a chosen moment."""

import os
import signal
import sys
from pathlib import Path

from engine.dataset import Location, table, upsert

folder, part, run, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
commit_rows = table.commit_rows
WHILE_WRITING = {"writing": signal.SIGKILL, "frozen": signal.SIGSTOP}


def struck(rows, number):
    """The stream of rows; the signal comes in the middle of it."""

    def batches():
        for batch in rows:
            for start in range(0, len(batch), 1_000):
                if start == 20_000:
                    os.kill(os.getpid(), number)
                yield batch.slice(start, 1_000)

    return type(rows).from_batches(rows.schema, batches())


def commit(sheet, before, rows, **more):
    if moment in WHILE_WRITING:
        rows = struck(rows, WHILE_WRITING[moment])
    commit_rows(sheet, before, rows, **more)
    if moment == "committed":
        os.kill(os.getpid(), signal.SIGKILL)


table.commit_rows = commit
upsert(
    Location(url=str(folder / "sheet")),
    [Path(part)],
    identity=(("email",),),
    run=run,
    plan_version="1",
    scratch=folder / "scratch",
)
