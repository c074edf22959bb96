"""Files nobody here wrote: no crash, no row lost unseen. Skipped where the data is not there."""

import tarfile
from functools import partial
from pathlib import Path

import pytest
from intake_corpus import REFUSALS, outcomes

from engine.errors import SourceCode
from engine.sandbox import Limits, call

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def unpacked(name: str, target: Path) -> Path:
    archive = DATA / name
    if not archive.exists():
        pytest.skip(f"{archive} is not there")
    with tarfile.open(archive) as opened:
        opened.extractall(target / "files", filter="data")
    return target / "files"


def run(files: Path, work: Path) -> dict[str, str | list[tuple[int, int | None]]]:
    work.mkdir()
    return call(partial(outcomes, files, work), limits=Limits(folder=work, readable=(files,)))


def test_no_edge_case_crashes_or_loses_a_row(tmp_path: Path) -> None:
    found = run(unpacked("csv_edge_cases/csv_edge_cases.tar.xz", tmp_path), tmp_path / "work")
    refused = {name: code for name, code in found.items() if isinstance(code, str)}
    assert set(refused.values()) <= REFUSALS
    assert len(found) > 800
    assert len(refused) < 30, refused
    differing = {
        name: tables
        for name, tables in found.items()
        if not isinstance(tables, str)
        for ours, theirs in tables
        if theirs is not None and ours != theirs
    }
    assert differing == {}


@pytest.mark.parametrize("name", ["calamine_tests", "sheetjs_subset"])
def test_every_workbook_is_opened_or_refused(tmp_path: Path, name: str) -> None:
    found = run(unpacked(f"xlsx_torture/{name}.tar.xz", tmp_path), tmp_path / "work")
    refused = {name: code for name, code in found.items() if isinstance(code, str)}
    assert set(refused.values()) <= REFUSALS
    protected = {name for name in found if "pass_protected" in name}
    assert all(found[name] == SourceCode.ENCRYPTED for name in protected)
    damaged = {name for name, code in refused.items() if code == SourceCode.INVALID_FORMAT}
    assert len(damaged) <= 8, damaged
