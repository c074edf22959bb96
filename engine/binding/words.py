"""What a header says: its normalised form, its words, and the concepts those words stand for."""

import re
import unicodedata
from functools import lru_cache
from importlib import resources

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SIGNS = {"#": " number ", "%": " percent ", "№": " number ", "&": " and "}
_APART = re.compile(r"[^\w]+|_+")
_DIGITS = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")
#: The lexicon's concept of words that tell nothing about a column.
_FILLER = "_"
_LONGEST = 5


@lru_cache(maxsize=50_000)
def normalised(header: str) -> str:
    """The header without case, accents, punctuation and camelCase; letters of every script stay."""
    text = unicodedata.normalize("NFKC", header)
    text = "".join(_SIGNS.get(each, each) for each in text)
    text = _CAMEL.sub(" ", text).casefold()
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
    left = list(words(header))
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
    return tuple(meaning) or words(header)


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
