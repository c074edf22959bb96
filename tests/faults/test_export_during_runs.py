"""Readers while a sheet is written (trust.md F26): each gets one whole version."""

import os
import threading
from pathlib import Path

import polars
from sheets import bring

from engine.dataset import Location
from engine.export import Selection, Shape, write

ROUNDS = int(os.environ.get("ROUNDS", "8"))
PEOPLE = 3_000


def test_eight_readers_each_get_one_whole_version_while_runs_go_on(tmp_path: Path) -> None:
    sheet = Location(url=str(tmp_path / "sheet"))

    def run(number: int) -> None:
        rows = [{"email": f"{n}@x.io", "name": f"run {number}"} for n in range(PEOPLE)]
        bring(sheet, tmp_path, f"r{number}", rows)

    def read(reader: int) -> None:
        folder = tmp_path / f"reader{reader}"
        while not done.is_set():
            rows = write(sheet, Selection(), to=folder / "out.csv", shape=Shape(), scratch=folder)
            names = polars.read_csv(folder / "out.csv")["name"].unique().to_list()
            seen.append((rows, len(names), names[0]))

    run(0)
    done, seen = threading.Event(), list[tuple[int, int, str]]()
    readers = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for reader in readers:
        reader.start()
    for number in range(1, ROUNDS + 1):
        run(number)
    done.set()
    for reader in readers:
        reader.join()
    assert {(rows, kinds) for rows, kinds, _ in seen} == {(PEOPLE, 1)}
    assert len({name for _, _, name in seen}) > 1
