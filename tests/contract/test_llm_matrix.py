"""Whatever a provider does, a run goes on: 26 ways to fail, one status each, no unchecked answer."""

import json
import warnings
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import httpx
import pytest
import respx
from model_wire import CHAT, KEY, NOTHING_RUN, Stream, body, dripping, models, table, version

from engine.mapping import Budget, Models, Status, Suggested, suggest
from engine.mapping.converse import BREAKS_AFTER, BREAKS_FOR

pytestmark = pytest.mark.filterwarnings("ignore")

PLAN = version({"name": "alpha"}, {"name": "beta"})
COLUMNS = {"Qqq": ["1"], "Www": ["x"]}
GOOD = {"matches": [{"field": "alpha", "column": 0}, {"field": "beta", "column": 1}]}


@pytest.fixture(scope="module", autouse=True)
def litellm_is_loaded() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm  # noqa: F401


@pytest.fixture
def wire() -> Iterator[respx.Route]:
    with respx.mock(assert_all_called=False) as router:
        yield router.post(CHAT)


def asked(using: Models, **budget: Any) -> Suggested:
    return suggest(
        PLAN,
        [table(PLAN, COLUMNS)],
        NOTHING_RUN,
        models=using,
        budget=Budget(**{"seconds": 5.0, "calls": 6, **budget}),
    )


def said(text: Any, **choice: Any) -> httpx.Response:
    return httpx.Response(200, json=body(text, **choice))


def error(status: int, message: str = "no", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"message": message}}, headers=headers)


CASES: dict[str, tuple[Any, Status]] = {
    "connection refused": (httpx.ConnectError("refused"), Status.UNAVAILABLE),
    "no such host": (httpx.ConnectError("name or service not known"), Status.UNAVAILABLE),
    "tls fails": (httpx.ConnectError("certificate verify failed"), Status.UNAVAILABLE),
    "connect timeout": (httpx.ConnectTimeout("slow"), Status.UNAVAILABLE),
    "read timeout": (httpx.ReadTimeout("slow"), Status.UNAVAILABLE),
    "protocol broken": (httpx.RemoteProtocolError("garbage"), Status.UNAVAILABLE),
    "dripping": (lambda: httpx.Response(200, stream=Stream(dripping(3))), Status.UNAVAILABLE),
    "300 MiB": (lambda: httpx.Response(200, stream=Stream(repeat(b"x" * (1 << 20), 300))),
                Status.UNAVAILABLE),
    "redirect": (httpx.Response(302, headers={"location": "http://169.254.169.254/"}),
                 Status.UNUSABLE),
    "html": (httpx.Response(200, text="<html>"), Status.UNAVAILABLE),
    "empty body": (httpx.Response(200, text=""), Status.UNAVAILABLE),
    "cut JSON": (httpx.Response(200, text=json.dumps(body(GOOD))[:80]), Status.UNAVAILABLE),
    "no choices": (httpx.Response(200, json={**body(""), "choices": []}), Status.UNUSABLE),
    "null content": (said(None), Status.UNUSABLE),
    "refusal": (said("I cannot help with that."), Status.UNUSABLE),
    "out of tokens": (said('{"matches": [', finish_reason="length"), Status.UNUSABLE),
    "wrong form": (said({"mapping": {}}), Status.UNUSABLE),
    "unknown column": (said({"matches": [{"field": "alpha", "column": 9}]}), Status.UNUSABLE),
    "unknown field": (said({"matches": [{"field": "admin", "column": 0}]}), Status.UNUSABLE),
    "column twice": (said({"matches": [{"field": f, "column": 0} for f in ("alpha", "beta")]}),
                     Status.UNUSABLE),
    "error body": (httpx.Response(200, json={"error": {"message": "no"}}), Status.UNUSABLE),
    "context too long": (error(400, "maximum context length is 8 tokens"), Status.UNUSABLE),
    "bad key": (error(401, f"wrong key {KEY}"), Status.UNUSABLE),
    "not found": (error(404, "no such model"), Status.UNUSABLE),
    "rate limited": (error(429, "slow down", **{"retry-after": "1"}), Status.UNAVAILABLE),
    "server error": (error(503), Status.UNAVAILABLE),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_run_goes_on_and_says_why(wire: respx.Route, name: str) -> None:
    answer, status = CASES[name]
    if callable(answer):
        wire.mock(side_effect=lambda _: answer())
    elif isinstance(answer, Exception):
        wire.mock(side_effect=answer)
    else:
        wire.mock(return_value=answer)
    told = asked(models(), seconds=1.0 if name == "dripping" else 5.0)
    assert (told.status, told.repairs) == (status, ())
    assert 1 <= len(told.exchanges) <= 6
    assert KEY not in str(told)


@pytest.mark.parametrize("text", ["```json\n%s\n```", "Sure! %s Hope that helps."])
def test_an_answer_in_words_or_a_fence_is_understood(wire: respx.Route, text: str) -> None:
    wire.mock(return_value=said(text % json.dumps(GOOD)))
    assert [each.field for each in asked(models()).repairs] == ["alpha", "beta"]


def test_a_wrong_answer_is_sent_back_once_with_what_is_wrong(wire: respx.Route) -> None:
    wire.mock(side_effect=[said({"matches": [{"field": "alpha", "column": 9}]}), said(GOOD)])
    told = asked(models())
    assert told.status is Status.ANSWERED
    assert "column 9 is no candidate of alpha" in told.exchanges[1].prompt


def test_a_provider_without_schemas_is_asked_in_plainer_ways_and_remembered(
    wire: respx.Route,
) -> None:
    refused = error(400, "response_format is not supported")
    wire.mock(side_effect=[refused, refused, said(GOOD), said(GOOD)])
    using = models()
    assert asked(using).status is Status.ANSWERED
    using.cache.clear()
    assert asked(using).status is Status.ANSWERED
    forms = [json.loads(call.request.content).get("response_format", {}) for call in wire.calls]
    assert [form.get("type") for form in forms] == ["json_schema", "json_object", None, None]


def test_it_tries_three_times_and_waits_as_long_as_asked(wire: respx.Route) -> None:
    slow = error(429, "slow down", **{"retry-after": "2"})
    wire.mock(side_effect=[slow, error(500), said(GOOD)])
    pauses: list[float] = []
    told = asked(models(pause=pauses.append))
    assert told.status is Status.ANSWERED
    assert pauses[0] == 2.0
    assert wire.call_count == 3


def test_a_model_that_asks_for_a_long_pause_is_not_waited_for(wire: respx.Route) -> None:
    wire.mock(return_value=error(429, "tomorrow", **{"retry-after": "3600"}))
    assert asked(models()).status is Status.UNAVAILABLE
    assert wire.call_count == 1


def test_the_next_model_answers_when_the_first_cannot(wire: respx.Route) -> None:
    wire.mock(side_effect=[error(401), said(GOOD)])
    told = asked(models("openai/first", "openai/second"))
    assert [each.model for each in told.exchanges] == ["openai/first", "openai/second"]
    assert told.status is Status.ANSWERED


def test_the_breaker_opens_after_five_failures_and_lets_one_try_later(wire: respx.Route) -> None:
    now = [0.0]
    using = models(clock=lambda: now[0])
    wire.mock(return_value=error(503))
    asked(using)
    asked(using)
    assert wire.call_count >= BREAKS_AFTER
    before = wire.call_count
    assert asked(using).exchanges == ()
    now[0] += BREAKS_FOR
    wire.mock(return_value=said(GOOD))
    assert asked(using).status is Status.ANSWERED
    assert wire.call_count == before + 1


def test_budgets_are_kept_to_the_token(wire: respx.Route) -> None:
    wire.mock(return_value=said(GOOD))
    told = asked(models())
    assert told.budget.calls == 5
    assert told.budget.prompt_tokens == 20_000 - 100
    assert told.budget.output_tokens == 1_000 - 20
    for nothing in ({"calls": 0}, {"prompt_tokens": 10}, {"cost": 0.0}):
        assert asked(models(), **nothing).status is Status.BUDGET
    assert wire.call_count == 1


def test_usage_that_nobody_tells_is_charged_by_our_own_estimate(wire: respx.Route) -> None:
    answer = body(GOOD)
    del answer["usage"]
    wire.mock(return_value=httpx.Response(200, json=answer))
    assert asked(models()).budget.prompt_tokens < 20_000 - 200


def test_the_same_drift_costs_nothing_the_second_time(wire: respx.Route) -> None:
    wire.mock(return_value=said(GOOD))
    using = models()
    first, second = asked(using), asked(using)
    assert (second.status, second.exchanges) == (Status.CACHED, ())
    assert [each.changes for each in first.repairs] == [each.changes for each in second.repairs]
    assert wire.call_count == 1


def test_without_a_model_nothing_is_asked_and_that_is_said() -> None:
    told = suggest(PLAN, [table(PLAN, COLUMNS)], NOTHING_RUN, models=None)
    assert (told.status, told.repairs, told.exchanges) == (Status.OFF, (), ())
