"""A question to a model, and an answer that is exactly of the asked form, or a reason why not.

Ladder of forms, one repair round, retries, breaker, fall-back models, budget and cache stand here;
what is asked and what an answer means stand in `engine.mapping`.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from time import monotonic, sleep
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_result, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

from engine.llm import AGAIN, Call, Failure, Reply, Rung
from engine.phase import Purse

A = TypeVar("A", bound=BaseModel)
Send = Callable[[Call], Reply]

#: Consecutive failures after which a model is left alone, and for how long (seconds).
BREAKS_AFTER, BREAKS_FOR = 5, 60.0
#: A provider that asks for a longer pause than this is not waited for.
LONGEST_PAUSE = 20.0
#: Characters of an answer the ledger keeps.
SHOWN = 2_000
#: Characters a token, on the low side, so that a budget is never overspent by an estimate.
TOKEN = 3


class Status(StrEnum):
    """How a consultation ended."""

    OFF = "off"  #: no model is configured, or the data mode is none
    ANSWERED = "answered"  #: an answer of the asked form
    CACHED = "cached"  #: the same was asked before
    BUDGET = "over_budget"  #: the run's or the day's budget does not allow it
    UNAVAILABLE = "unavailable"  #: no model could be reached in time
    UNUSABLE = "unusable"  #: models answered, but nothing that can be used


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one run may still spend."""

    calls: int = 3
    prompt_tokens: int = 20_000
    output_tokens: int = 1_000
    cost: float = 0.05  #: USD
    seconds: float = 30.0

    def less(self, reply: Reply, *, prompt: int) -> "Budget":
        """After one call. A provider that tells no usage is charged by our own estimate."""
        used = reply.prompt_tokens or prompt
        return replace(
            self,
            calls=self.calls - 1,
            prompt_tokens=self.prompt_tokens - used,
            output_tokens=self.output_tokens - reply.output_tokens,
            cost=self.cost - (reply.cost or 0.0),
        )

    def allows(self, prompt: int) -> bool:
        """Whether a prompt of that many tokens may be sent."""
        left = self.calls > 0 and self.output_tokens > 0 and self.cost > 0
        return left and prompt <= self.prompt_tokens


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One line of the egress ledger: exactly what left, to which model, and what it cost.

    A call that a budget refused stands here too, with an empty prompt: nothing left.
    """

    model: str
    prompt: str
    digest: str  #: SHA-256 of the prompt
    status: str
    prompt_tokens: int
    output_tokens: int
    cost: float | None
    to: str = ""  #: the address it went to; empty for the provider's own
    answer: str = ""  #: what came back, as it came, at most `SHOWN` characters


@dataclass(frozen=True, kw_only=True, slots=True)
class Told(Generic[A]):
    """What a consultation gave."""

    status: Status
    answer: A | None
    exchanges: tuple[Exchange, ...]
    budget: Budget
    model: str = ""


@dataclass(kw_only=True)
class Models:
    """The configured models of this process, in order of preference, and how they have behaved."""

    names: tuple[str, ...]
    send: Send
    url: str = ""
    clock: Callable[[], float] = monotonic
    pause: Callable[[float], None] = sleep
    cache: dict[str, str] = field(default_factory=dict)
    rungs: dict[str, Rung] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    opened: dict[str, float] = field(default_factory=dict)

    def rests(self, name: str) -> bool:
        """Whether the model failed too often just now; after a while one call may try it again."""
        return self.clock() - self.opened.get(name, -BREAKS_FOR) < BREAKS_FOR

    def note(self, name: str, reply: Reply) -> None:
        """Count failures in a row; open the breaker at the fifth."""
        if reply.failure in AGAIN:
            self.failures[name] = self.failures.get(name, 0) + 1
            if self.failures[name] >= BREAKS_AFTER:
                self.opened[name] = self.clock()
        else:
            self.failures.pop(name, None)
            self.opened.pop(name, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question(Generic[A]):
    """What is asked: the two prompts, the form of the answer, and what else an answer must be."""

    system: str
    user: str
    schema: Mapping[str, Any]
    form: type[A]
    key: str  #: what the same question has in common: no marker, no time
    check: Callable[[A], str | None] = lambda _: None  #: what is wrong with an answer


def consult(
    models: Models, question: Question[A], *, budget: Budget, purse: Purse | None = None
) -> Told[A]:
    """The first usable answer of the configured models, within the run's and the day's budget."""
    key = hashlib.sha256(f"{models.names}\0{question.key}".encode()).hexdigest()
    if known := models.cache.get(key):
        same = question.form.model_validate_json(known)
        return Told(status=Status.CACHED, answer=same, exchanges=(), budget=budget)
    ends = models.clock() + budget.seconds
    talk = _Talk(models=models, question=question, budget=budget, purse=purse, ends=ends)
    for name in models.names:
        if models.rests(name):
            continue
        answer = talk.with_model(name)
        if answer is not None:
            models.cache[key] = answer.model_dump_json()
            return talk.told(Status.ANSWERED, answer, name)
    return talk.told(talk.reason or Status.UNAVAILABLE, None, "")


@dataclass(kw_only=True)
class _Talk(Generic[A]):
    """One consultation under way: what is spent, what was sent."""

    models: Models
    question: Question[A]
    budget: Budget
    purse: Purse | None
    ends: float
    exchanges: list[Exchange] = field(default_factory=list)
    reason: Status | None = None

    def told(self, status: Status, answer: A | None, model: str) -> Told[A]:
        return Told(
            status=status,
            answer=answer,
            exchanges=tuple(self.exchanges),
            budget=self.budget,
            model=model,
        )

    def with_model(self, name: str) -> A | None:
        """Down the ladder until a form is taken; one repair round for a wrong answer."""
        ladder = list(Rung)
        start = ladder.index(self.models.rungs.get(name, Rung.SCHEMA))
        for rung in ladder[start:]:
            reply = self.patiently(name, rung, self.question.user)
            if reply is None or reply.failure in AGAIN:
                return None
            if reply.failure is Failure.FORM:
                continue
            self.models.rungs[name] = rung
            return self.understood(name, rung, reply)
        self.reason = Status.UNUSABLE
        return None

    def understood(self, name: str, rung: Rung, reply: Reply) -> A | None:
        answer, wrong = _parsed(self.question, reply)
        if answer is None and reply.failure is None:
            again = (
                f"{self.question.user}\n\nYour last answer was not usable: {wrong}\nAnswer again."
            )
            repaired = self.once(name, rung, again)
            answer = _parsed(self.question, repaired)[0] if repaired else None
        if answer is None:
            self.reason = self.reason or Status.UNUSABLE
        return answer

    def patiently(self, name: str, rung: Rung, user: str) -> Reply | None:
        """With pauses between tries; None when the budget does not allow one."""
        retrying: Retrying = Retrying(
            stop=stop_after_attempt(3),
            wait=_pause,
            sleep=self.models.pause,
            retry=retry_if_result(self.again),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        return retrying(self.once, name, rung, user)

    def again(self, reply: Reply | None) -> bool:
        if reply is None or reply.failure not in AGAIN:
            return False
        late = self.models.clock() + (reply.retry_after or 0) >= self.ends
        return not late and (reply.retry_after or 0) <= LONGEST_PAUSE

    def once(self, name: str, rung: Rung, user: str) -> Reply | None:
        prompt = f"{self.question.system}\n{user}"
        tokens = len(prompt) // TOKEN + 1
        left = self.ends - self.models.clock()
        if left <= 0:
            self.reason = self.reason or Status.UNAVAILABLE
            return None
        if not self.budget.allows(tokens):
            self.refused(name, "the run's budget for models is used up")
            return None
        most = tokens + self.budget.output_tokens
        if self.purse and not self.purse.reserve(tokens=most, cost=self.budget.cost):
            self.refused(name, "the partner's budget for models is used up for today")
            return None
        call = Call(
            model=name,
            system=self.question.system,
            user=user,
            schema=self.question.schema,
            rung=rung,
            seconds=left,
            max_tokens=self.budget.output_tokens,
            url=self.models.url,
        )
        reply = self.models.send(call)
        if self.purse:
            spent = (reply.prompt_tokens or tokens) + reply.output_tokens
            self.purse.settle(
                tokens=most,
                cost=self.budget.cost,
                spent_tokens=spent,
                spent_cost=reply.cost or 0.0,
            )
        self.models.note(name, reply)
        self.budget = self.budget.less(reply, prompt=tokens)
        self.exchanges.append(_exchange(name, prompt, reply, url=self.models.url))
        return reply

    def refused(self, name: str, why: str) -> None:
        """Nothing is sent, and the ledger says so."""
        self.reason = self.reason or Status.BUDGET
        self.exchanges.append(
            Exchange(
                model=name,
                prompt="",
                digest="",
                status=f"not sent: {why}",
                prompt_tokens=0,
                output_tokens=0,
                cost=None,
            )
        )


def _exchange(name: str, prompt: str, reply: Reply, *, url: str) -> Exchange:
    return Exchange(
        model=name,
        prompt=prompt,
        digest=hashlib.sha256(prompt.encode()).hexdigest(),
        status=f"{reply.failure}: {reply.message}" if reply.failure else "answered",
        prompt_tokens=reply.prompt_tokens,
        output_tokens=reply.output_tokens,
        cost=reply.cost,
        to=_address(url),
        answer=reply.text[:SHOWN],
    )


def _address(url: str) -> str:
    """Scheme, host and port: a path or a user name in it may be a secret."""
    there = urlsplit(url)
    port = f":{there.port}" if there.port else ""
    return f"{there.scheme}://{there.hostname}{port}" if there.hostname else ""


def _pause(state: RetryCallState) -> float:
    """What the provider asks for, else longer and longer."""
    reply = state.outcome.result() if state.outcome else None
    if isinstance(reply, Reply) and reply.retry_after:
        return min(reply.retry_after, LONGEST_PAUSE)
    return wait_exponential_jitter(multiplier=0.5, max=5.0)(state)


def _parsed(question: Question[A], reply: Reply) -> tuple[A | None, str]:
    """The answer, or what is wrong with it in words the model can use."""
    if reply.failure:
        return None, reply.failure.value
    try:
        answer = question.form.model_validate_json(_json(reply.text))
    except ValidationError as error:
        told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
        return None, "; ".join(told)
    wrong = question.check(answer)
    return (None, wrong) if wrong else (answer, "")


def _json(text: str) -> str:
    """The first JSON object in the text: models wrap it in words or a code fence."""
    start = text.find("{")
    if start < 0:
        return text
    try:
        value, _ = json.JSONDecoder().raw_decode(text[start:])
    except (json.JSONDecodeError, RecursionError):
        return text
    return json.dumps(value)
