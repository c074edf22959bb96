from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from engine.errors import SignatureInvalid
from engine.ids import utcnow
from engine.settings import Secrets
from engine.signatures import Grant, check, grant, sign

SECRETS = Secrets(ring=(("k1", bytes(range(32))),))
PATH = "/v1/uploads/up_1"


def allowed() -> Grant:
    return grant(
        "PUT", PATH, partner="ptn_1", now=utcnow(), seconds=60, size=5, content_type="text/csv"
    )


def query(secrets: Secrets, made: Grant) -> dict[str, str]:
    return dict(parse_qsl(sign(secrets, made), keep_blank_values=True))


def test_a_signed_url_grants_what_it_says() -> None:
    made = allowed()
    assert check(SECRETS, "PUT", PATH, query(SECRETS, made), now=utcnow()) == made


@pytest.mark.parametrize(
    "change",
    [
        {"partner": "ptn_2"},
        {"expires": "99999999999"},
        {"expires": "-1"},
        {"expires": "x"},
        {"size": "6"},
        {"size": "²"},
        {"type": "text/html"},
        {"nonce": "other"},
        {"key": "k2"},
        {"signature": ""},
        {"signature": "é"},
        {"extra": "member"},
        {"nonce": None},
    ],
)
def test_any_changed_member_is_refused(change: dict[str, str | None]) -> None:
    changed = {name: value for name, value in (query(SECRETS, allowed()) | change).items() if value}
    with pytest.raises(SignatureInvalid):
        check(SECRETS, "PUT", PATH, changed, now=utcnow())


@pytest.mark.parametrize(("method", "path"), [("GET", PATH), ("PUT", PATH + "x")])
def test_another_method_or_path_is_refused(method: str, path: str) -> None:
    with pytest.raises(SignatureInvalid):
        check(SECRETS, method, path, query(SECRETS, allowed()), now=utcnow())


def test_members_cannot_run_into_each_other() -> None:
    made = replace(allowed(), content_type="text/csvn", nonce="once")
    shifted = query(SECRETS, made) | {"type": "text/csv", "nonce": "nonce"}
    with pytest.raises(SignatureInvalid):
        check(SECRETS, "PUT", PATH, shifted, now=utcnow())


def test_it_ends_and_is_never_good_for_more_than_an_hour() -> None:
    made = allowed()
    with pytest.raises(SignatureInvalid):
        check(SECRETS, "PUT", PATH, query(SECRETS, made), now=utcnow() + timedelta(seconds=61))
    long = replace(made, expires=made.expires + 86_400)
    with pytest.raises(SignatureInvalid):
        check(SECRETS, "PUT", PATH, query(SECRETS, long), now=utcnow())


def test_an_old_key_verifies_while_it_is_in_the_ring() -> None:
    made, both = allowed(), Secrets(ring=(("k2", bytes(range(1, 33))), *SECRETS.ring))
    assert check(both, "PUT", PATH, query(SECRETS, made), now=utcnow()) == made
    with pytest.raises(SignatureInvalid):
        check(Secrets(ring=both.ring[:1]), "PUT", PATH, query(SECRETS, made), now=utcnow())
