"""How the figures hold on suites nobody has seen: each suite scored without anything learned from it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from unittest import mock

from engine.binding import pairs, similar, words
from engine.binding.score import Near
from evals.fit import Sample, fit
from evals.mapping import Guess, guesses, sample
from evals.tasks import Task

Lexicon = Mapping[str, str]


def without_weights(
    found: Sequence[Task], extra: Callable[[], list[Sample]], *, near: Near | None = None
) -> list[Guess]:
    """The weights learned from the other suites; the lexicon as it is."""
    return _each_suite(found, extra, lambda _: words.lexicon(), near=near)


def without_words(
    found: Sequence[Task], extra: Callable[[], list[Sample]], *, near: Near | None = None
) -> list[Guess]:
    """The same, and without every phrase of the lexicon that is a name in this suite alone.

    The lexicon was extended by somebody who had seen the suites: this is the other extreme.
    """
    names = {suite: _names(t for t in found if t.suite == suite) for suite in _suites(found)}

    def left(suite: str) -> Lexicon:
        others = set().union(*(each for name, each in names.items() if name != suite))
        alone = names[suite] - others
        return {phrase: to for phrase, to in words.lexicon().items() if phrase not in alone}

    return _each_suite(found, extra, {suite: left(suite) for suite in names}.__getitem__, near=near)


def _each_suite(
    found: Sequence[Task],
    extra: Callable[[], list[Sample]],
    lexicon: Callable[[str], Lexicon],
    *,
    near: Near | None,
) -> list[Guess]:
    told: list[Guess] = []
    for suite in _suites(found):
        known = lexicon(suite)
        with mock.patch.object(words, "lexicon", return_value=known):
            _forget()
            others = [sample(task, near=near) for task in found if task.suite != suite]
            model = fit([*others, *extra()], near=near)
            told += guesses([task for task in found if task.suite == suite], lambda _: model)  # noqa: B023
    _forget()
    return told


def _suites(found: Sequence[Task]) -> list[str]:
    return sorted({task.suite for task in found})


def _names(found: Iterable[Task]) -> set[str]:
    return {
        " ".join(words.words(name))
        for task in found
        for side in (*task.columns, *task.fields)
        for name in side.names
    }


def _forget() -> None:
    """What was understood with another lexicon."""
    for kept in (words.concepts, words._parts, similar.similarity, pairs._numbers):
        kept.cache_clear()
