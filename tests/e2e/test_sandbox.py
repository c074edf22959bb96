import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import hostile
import pytest

from engine.errors import (
    Canceled,
    ChildCrashed,
    ChildTimeout,
    SourceCode,
    SourceError,
    StorageError,
)
from engine.sandbox import Limits, Progress, Usage, call

REFUSED = [
    hostile.open_socket,
    hostile.connect_natively,
    hostile.read_secret,
    hostile.read_secret_natively,
    hostile.write_outside,
    hostile.fork,
    hostile.run_program,
    hostile.kill_server,
    hostile.take_memory,
    hostile.take_memory_natively,
    hostile.fill_disk,
    hostile.segfault,
    hostile.abort,
    hostile.leave,
    hostile.answer_with_code,
    hostile.answer_with_attribute,
]


def limits(folder: Path, *, seconds: float = 60.0) -> Limits:
    return Limits(folder=folder, seconds=seconds)


def test_a_value_progress_and_usage_come_back(tmp_path: Path) -> None:
    progress: list[Progress] = []
    usage: list[Usage] = []
    answer = call(
        hostile.double, 21, limits=limits(tmp_path), progress=progress.append, usage=usage.append
    )
    assert answer == 42
    assert [each.done for each in progress] == [0, 2]
    assert usage[0].rss > 1 << 20


def test_the_environment_of_a_child_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    seen = call(hostile.environment, limits=limits(tmp_path))
    assert "hunter2" not in str(seen)
    assert set(seen) == {"initial"}


def test_no_child_spends_a_second_on_pandas(tmp_path: Path) -> None:
    assert call(hostile.looks_for_pandas, limits=limits(tmp_path)) is False


def test_our_values_come_back_as_they_are(tmp_path: Path) -> None:
    code, path = call(hostile.answer_with_enum, limits=limits(tmp_path))
    assert code is SourceCode.EMPTY
    assert path == Path("a")


def test_our_errors_pass_with_code_and_place(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.csv, line 1: nothing in it") as caught:
        call(hostile.refuse, limits=limits(tmp_path))
    assert caught.value.code is SourceCode.EMPTY


def test_a_full_disk_is_no_crash_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no space is left"):
        call(hostile.find_disk_full, limits=limits(tmp_path))


def test_an_error_nobody_foresaw_is_one_line_and_its_trace_a_note(tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed) as caught:
        call(hostile.fail, limits=limits(tmp_path))
    assert str(caught.value) == "the child failed: ValueError: not as it should be"
    assert "hostile.py" in caught.value.__notes__[0]


def test_a_cell_a_library_quotes_stands_in_no_message_and_no_log(tmp_path: Path) -> None:
    with pytest.raises(ChildCrashed, match="ConversionException: Conversion Error") as caught:
        call(hostile.stumble, limits=limits(tmp_path))
    told = "".join((str(caught.value), *caught.value.__notes__))
    assert not any(word in told for word in ("Brien", "nary"))


@pytest.mark.parametrize("attack", REFUSED, ids=lambda each: each.__name__)
def test_an_attack_is_one_typed_error_and_the_next_call_works(
    tmp_path: Path, attack: Callable[[], object]
) -> None:
    with pytest.raises(ChildCrashed):
        call(attack, limits=limits(tmp_path))
    assert not (tmp_path.parent / "outside.txt").exists()
    assert not list(tmp_path.rglob("pwned"))
    assert call(hostile.double, 1, limits=limits(tmp_path)) == 2


def test_a_child_past_its_time_is_killed(tmp_path: Path) -> None:
    with pytest.raises(ChildTimeout, match="spin ran past"):
        call(hostile.spin, limits=limits(tmp_path, seconds=0.5))


def test_a_canceled_child_is_killed(tmp_path: Path) -> None:
    with pytest.raises(Canceled):
        call(hostile.spin, limits=limits(tmp_path), cancel=lambda: True)


def test_many_threads_share_one_server(tmp_path: Path) -> None:
    answers: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=n: answers.append(call(hostile.double, n, limits=limits(tmp_path)))
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 2, 4, 6, 8, 10, 12, 14]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    call(hostile.double, 1, limits=limits(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        call(hostile.double, 1, limits=limits(tmp_path))
        with pytest.raises(ChildCrashed):
            call(hostile.abort, limits=limits(tmp_path))
    # Threads of other tests may hold some for a moment, and may have given some back.
    deadline = time.monotonic() + 30
    while len(os.listdir("/proc/self/fd")) > before:
        assert time.monotonic() < deadline
        time.sleep(0.05)
