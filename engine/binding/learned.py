"""A dictionary of confirmed mappings: what a header, or the words in it, turned out to feed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log, log1p

from engine.binding.memory import Remembered, Scope, Trust
from engine.binding.words import normalised, words

#: How much one confirmation counts, by who confirmed and whose experience it is.
_TRUST = {Trust.HUMAN: 1.0, Trust.APPROVED: 0.8, Trust.HEALED: 0.4}
_SCOPE = {Scope.COMPANY: 2.0, Scope.SOURCE: 1.5, Scope.PARTNER: 1.0}

Counts = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Learned:
    """Weighted counts per field: of whole headers and of the words in them."""

    headers: Counts
    words: Counts
    fields: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """What the dictionary says for one header and field; all zero where it knows nothing."""

    header: float = 0.0  #: share of this very header's confirmations that went to the field
    known: float = 0.0  #: how often the header was confirmed at all (log)
    words: float = 0.0  #: how likely the field is by the header's words
    against: float = 0.0  #: share of the header's confirmations that went elsewhere


def learn(memory: Iterable[Remembered], *, template: str) -> Learned:
    """Count what was confirmed for this template."""
    headers: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    parts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    fields: dict[str, float] = defaultdict(float)
    for entry in memory:
        if entry.template != template:
            continue
        weight = _TRUST[entry.trust] * _SCOPE[entry.scope] * (1 + log(max(entry.count, 1)))
        for header in filter(normalised, entry.headers):
            headers[normalised(header)][entry.field] += weight
            for word in set(words(header)):
                parts[word][entry.field] += weight
            fields[entry.field] += weight
    return Learned(headers=headers, words=parts, fields=fields)


def support(learned: Learned, header: str) -> dict[str, Support]:
    """What speaks for each field the dictionary knows, given this header."""
    seen = learned.headers.get(normalised(header), {})
    total = sum(seen.values())
    likely = _by_words(learned, header)
    return {
        field: Support(
            header=seen.get(field, 0.0) / (total + 0.5),
            known=log1p(total),
            words=likely.get(field, 0.0),
            against=(total - seen.get(field, 0.0)) / (total + 0.5),
        )
        for field in learned.fields
    }


def _by_words(learned: Learned, header: str) -> dict[str, float]:
    """Posterior of each field by naive Bayes over the header's known words."""
    known = [word for word in set(words(header)) if word in learned.words]
    if not known:
        return {}
    total = sum(learned.fields.values())
    scores = {}
    for field, count in learned.fields.items():
        score = log(count / total)
        for word in known:
            score += log((learned.words[word].get(field, 0.0) + 0.1) / (count + 1.0))
        scores[field] = score
    top = max(scores.values())
    odds = {field: exp(score - top) for field, score in scores.items()}
    share = len(known) / len(set(words(header)))
    return {field: share * each / sum(odds.values()) for field, each in odds.items()}
