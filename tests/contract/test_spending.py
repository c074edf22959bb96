"""The partner's day budget for models, over two workers and both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from model_wire import NOTHING_RUN, table, version

from engine.ids import utcnow
from engine.llm import Call, Reply
from engine.mapping import Models, Status, Suggested, suggest
from engine.settings import Settings
from engine.spending import MONEY, TOKENS, DayPurse
from engine.store import partners, quotas
from engine.store.database import open_database

PLAN = version({"name": "alpha"})


@pytest.fixture
def workers(database: sa.Engine, database_url: str) -> Iterator[tuple[sa.Engine, sa.Engine]]:
    """Two processes' worth of connections to one database."""
    other = open_database(database_url)
    yield database, other
    other.dispose()


@pytest.fixture
def partner(database: sa.Engine) -> str:
    with database.begin() as c:
        return partners.add(c, "p").id


def purse(engine: sa.Engine, partner: str, **limits: float) -> DayPurse:
    return DayPurse(engine=engine, settings=Settings(**limits), partner=partner)


def used(engine: sa.Engine, partner: str, name: str) -> int:
    with engine.begin() as c:
        return quotas.used(c, partner, f"{name}:{utcnow().date()}")


def asked(using: DayPurse) -> Suggested:
    def send(call: Call) -> Reply:
        text = '{"matches": [{"field": "alpha", "column": 0}]}'
        return Reply(text=text, prompt_tokens=400, output_tokens=20, cost=0.002)

    models = Models(names=("openai/fake",), send=send)
    return suggest(PLAN, [table(PLAN, {"Qqq": ["1"]})], NOTHING_RUN, models=models, purse=using)


def test_two_workers_never_reserve_more_than_the_day_has(
    workers: tuple[sa.Engine, sa.Engine], partner: str
) -> None:
    purses = [purse(each, partner, llm_day_tokens=1_000) for each in workers]
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda at: purses[at % 2].reserve(tokens=100, cost=0.0), range(20)))
    assert sum(told) == 10
    assert used(workers[0], partner, TOKENS) == 1_000


def test_what_was_reserved_becomes_what_was_spent(
    workers: tuple[sa.Engine, sa.Engine], partner: str
) -> None:
    told = [asked(purse(each, partner)) for each in workers]
    assert [each.status for each in told] == [Status.ANSWERED] * 2
    assert used(workers[1], partner, TOKENS) == 2 * 420
    assert used(workers[1], partner, MONEY) == 2 * 2_000


@pytest.mark.parametrize("limit", [{"llm_day_tokens": 420}, {"llm_day_usd": 0.05}])
def test_the_call_the_day_refuses_is_told_in_the_ledger(
    workers: tuple[sa.Engine, sa.Engine], partner: str, limit: dict[str, float]
) -> None:
    first, second = (purse(each, partner, **limit) for each in workers)
    assert first.reserve(tokens=20, cost=0.01)
    told = asked(second)
    (line,) = told.exchanges
    assert (told.status, told.repairs) == (Status.BUDGET, ())
    assert (line.prompt, line.prompt_tokens) == ("", 0)
    assert line.status == "not sent: the partner's budget for models is used up for today"
    assert used(workers[0], partner, TOKENS) == 20


def test_a_partner_may_have_a_budget_of_its_own(database: sa.Engine, partner: str) -> None:
    with database.begin() as c:
        partners.limit(c, partner, limits={TOKENS: 0})
    assert not purse(database, partner).reserve(tokens=1, cost=0.0)
