"""What a header says: its normalised form, its words, and the concepts those words stand for."""

import re
import unicodedata
from functools import lru_cache
from importlib import resources

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SIGNS = {"#": " number ", "%": " percent ", "№": " number ", "&": " and "}
#: Letters that Unicode does not take apart into a plain one and a mark.
_PLAIN = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "\u0131": "i", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th"}
)
_APART = re.compile(r"[^\w]+|_+")
#: Scripts that put no space between words.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]{2,}")
_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
#: The lexicon's concept of words that tell nothing about a column.
_FILLER = "_"
_LONGEST = 5
_ADDRESS, _LINE, _STREET = "address", "line", "street"
_PLACES = frozenset({"street", "city", "state", "postal_code", "country", "po_box", "email"})
_PHONES = frozenset({"mobile", "fax", "pager"})
_REACHED = frozenset({*_PLACES, *_PHONES, "phone", "address", "website"}) - {"po_box"}
#: Whoever has a name is meant by it.
_NAMED = frozenset(
    {
        "manager", "assistant", "spouse", "owner", "company", "customer", "supplier", "product",
        "payee", "employee", "manufacturer", "project", "department", "event", "school", "brand",
        "campaign", "bank", "model", "parent",
        "lead", "opportunity", "teacher", "doctor", "driver", "course", "patient", "student",
        "tenant", "donor", "guest", "member", "warehouse", "carrier", "requester", "created_by",
    }
)  # fmt: skip


@lru_cache(maxsize=50_000)
def normalised(header: str) -> str:
    """The header without case, accents, punctuation and camelCase; letters of every script stay."""
    text = unicodedata.normalize("NFKC", header)
    text = "".join(_SIGNS.get(each, each) for each in text)
    text = _CAMEL.sub(" ", text).casefold().translate(_PLAIN)
    text = unicodedata.normalize("NFKD", text)
    text = "".join(each for each in text if not unicodedata.combining(each))
    return _APART.sub(" ", unicodedata.normalize("NFC", text)).strip()


@lru_cache(maxsize=50_000)
def words(header: str) -> tuple[str, ...]:
    """The normalised header's words, digits apart from letters."""
    return tuple(_DIGITS.sub(" ", normalised(header)).split())


@lru_cache(maxsize=50_000)
def concepts(header: str) -> tuple[str, ...]:
    """The header's words with every known word or phrase replaced by its concept, fillers left out."""
    found: list[str] = []
    left = [part for word in words(header) for part in _parts(word)]
    known = lexicon()
    while left:
        for size in range(min(_LONGEST, len(left)), 0, -1):
            concept = known.get(" ".join(left[:size]))
            if concept:
                found.append(concept)
                del left[:size]
                break
        else:
            found.append(left.pop(0))
    meaning = [each for each in found if each != _FILLER]
    return tuple(_placed(meaning)) or words(header)


def _placed(meaning: list[str]) -> list[str]:
    """What several concepts say together: a fax phone is a fax, a manager's name the manager.

    An address's part is that part; an address alone, or a line of it, is its street.
    """
    known = set(meaning)
    if known & _PHONES:
        meaning = [each for each in meaning if each not in ("phone", "number")]
    elif "phone" in known:
        meaning = [each for each in meaning if each != "number"]
    if {"status", "state"} <= known:
        meaning = [each for each in meaning if each != "status"]
    if "name" in known and known & _NAMED:
        meaning = [each for each in meaning if each != "name"]
    if {"country", "state"} <= known:
        meaning = [each for each in meaning if each != "state"]
    if "company" in known and known & _REACHED:
        meaning = ["work" if each == "company" else each for each in meaning]
    if _ADDRESS not in known:
        return meaning
    if _PLACES & set(meaning):
        return [each for each in meaning if each not in (_ADDRESS, _LINE)]
    return [_STREET if each == _ADDRESS else each for each in meaning if each != _LINE]


@lru_cache(maxsize=50_000)
def _parts(word: str) -> tuple[str, ...]:
    """A compound of two known words (workfax, Haupttelefon), else the word itself."""
    known = lexicon()
    if word in known:
        return (word,)
    if _UNSPACED.fullmatch(word):
        cuts = (cut for cut in range(len(word) - 1, 0, -1) if max(cut, len(word) - cut) > 1)
        halves = ((word[:cut], word[cut:]) for cut in cuts)
        return next((pair for pair in halves if known.keys() >= set(pair)), (word,))
    if len(word) < 6 or not word.isascii():
        return (word,)
    for cut in range(len(word) - 3, 2, -1):
        first, second = word[:cut], word[cut:]
        # German puts an s between the two.
        first = first if first in known else first.removesuffix("s")
        if first in known and second in known and _FILLER not in (known[first], known[second]):
            return (first, second)
    return (word,)


@lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Word or phrase to concept."""
    text = resources.files("engine.binding").joinpath("lexicon.txt").read_text("utf-8")
    known: dict[str, str] = {}
    for line in text.splitlines():
        concept, colon, phrases = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        for phrase in (concept.replace("_", " "), *phrases.split("|")):
            known.setdefault(" ".join(words(phrase)), concept)
    known.pop("", None)
    return known
