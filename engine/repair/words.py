"""Values that are words: placeholders, yes and no, allowed values, spaces, names with a code."""

import re
from collections.abc import Iterable, Mapping

import phonenumbers
from rapidfuzz import fuzz

from engine.binding.words import concepts, normalised
from engine.proposal import Repair, RepairKind
from engine.repair.case import Case
from plans.changes import AddBooleans, AddNulls, AddTransform, MapValues, SetOnInvalid
from plans.template import FieldType, OnInvalid
from plans.transforms import (
    NULL_WORDS,
    Boolean,
    Country,
    Currency,
    Domain,
    Email,
    Phone,
    Transform,
    Trim,
    Url,
)

#: Yes and no as other languages and systems write them.
_YES = frozenset(
    ("ja", "j", "oui", "o", "si", "s", "sí", "sì", "vero", "wahr", "verdadero", "verdadeiro",
     "sim", "tak", "da", "igen", "kyllä", "waar", "evet", "vrai", "是", "有", "はい", "예", "active",
     "enabled", "checked", "ok", "✓", "✔", "☑", "subscribed")
)  # fmt: skip
_NO = frozenset(
    ("nein", "non", "nej", "não", "nao", "nie", "ne", "nem", "ei", "falso", "falsch", "onwaar",
     "hayir", "faux", "niet", "nee", "否", "无", "無", "いいえ", "아니요", "inactive", "disabled",
     "unchecked", "✗", "✘", "☐", "unsubscribed")
)  # fmt: skip
#: Transforms that only tidy up values of a type.
_TIDY: Mapping[FieldType, tuple[Transform, str]] = {
    FieldType.EMAIL: (Email(), "take the address out of names and links"),
    FieldType.DOMAIN: (Domain(), "take the domain out of addresses"),
    FieldType.URL: (Url(), "add https:// where it is missing"),
    FieldType.COUNTRY: (Country(), "country names to codes"),
    FieldType.CURRENCY: (Currency(), "currency names and signs to codes"),
    FieldType.BOOLEAN: (Boolean(), "words for yes and no"),
}
#: Two spellings of one word are this close; a rival must be this much further off.
_NEAR, _APART = 86, 8
#: What a word for yes or no can look like.
_WORD = re.compile(r"[^\W\d_]{1,15}( [^\W\d_]{1,10})?")
_REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH", "BE", "CA", "AU", "IN", "BR",
            "MX", "PL", "SE", "DK", "NO", "PT", "IE", "JP", "CN")  # fmt: skip


def placeholders(case: Case) -> list[Repair]:
    """Words such as N/A in a field that may be empty."""
    words = tuple(value for value in case.values if _bare(value) in NULL_WORDS)
    if not words or case.field.required:
        return []
    words = tuple(dict.fromkeys(_bare(word) for word in words))
    return [
        case.repair(
            "nulls",
            RepairKind.CLEAN,
            AddNulls(sheet=case.sheet.name, field=case.field.name, words=words),
            summary=f"Treat {_list(words)} in {case.field.name} as empty",
            evidence="these words say that there is no value",
            confidence=0.99,
        )
    ]


def emptied(case: Case) -> list[Repair]:
    """The way out of every value nobody can read: an empty cell instead of a lost row."""
    if case.field.required or not case.cells:
        return []
    return [
        case.repair(
            "empty",
            RepairKind.POLICY,
            SetOnInvalid(sheet=case.sheet.name, field=case.field.name, on_invalid=OnInvalid.EMPTY),
            summary=f"Empty the cells of {case.field.name} that cannot be read, keep their rows",
            evidence=f"{case.field.name} may be empty",
            confidence=0.0,
        )
    ]


def spaces(case: Case) -> list[Repair]:
    """White space around values."""
    if not any(value != value.strip() for value in case.values):
        return []
    return [
        case.repair(
            "trim",
            RepairKind.CLEAN,
            AddTransform(
                sheet=case.sheet.name, field=case.field.name, transform=Trim(), at="start"
            ),
            summary=f"Take white space off both ends of {case.field.name}",
            evidence="invalid cells have spaces around their value",
            confidence=0.99,
        )
    ]


def tidy(case: Case) -> list[Repair]:
    """The transform of the field's type, where the plan has none."""
    transform, what = _TIDY.get(case.field.type, (None, ""))
    if transform is None or any(each.op == transform.op for each in case.mapping.transforms):
        return []
    return [
        case.repair(
            transform.op,
            RepairKind.CLEAN,
            AddTransform(sheet=case.sheet.name, field=case.field.name, transform=transform),
            summary=f"Clean {case.field.name}: {what}",
            evidence=f"values such as {_list(case.values)} are not of type {case.field.type}",
            confidence=0.985,
        )
    ]


def booleans(case: Case) -> list[Repair]:
    """Known words for yes and no of other languages; two unknown words are a question."""
    if case.field.type is not FieldType.BOOLEAN:
        return []
    words = [_bare(value) for value in case.values if _bare(value) not in NULL_WORDS]
    yes = tuple(dict.fromkeys(word for word in words if word in _YES))
    no = tuple(dict.fromkeys(word for word in words if word in _NO and word not in yes))
    if yes or no:
        known = [(RepairKind.CLEAN, yes, no, "known words for yes and no", 0.99)]
    elif len(set(words)) == 2 and _two_words(case, words):
        one, two = dict.fromkeys(words)
        maybe = RepairKind.AMBIGUOUS_FORMAT
        told = "the column has two words; nothing says which one is yes"
        known = [(maybe, (one,), (two,), told, 0.5), (maybe, (two,), (one,), told, 0.5)]
    else:
        return []
    return [
        case.repair(
            f"boolean-{at}" if at else "boolean",
            kind,
            AddBooleans(sheet=case.sheet.name, field=case.field.name, true=yes, false=no),
            summary=f"Read {case.field.name}: yes is {_list(yes) or '-'}, no is {_list(no) or '-'}",
            evidence=evidence,
            confidence=confidence,
        )
        for at, (kind, yes, no, evidence, confidence) in enumerate(known)
    ]


def _two_words(case: Case, words: Iterable[str]) -> bool:
    """Whether nothing but these two short words stands there, again and again: no names, no codes."""
    often = all(count > 1 for count in case.values.values())
    whole = case.cells == sum(case.values.values())
    return often and whole and all(_WORD.fullmatch(each) for each in words)


def spellings(case: Case) -> list[Repair]:
    """Allowed values written in another case, with other marks, or with a slip."""
    allowed = _allowed(case)
    if not allowed:
        return []
    same: dict[str, str] = {}
    near: dict[str, str] = {}
    for value in case.values:
        matches = [each for each in allowed if normalised(each) == normalised(value) != ""]
        if len(matches) == 1:
            same[value] = allowed[matches[0]]
        elif not matches and (close := _nearest(value, allowed)):
            near[value] = allowed[close]
    found = []
    if same:
        evidence = "only case, spaces or punctuation differ from an allowed value"
        found.append(_mapped(case, "spelling", RepairKind.CLEAN, same, evidence, 0.99))
    if near:
        evidence = "each is close to one allowed value and to no other"
        found.append(_mapped(case, "near", RepairKind.VALUES, near, evidence, 0.85))
    return found


def phones(case: Case) -> list[Repair]:
    """National numbers need a region; which one, a person says."""
    if case.field.type is not FieldType.PHONE:
        return []
    present = next((each for each in case.mapping.transforms if isinstance(each, Phone)), None)
    if present is not None and present.region is not None:
        return []
    national = [value for value in case.values if not value.strip().startswith(("+", "00"))]
    shares = {region: _valid_share(national[:200], region) for region in _REGIONS}
    likely = sorted((r for r in _REGIONS if shares[r] >= 0.5), key=lambda r: -shares[r])[:3]
    found = [_plain_phone(case)] if present is None and len(national) < len(case.values) else []
    return [
        *found,
        *(
            case.repair(
                f"phone-{region.lower()}",
                RepairKind.AMBIGUOUS_FORMAT,
                AddTransform(
                    sheet=case.sheet.name,
                    field=case.field.name,
                    transform=Phone(region=region),
                    at="start" if present is not None else "end",
                ),
                summary=f"Read numbers without a country code in {case.field.name} as {region}",
                evidence=f"{shares[region]:.0%} of them are possible numbers there",
                confidence=0.9 * shares[region],
            )
            for region in likely
        ),
    ]


def _plain_phone(case: Case) -> Repair:
    return case.repair(
        "phone",
        RepairKind.CLEAN,
        AddTransform(sheet=case.sheet.name, field=case.field.name, transform=Phone()),
        summary=f"Write {case.field.name} as +49301234567",
        evidence="the numbers have a country code and other marks in between",
        confidence=0.985,
    )


def _allowed(case: Case) -> dict[str, str]:
    """Known spelling to what it should be: an enum's values and what the plan maps to them."""
    if case.field.type is not FieldType.ENUM:
        return {}
    allowed = {value: value for value in case.field.values}
    for each in case.mapping.transforms:
        if each.op == "value_map":
            allowed |= {old: new for old, new in each.values.items() if new in case.field.values}
    return allowed


def _nearest(value: str, allowed: Iterable[str]) -> str | None:
    """The one allowed value that is close, in letters or in meaning."""
    means = [each for each in allowed if concepts(each) == concepts(value) != ()]
    if len(means) == 1:
        return means[0]
    scored = sorted(
        ((fuzz.ratio(normalised(value), normalised(each)), each) for each in allowed), reverse=True
    )
    if not scored or scored[0][0] < _NEAR:
        return None
    if len(scored) > 1 and scored[0][0] - scored[1][0] < _APART:
        return None
    return scored[0][1]


def _mapped(
    case: Case, name: str, kind: RepairKind, values: dict[str, str], why: str, confidence: float
) -> Repair:
    shown = ", ".join(f"{old!r} → {new!r}" for old, new in list(values.items())[:4])
    s = "s" if len(values) > 1 else ""
    return case.repair(
        name,
        kind,
        MapValues(sheet=case.sheet.name, field=case.field.name, values=values),
        summary=f"Map {len(values)} value{s} of {case.field.name}: {shown}",
        evidence=why,
        confidence=confidence,
    )


def _valid_share(numbers: list[str], region: str) -> float:
    if not numbers:
        return 0.0
    return sum(_valid(number, region) for number in numbers) / len(numbers)


def _valid(number: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _bare(value: str) -> str:
    return value.strip().casefold()


def _list(words: Iterable[str]) -> str:
    shown = list(words)
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return ", ".join(repr(word) for word in shown[:4]) + more
