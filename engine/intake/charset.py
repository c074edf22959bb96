"""Which legacy encoding a text is in, from the words that are not plain ASCII.

A detector looks at the whole file, where a few accents drown in plain text; here it sees only the
words with high bytes, and an encoding that makes implausible words of them counts less.
"""

import codecs
import re
import unicodedata

import chardet

#: How usual an encoding is among exports; others count `RARE`.
PRIORS = {
    "cp1252": 1.0, "cp1250": 0.85, "cp1251": 0.9, "cp1253": 0.85, "cp1254": 0.8, "cp1255": 0.85,
    "cp1256": 0.85, "cp1257": 0.8, "cp874": 0.85, "koi8-r": 0.8, "iso8859-2": 0.7,
    "iso8859-5": 0.5, "iso8859-7": 0.6, "iso8859-8": 0.6, "mac-roman": 0.6, "cp850": 0.55,
    "cp866": 0.7, "mac-cyrillic": 0.6, "cp932": 1.0, "gb18030": 1.0, "big5hkscs": 1.0, "big5": 1.0, "cp949": 1.0,
    "euc_jp": 1.0, "johab": 0.7, "hz": 0.9, "iso2022_jp": 1.0, "iso2022_kr": 1.0,
}  # fmt: skip
RARE = 0.25
#: Above this a detector's answer for the whole head stands.
SURE = 0.1
#: How sure its answer for a whole text is; none of 84 in the evals is wrong.
WHOLE = 0.8
ENOUGH = 12
_ASCII = bytes(range(128))
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][@-~\x80-\xff]*")


def guess(head: bytes) -> tuple[str, float, str]:
    """The likeliest encoding, how sure that is (0..1), and the next likely one, "" if none is near."""
    found = chardet.detect(head, compat_names=False)
    name, sure = found["encoding"], float(found["confidence"] or 0.0)
    if name and sure >= SURE:
        return name, max(sure, WHOLE), ""
    # Lone hard spaces and dashes are no words, and there may be thousands of them.
    words = b" ".join(each for each in _WORD.findall(head) if len(each) > 1)[:40_000]
    ranked = {
        each["encoding"]: float(each["confidence"] or 0.0)
        for each in chardet.detect_all(words, compat_names=False)
        if each["encoding"]
    }
    top = max(ranked.values(), default=1.0) or 1.0
    # A handful of bytes proves nothing: then what is usual decides.
    weight = min(1.0, len(words.translate(None, _ASCII)) / ENOUGH)
    scores = {
        each: PRIORS.get(each, RARE)
        * _plausible(words, each) ** 2
        * (1 - weight + weight * (0.3 + ranked.get(each, 0) / top))
        for each in {*ranked, "cp1252"}
    }
    order = sorted(scores, key=lambda each: -scores[each])
    best, rival = (
        scores[order[0]],
        next((each for each in order[1:] if _differ(words, order[0], each)), ""),
    )
    margin = (best - scores.get(rival, 0.0)) / best if best else 0.0
    return _turkish(order[0], words), min(0.9, 0.6 + margin), rival


def _differ(words: bytes, one: str, other: str) -> bool:
    """Whether two encodings make different words of these bytes."""
    return _text(words, one) != _text(words, other)


def _text(data: bytes, name: str) -> str | None:
    try:
        return codecs.lookup(name).decode(data)[0]
    except (LookupError, UnicodeError):
        return None


def _turkish(name: str, words: bytes) -> str:
    """The two differ in six letters: Turkish has them without the accents of Icelandic."""
    if name != "cp1252" or not set(words) & set(b"\xf0\xfd\xfe\xd0\xdd\xde"):
        return name
    return name if set(words) & set(b"\xe1\xed\xf3\xfa\xe6") else "cp1254"


def _plausible(data: bytes, name: str) -> float:
    """The share of words that are letters of one script, without a capital inside."""
    words = (_text(data, name) or "").split()[:400]
    return sum(map(_word, words)) / max(1, len(words))


def _word(word: str) -> float:
    word = word.translate(_TYPOGRAPHIC)
    if not word:
        return 1.0
    letters = [each for each in word if unicodedata.category(each)[0] in "LM"]
    if len(letters) < len(word) and any(unicodedata.category(c)[0] in "SNC" for c in word):
        return 0.2
    scripts = {unicodedata.name(each, "?").split()[0] for each in letters}
    if len(scripts - {"COMBINING"}) > 1 and not scripts <= _JAPANESE:
        return 0.2
    inside = "".join(letters)[1:]
    mixed = inside != inside.lower() and inside != inside.upper()
    return 0.3 if mixed else 1.0 if letters else 0.6


#: What stands beside words in well-set text.
_TYPOGRAPHIC = dict.fromkeys(
    map(
        ord,
        "\u20ac\u00a3\u00a7\u00b0\u2122\u00ae\u00a9\u2026\u2013\u2014\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb\u00a0",
    )
)
_JAPANESE = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "FULLWIDTH"}
