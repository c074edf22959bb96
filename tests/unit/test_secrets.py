import pytest

from engine.errors import StorageError
from engine.secrets import Keys, open_sealed, reseal, seal

OLD = Keys({"a": b"a" * 32}, "a")
NEW = Keys({"a": b"a" * 32, "b": b"b" * 32}, "b")


def test_what_was_sealed_opens_and_does_not_show() -> None:
    sealed = seal(OLD, b"hunter2", context=b"dest_1")
    assert b"hunter2" not in sealed
    assert open_sealed(OLD, sealed, context=b"dest_1") == b"hunter2"
    assert sealed != seal(OLD, b"hunter2", context=b"dest_1")
    assert "aaaa" not in repr(OLD)


def test_it_opens_for_nobody_else_and_not_when_changed() -> None:
    sealed = seal(OLD, b"hunter2", context=b"dest_1")
    with pytest.raises(StorageError, match="belongs to another"):
        open_sealed(OLD, sealed, context=b"dest_2")
    for place in range(2, len(sealed)):
        changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(StorageError):
            open_sealed(OLD, changed, context=b"dest_1")


def test_rotation_keeps_old_secrets_readable_until_they_are_sealed_again() -> None:
    sealed = seal(OLD, b"hunter2", context=b"c")
    assert open_sealed(NEW, sealed, context=b"c") == b"hunter2"
    again = reseal(NEW, sealed, context=b"c")
    assert open_sealed(Keys({"b": b"b" * 32}, "b"), again, context=b"c") == b"hunter2"
    assert reseal(NEW, again, context=b"c") == again
    with pytest.raises(StorageError, match="needs key b'a'"):
        open_sealed(Keys({"b": b"b" * 32}, "b"), sealed, context=b"c")
