import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from engine.ids import Kind, earliest, folder_name, new_id, utcnow
from engine.settings import SettingsInvalid, from_environment, load_secrets

GOOD = base64.b64encode(bytes(range(32))).decode()


def test_defaults_need_nothing_but_a_folder(tmp_path: Path) -> None:
    settings = from_environment({"REKNIT_DATA_DIR": str(tmp_path), "PATH": "/bin"})
    assert settings.database == f"sqlite:///{tmp_path}/reknit.db"
    assert settings.files == f"file://{tmp_path}/files"
    assert 0 < settings.partner_slots < settings.slots


def test_a_postgresql_url_gets_its_driver() -> None:
    settings = from_environment({"REKNIT_DATABASE_URL": "postgresql://u@h/d"})
    assert settings.database == "postgresql+psycopg://u@h/d"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REKNIT_WORKERS", "-1"),
        ("REKNIT_DATABSE_URL", "sqlite://"),
        ("REKNIT_FILES_URL", "ftp://x/y"),
        ("REKNIT_S3_ENDPOINT", "127.0.0.1:9000"),
    ],
)
def test_a_wrong_or_unknown_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=name):
        from_environment({name: value})


def test_secrets_are_made_once_even_by_many(tmp_path: Path) -> None:
    settings = from_environment({"REKNIT_DATA_DIR": str(tmp_path)})
    with ThreadPoolExecutor(8) as pool:
        rings = set(pool.map(lambda _: load_secrets(settings).ring, range(16)))
    assert len(rings) == 1
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secrets.json"]


@pytest.mark.parametrize(
    "text", ["a:changeme", "a:!!", f"a:{'A' * 44}", f"a:{GOOD},a:{GOOD}", "a:"]
)
def test_a_weak_or_broken_secret_is_refused(text: str) -> None:
    with pytest.raises(SettingsInvalid, match="REKNIT_SECRETS"):
        load_secrets(from_environment({"REKNIT_SECRETS": text}))


def test_a_rotated_ring_signs_with_the_first_and_knows_all() -> None:
    other = base64.b64encode(bytes(range(1, 33))).decode()
    ring = load_secrets(from_environment({"REKNIT_SECRETS": f"new:{GOOD},old:{other}"}))
    assert ring.current("pepper") == ring.every("pepper")[0]
    assert [name for name, _ in ring.every("pepper")] == ["new", "old"]
    assert ring.current("pepper")[1] != ring.current("upload-url")[1]
    assert "range" not in repr(ring)
    assert GOOD not in repr(ring)


def test_ids_sort_as_they_were_made_within_one_millisecond_too() -> None:
    made = [new_id(Kind.RUN) for _ in range(2_000)]
    assert made == sorted(made)


def test_ids_of_later_milliseconds_sort_later() -> None:
    assert new_id(Kind.RUN).startswith("run_")
    assert len({new_id(Kind.RUN) for _ in range(1_000)}) == 1_000
    assert earliest(Kind.RUN, utcnow() - timedelta(seconds=1)) < new_id(Kind.RUN)
    assert new_id(Kind.RUN) < earliest(Kind.RUN, utcnow() + timedelta(seconds=1))
    assert len(folder_name(new_id(Kind.UPLOAD))) == 32
    assert set(folder_name(new_id(Kind.UPLOAD))) <= set("0123456789abcdef")
