"""The short form of `make faults`: a few kills on each database, every invariant checked."""

from pathlib import Path

from chaos import rage


def test_killed_workers_lose_and_double_nothing(database_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "fleet"
    folder.mkdir()
    under, violations, _ = rage(database_url, folder, kills=6, seed=7)
    assert violations == []
    assert under.accepted
