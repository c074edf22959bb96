"""Whatever runs bring, a sheet is what a plain loop over the rows would make of it."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import bring, rows_of

from engine.dataset import Counts, Location, Mode, history, undo

KEYS = (("linkedin",), ("email", "name"))
COLUMNS = ("linkedin", "email", "name", "note")
Row = dict[str, Any]

few = st.sampled_from([None, "", "a", "b", "c"])
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, few)), max_size=6)
modes = st.sampled_from(list(Mode))
imports = st.lists(st.tuples(rows, modes, st.booleans()), min_size=1, max_size=4)


def key_of(row: Row, key: tuple[str, ...]) -> tuple[str, ...] | None:
    values = tuple(row[name] for name in key)
    return values if all(values) else None


def found(row: Row, stored: list[Row]) -> Row | None:
    for key in KEYS:
        for each in stored:
            if key_of(row, key) is not None and key_of(row, key) == key_of(each, key):
                return each
    return None


def merged(row: Row, before: Row, *, keep: bool) -> Row:
    identity = {name for key in KEYS for name in key}
    new = {}
    for name in COLUMNS:
        if keep:
            new[name] = before[name] or row[name]
        else:
            new[name] = before[name] if name in identity and row[name] is None else row[name]
    return new


def looped(stored: list[Row], brought: list[Row], run: str, base: int, mode: Mode, keep: bool):
    """The sheet after one run, and its counts."""
    created = updated = unchanged = repeated = by_mode = 0
    seen: set[int] = set()
    fresh: list[Row] = []
    after = {each["_id"]: each for each in stored}
    for number, row in enumerate(brought):
        known = found(row, stored)
        if known is None:
            repeat = any(
                key_of(row, key) is not None and key_of(row, key) == key_of(each, key)
                for key in KEYS
                for each in fresh
            )
            fresh.append(row)
            repeated += repeat
            if not repeat and mode is Mode.UPDATE_ONLY:
                by_mode += 1
            elif not repeat:
                created += 1
                after[base + number] = {**row, "_id": base + number, "_run": run}
            continue
        if known["_id"] in seen:
            repeated += 1
            continue
        seen.add(known["_id"])
        new = merged(row, known, keep=keep)
        if mode is Mode.CREATE_ONLY:
            by_mode += 1
        elif all(new[name] == known[name] for name in COLUMNS):
            unchanged += 1
        else:
            updated += 1
            after[known["_id"]] = {**new, "_id": known["_id"], "_run": run}
    counts = Counts(
        created=created, updated=updated, unchanged=unchanged, repeated=repeated, by_mode=by_mode
    )
    return [after[row_id] for row_id in sorted(after)], counts


@settings(max_examples=12)
@given(imports)
def test_a_sheet_is_what_a_loop_makes_of_the_rows_and_undo_walks_back(
    runs: list[tuple[list[Row], Mode, bool]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sheet = Location(url=str(folder / "sheet"))
        states: list[list[Row]] = [[]]
        base = 1
        for number, (brought, mode, keep) in enumerate(runs):
            run = f"r{number}"
            expected, counts = looped(states[-1], brought, run, base, mode, keep)
            told = bring(
                sheet, folder, run, brought, identity=KEYS, mode=mode, keep_existing=keep,
                also=COLUMNS,
            )  # fmt: skip
            assert told == counts
            assert told.rows == len(brought)
            states.append(expected)
            base += len(brought)
            assert stored(sheet) == expected
        for number in reversed(range(len(runs))):
            undo(sheet, f"r{number}", undo_run=f"u{number}", scratch=folder / "scratch")
            assert stored(sheet) == states[number]
        assert len(history(sheet)) == 2 * len(runs)


def stored(sheet: Location) -> list[Row]:
    names = (*COLUMNS, "_id", "_run")
    return [dict(zip(names, row, strict=True)) for row in rows_of(sheet, *names)]
