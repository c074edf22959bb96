"""Countries and currencies by code, name and everyday spelling: ISO 3166 and ISO 4217 (pycountry)."""

import gettext
import unicodedata
from functools import cache

import pycountry

#: Languages whose country names are understood beside English.
LANGUAGES = ("de", "fr", "es", "it", "nl", "pt")

_COUNTRIES = {
    "usa": "US", "u s": "US", "u s a": "US", "united states of america": "US", "america": "US",
    "uk": "GB", "u k": "GB", "great britain": "GB", "britain": "GB", "england": "GB",
    "scotland": "GB", "wales": "GB", "northern ireland": "GB", "holland": "NL",
    "the netherlands": "NL", "south korea": "KR", "korea": "KR", "north korea": "KP",
    "russia": "RU", "czech republic": "CZ", "brd": "DE", "uae": "AE", "ivory coast": "CI",
    "vietnam": "VN", "turkey": "TR", "turkiye": "TR", "macedonia": "MK", "swaziland": "SZ",
    "burma": "MM", "cape verde": "CV", "hong kong sar": "HK", "taiwan": "TW", "iran": "IR",
    "syria": "SY", "laos": "LA", "moldova": "MD", "tanzania": "TZ", "venezuela": "VE",
    "großbritannien": "GB", "grossbritannien": "GB", "angleterre": "GB", "inglaterra": "GB",
    "grande bretagne": "GB", "gran bretana": "GB", "gran bretagna": "GB", "gra bretanha": "GB",
    "groot brittannie": "GB", "engeland": "GB", "inghilterra": "GB", "holanda": "NL",
    "bolivia": "BO", "brunei": "BN", "palestine": "PS", "vatican": "VA", "vatican city": "VA",
}  # fmt: skip

_EVERYDAY = (
    "US", "DE", "GB", "FR", "CA", "AU", "NL", "ES", "IT", "CH", "AT", "BE", "SE", "NO", "DK", "FI",
    "IE", "PL", "PT", "CZ", "JP", "CN", "IN", "BR", "MX", "SG", "NZ", "ZA", "IL", "AE", "KR", "LU",
)  # fmt: skip

_CURRENCIES = {
    "€": "EUR", "euro": "EUR", "euros": "EUR", "£": "GBP", "pound": "GBP", "pounds": "GBP",
    "pound sterling": "GBP", "sterling": "GBP", "us$": "USD", "us dollar": "USD",
    "us dollars": "USD", "u.s. dollar": "USD", "a$": "AUD", "au$": "AUD", "c$": "CAD",
    "ca$": "CAD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "r$": "BRL", "₹": "INR",
    "₽": "RUB", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₫": "VND", "₪": "ILS", "zł": "PLN",
    "kč": "CZK", "chf.": "CHF", "sfr.": "CHF", "franken": "CHF",
}  # fmt: skip


def folded(name: str) -> str:
    """Lower case, no accents, and only single spaces between words: what SQL does to a cell too."""
    bare = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    return " ".join("".join(c if c.isalnum() else " " for c in bare.lower()).split())


@cache
def country_codes() -> tuple[str, ...]:
    """ISO 3166-1 alpha-2."""
    return tuple(sorted(each.alpha_2 for each in pycountry.countries))


@cache
def currency_codes() -> tuple[str, ...]:
    """ISO 4217 codes of money in use."""
    return tuple(sorted(each.alpha_3 for each in pycountry.currencies))


@cache
def everyday_countries() -> dict[str, str]:
    """Lower-case English name to alpha-2 of the countries most files hold: few, so quick to look up."""
    found = {}
    for code in _EVERYDAY:
        country = pycountry.countries.lookup(code)
        found[getattr(country, "common_name", country.name).lower()] = code
    return found


@cache
def countries() -> dict[str, str]:
    """Folded name or alpha-3 code to alpha-2; a name two countries share is left out."""
    tongues = [
        gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[each], fallback=True)
        for each in LANGUAGES
    ]
    found: dict[str, set[str]] = {}
    for country in pycountry.countries:
        everyday = getattr(country, "common_name", country.name)
        names = {country.name, everyday, getattr(country, "official_name", ""), country.alpha_3}
        names |= {tongue.gettext(each) for tongue in tongues for each in (country.name, everyday)}
        for name in {folded(each) for each in names} - {""}:
            found.setdefault(name, set()).add(country.alpha_2)
    return {name: min(codes) for name, codes in found.items() if len(codes) == 1} | _COUNTRIES


@cache
def currencies() -> dict[str, str]:
    """Lower-case name or sign to ISO 4217. `$` and `¥` alone stand for several and are left out."""
    names = {each.name.lower(): each.alpha_3 for each in pycountry.currencies}
    return names | _CURRENCIES
