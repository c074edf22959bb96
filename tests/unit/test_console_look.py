import re

import pytest
from console_pages import pages
from hypothesis import given
from hypothesis import strategies as st

from api.console.look import LANGUAGES, file_size, percent, preferred, segments, visible
from api.console.shown import Names, moments
from engine.accounting import Accounting
from engine.ids import utcnow
from engine.model import Event


@given(st.tuples(*[st.integers(0, 10**9)] * 4))
def test_bar_shows_every_count_and_never_more_than_its_width(counts: tuple[int, ...]) -> None:
    valid, invalid, duplicate, skipped = counts
    read = sum(counts)
    parts = segments(
        Accounting(read=read, valid=valid, invalid=invalid, duplicate=duplicate, skipped=skipped)
    )
    assert [part.count for part in parts] == [count for count in counts if count]
    assert all(part.width > 0 for part in parts)
    assert sum(part.width for part in parts) <= 100.01


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a & <b>", "a &amp; &lt;b&gt;"),
        (" x", "<i>·</i>x"),
        ("x  ", "x<i>··</i>"),
        ("   ", "<i>···</i>"),
        ("a\tb", "a<i>⇥</i>b"),
        ("abc\u202edef", "abc<i>[U+202E]</i>def"),
        ("\x00", "<i>[U+0000]</i>"),
        ("\ud800", "<i>[U+D800]</i>"),
    ],
)
def test_what_cannot_be_seen_is_shown(raw: str, shown: str) -> None:
    assert visible(raw) == shown


@given(st.text())
def test_any_text_becomes_text_only(raw: str) -> None:
    shown = re.sub(r"</?i>", "", visible(raw))
    assert "<" not in shown
    assert ">" not in shown
    assert '"' not in shown


def test_a_share_below_one_is_never_shown_as_whole() -> None:
    assert [percent(share) for share in (0, 0.994, 0.999, 1)] == ["0 %", "99 %", "99 %", "100 %"]


def test_sizes_are_read_in_their_unit() -> None:
    assert [file_size(count) for count in (0, 999, 1_000, 91_022, 5_211_008)] == [
        "0 B", "999 B", "1.0 kB", "91.0 kB", "5.2 MB",
    ]  # fmt: skip


def test_language_is_the_first_one_that_is_spoken_here() -> None:
    assert preferred("fr-FR,fr;q=0.9,de;q=0.8") == ("de" if "de" in LANGUAGES else "en")
    assert preferred("xx") == "en"
    assert preferred("de", chosen="en") == "en"


@pytest.mark.parametrize("name", sorted(pages()))
def test_page_has_no_inline_script_style_or_foreign_address(name: str) -> None:
    page = pages()[name]
    assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|<style|\son[a-z]+=", page)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"kind": "import", "waits": False}, "Queued"),
        ({"kind": "import", "waits": True}, "Queued behind another import"),
        ({"kind": "undo", "waits": False}, "Undo queued"),
        ({"kind": "replay", "waits": False}, "Replay of rejected rows queued"),
    ],
)
def test_the_timeline_says_what_was_queued(data: dict[str, object], shown: str) -> None:
    event = Event(
        id="e", partner="p", company="c", run="r", sequence=1, type="run.queued", data=data,
        actor="engine", at=utcnow(),
    )  # fmt: skip
    (moment,) = moments(Names(c=None, partner="p"), [event])  # type: ignore[arg-type]
    assert (moment.title, moment.detail) == (shown, "")
