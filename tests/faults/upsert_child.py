"""Upserts in a process that dies by kill -9 at a chosen moment."""

import os
import signal
import sys
from pathlib import Path

from engine.dataset import Location, table, upsert

folder, part, run, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
commit_rows = table.commit_rows


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingRows:
    """Rows whose stream ends the process in the middle of being written."""

    def __init__(self, rows):
        self.rows = rows

    def to_arrow_reader(self, size):
        reader = self.rows.to_arrow_reader(1_000)

        def batches():
            for number, batch in enumerate(reader):
                if number == 20:
                    die()
                yield batch

        return type(reader).from_batches(reader.schema, batches())


def dying_commit(sheet, before, rows, **more):
    if moment == "writing":
        rows = DyingRows(rows)
    commit_rows(sheet, before, rows, **more)
    if moment == "committed":
        die()


table.commit_rows = dying_commit
upsert(
    Location(url=str(folder / "sheet")),
    [Path(part)],
    identity=(("email",),),
    run=run,
    plan_version="1",
    scratch=folder / "scratch",
)
