"""Columns addressed by number whose values stand elsewhere: told by what each column holds."""

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TypeVar

W = TypeVar("W", bound=Hashable)
Fit = Callable[[W, int], float | None]

#: A share of fitting values that proves a column, and one that rules it out.
PROVEN, RULED_OUT = 0.9, 0.3


def displaced(
    places: Mapping[W, int], *, telling: Collection[W], fit: Fit[W], width: int
) -> dict[W, int | None]:
    """Whatever is not at its number any more: where it is, or None where the values do not tell.

    `places`: the number each one is asked for; `telling`: those whose type a value gives away.
    """
    wrong = [each for each in telling if not _there(each, places[each], fit, width)]
    if not wrong:
        return {}
    kept = {places[each] for each in telling if each not in wrong}
    moved = _found({each: places[each] for each in wrong}, kept, fit, width)
    texts = [each for each in places if each not in telling]
    return moved | _followed(texts, places, moved, alone=not kept, width=width)


def _there(each: W, at: int, fit: Fit[W], width: int) -> bool:
    share = fit(each, at) if at < width else 0.0
    return share is None or share >= RULED_OUT


def _found(
    places: Mapping[W, int], kept: Collection[int], fit: Fit[W], width: int
) -> dict[W, int | None]:
    """The only column that holds such values; of several, the one as far off as the others are."""
    fitting = {
        each: [at for at in range(width) if at not in kept and (fit(each, at) or 0.0) >= PROVEN]
        for each in places
    }
    sure = {each: found[0] for each, found in fitting.items() if len(found) == 1}
    steps = {at - places[each] for each, at in sure.items()}
    step = steps.pop() if len(steps) == 1 else None
    return {
        each: sure.get(each, at + step if step and at + step in fitting[each] else None)
        for each, at in places.items()
    }


def _followed(
    texts: Collection[W],
    places: Mapping[W, int],
    moved: Mapping[W, int | None],
    *,
    alone: bool,
    width: int,
) -> dict[W, int | None]:
    """Texts fit anywhere: they go where a common shift, or the one gap that is left, puts them."""
    steps = {None if at is None else at - places[each] for each, at in moved.items()}
    if alone and len(steps) == 1 and None not in steps and len(moved) > 1:
        step, first = steps.pop() or 0, min(places[each] for each in moved)
        # A column came or went before the first one; where among the texts there, nobody can tell.
        shifted = {each: places[each] + step for each in texts if places[each] > first}
        return dict.fromkeys(texts) | {each: at for each, at in shifted.items() if at < width}
    taken = set(moved.values())
    pushed = [each for each in texts if places[each] in taken]
    gaps = {places[each] for each in moved} - taken
    if not pushed and not gaps:
        return {}
    if len(pushed) == len(gaps) == 1:
        return {pushed[0]: gaps.pop()}
    return dict.fromkeys(texts if alone else pushed)
