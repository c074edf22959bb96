"""Fixtures for talking to a console without a browser: a site, a run that waits, who may come in."""

import re
from collections.abc import Iterator

import httpx
import pytest
from console_site import DRIFTED, Site, site

from api.console import sessions
from engine.model import Run, RunStatus, Scope
from engine.store import keys

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="module")
def run(there: Site) -> Run:
    found = there.send(DRIFTED)
    assert found.status is RunStatus.NEEDS_ATTENTION, found.error_message
    return found


@pytest.fixture
def stranger(there: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=there.url, headers=SAME, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def member(there: Site, stranger: httpx.Client) -> httpx.Client:
    return signed_in(there, stranger)


def signed_in(there: Site, client: httpx.Client, *scopes: Scope, **limits: object) -> httpx.Client:
    """The client with the session of a new key: of all scopes unless some are named."""
    with there.services.database.begin() as c:
        key, _ = keys.mint(
            c, there.key.partner, secrets=there.services.secrets, name="somebody",
            scopes=frozenset(scopes or Scope), **limits,
        )  # fmt: skip
    _, cookie = sessions.opened(key, secrets=there.services.secrets)
    client.cookies.set("reknit", cookie)
    return client


def token(page: httpx.Response) -> str:
    return re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
