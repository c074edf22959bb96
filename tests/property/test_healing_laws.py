"""Laws of healing: what is healed still reads day 1, and the same data gives the same answer."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from healing import look, version_of, with_repairs
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import staged

from engine.proposal import RepairKind
from engine.questions import decides, heals
from plans.versions import digest

FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d %b %Y", "%b %d, %Y")
DAYS = st.lists(
    st.dates(min_value=date(2000, 1, 1), max_value=date(2029, 12, 31)), min_size=1, max_size=6
)


@settings(max_examples=12)
@given(days=DAYS, first=st.sampled_from(FORMATS), then=st.sampled_from(FORMATS))
def test_a_healed_plan_still_reads_day_1_and_reads_dates_right(
    days: list[date], first: str, then: str
) -> None:
    mapping = {"transforms": [{"op": "date", "formats": [first]}]}
    version = version_of({"type": "date"}, mapping)
    with TemporaryDirectory() as name:
        folder = Path(name)
        old = staged(folder, ["N", "X"], _rows(days, first), file="old.csv")
        new = staged(folder, ["N", "X"], _rows(days, then), file="new.csv")
        healed = with_repairs(version, look(version, [new], folder).safe)
        assert look(healed, [old], folder).outcome.accounting.invalid == 0
        read = look(healed, [new], folder)
        samples = [s for r in read.repairs if r.effect for s in r.effect.samples]
        assert not [each for each in samples if each[2] not in (None, *map(str, days))] or (
            _swappable(days, first, then)
        )


@settings(max_examples=8)
@given(cents=st.lists(st.integers(-10_000_000, 10_000_000), min_size=1, max_size=6))
def test_a_heal_never_changes_what_a_number_is_worth(cents: list[int]) -> None:
    european = [f"{each / 100:,.2f}".translate(str.maketrans(",.", ".,")) for each in cents]
    version = version_of({"type": "decimal"}, {})
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = [[str(at), each] for at, each in enumerate(european)]
        found = look(version, [staged(folder, ["N", "X"], rows)], folder)
        worth = {text: each / 100 for text, each in zip(european, cents, strict=True)}
        for heal in found.safe:
            assert heal.effect is not None
            for _, raw, _, after in heal.effect.samples:
                assert after is not None
                assert abs(float(after) - worth[raw]) < 0.001


@settings(max_examples=5)
@given(days=DAYS, fmt=st.sampled_from(FORMATS))
def test_the_same_data_gives_the_same_repairs_and_digest(days: list[date], fmt: str) -> None:
    version = version_of({"type": "date"}, {})
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = staged(folder, ["N", "X"], _rows(days, fmt))
        one, two = (look(version, [table], folder) for _ in range(2))
        assert one.repairs == two.repairs
        assert one.safe == heals([each for each in one.repairs if decides(each)])
        plans = [with_repairs(version, each.safe) for each in (one, two)]
        assert plans[0].digest == plans[1].digest == digest(plans[0].plan, plans[0].templates)
        assert not [r for r in one.safe if r.kind is RepairKind.AMBIGUOUS_FORMAT]


def _rows(days: list[date], fmt: str) -> list[list[str]]:
    return [[str(at), day.strftime(fmt)] for at, day in enumerate(days)]


def _swappable(days: list[date], first: str, then: str) -> bool:
    """Day 1's own format reads the new file's cells, so nothing was invalid and nothing healed."""
    pair = {first, then} == {"%d/%m/%Y", "%m/%d/%Y"}
    return pair and any(day.day <= 12 for day in days)
