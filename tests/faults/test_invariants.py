"""The checker itself: each kind of damage is found and named."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from chaos import Storm, storm
from invariants import check_invariants

from engine.files import Files, open_files
from engine.store import runs
from engine.store.database import open_database

DAMAGE = {
    "I1": "UPDATE runs SET status = 'queued' WHERE id = :run",
    "I3": 'UPDATE runs SET counts = \'{"read": 9, "valid": 2}\' WHERE id = :run',
    "I5": "DELETE FROM artifacts WHERE run = :run",
    "I6": "UPDATE runs SET company = (SELECT company FROM runs WHERE id = :run), started_at = 0"
    " WHERE partner = (SELECT partner FROM runs WHERE id = :run)",
    "I7": "UPDATE plan_versions SET document = replace(document, 'E-mail', 'E-nail')",
    "I8": "DELETE FROM events WHERE type = 'run.decided'",
    "I9": "DELETE FROM deliveries WHERE event IN (SELECT id FROM events WHERE run = :run)",
    "has a gap": "DELETE FROM events WHERE run = :run AND sequence = 2",
    "went from": "UPDATE events SET type = 'run.needs_attention' WHERE type = 'run.queued'",
    "otherwise": "UPDATE events SET type = 'run.failed' WHERE type = 'run.completed'",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Storm, Path]]:
    """A database after runs of each kind, with nothing wrong."""
    folder = tmp_path_factory.mktemp("sound")
    with storm(f"sqlite:///{folder}/state.db", folder, workers=1) as under:
        for number, does in enumerate(({}, {"ask": True}, {"approve": True}, {})):
            world, company = under.companies[number]
            with under.work.engine.begin() as c:
                run = under.work.submit(
                    c, world.partner.id, company=company, options=does, actor="x"
                )
                under.accepted.append(run.id)
        under.settle(Random(3))
        assert under.violations() == []
        with under.work.engine.connect() as c:
            c.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        yield under, folder


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_to_the_state_is_found(sound: tuple[Storm, Path], tmp_path: Path, kind: str) -> None:
    under, folder = sound
    shutil.copy(folder / "state.db", tmp_path / "damaged.db")
    engine = open_database(f"sqlite:///{tmp_path}/damaged.db")
    with engine.begin() as c:
        c.execute(sa.text("DROP INDEX ix_runs_one_active"))
        c.execute(
            sa.text(DAMAGE[kind]), {"run": under.accepted[0]} if ":run" in DAMAGE[kind] else {}
        )
    found = violations(under, engine)
    engine.dispose()
    assert any(kind in each for each in found), found


def test_damage_to_files_is_found(sound: tuple[Storm, Path]) -> None:
    under, folder = sound
    files = open_files(under.work.settings)
    with under.work.engine.begin() as c:
        partner = under.companies[0][0].partner.id
        (made,) = runs.artifacts_of(c, partner, under.accepted[0])
    path = files.local(made.key)
    assert path is not None
    content = path.read_bytes()
    for text, kind in (
        (content[:-1], "not whole"),
        (b"x" * len(content), "I4"),
        (None, "not there"),
    ):
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_bytes(text)
        assert any(kind in each for each in violations(under, under.work.engine))
    path.write_bytes(content)
    orphan = path.with_name("0" * 32)
    orphan.write_bytes(b"x")
    assert any("I11" in each for each in violations(under, under.work.engine))
    orphan.unlink()
    lost = check_invariants(under.work.engine, files, accepted=["run_lost"], folder=folder)
    assert lost == ["I1 run_lost was accepted and is gone"]


def violations(under: Storm, engine: sa.Engine) -> list[str]:
    files: Files = open_files(under.work.settings)
    return check_invariants(engine, files, accepted=under.accepted, folder=under.fleet.folder)
