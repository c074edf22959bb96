"""What holds for every test: no secrets or settings from outside, no host but this machine."""

import ipaddress
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
FROM_OUTSIDE = re.compile(r"REKNIT_.*|AWS_.*|.*_API_KEY")

# A slow machine is not a bug: no deadline for an example, and more than httpx's 5 s for a request.
# The gate tries the same examples every time; the long runs find new ones.
hypothesis.settings.register_profile(
    "reknit", deadline=None, database=None, derandomize=not {"EXAMPLES", "FUZZ"} & os.environ.keys()
)
hypothesis.settings.load_profile("reknit")
vars(httpx._config.DEFAULT_TIMEOUT_CONFIG).update(dict.fromkeys(("connect", "read", "write"), 120))

strangers: list[str] = []


def is_loopback(host: object) -> bool:
    """Count as loopback what is no internet address: names of UNIX sockets, netlink numbers."""
    if not isinstance(host, str) or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def refuse_strangers(event: str, args: tuple[object, ...]) -> None:
    if event not in {"socket.connect", "socket.sendto"}:
        return
    if not isinstance(args[1], tuple) or is_loopback(args[1][0]):
        return
    strangers.append(f"{args[1][0]}:{args[1][1]}")
    raise PermissionError(f"a test may not connect to {strangers[-1]}")


sys.addaudithook(refuse_strangers)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    # pytest would name a test by the bytes; gzip's hold the time, and workers then disagree.
    return argname if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def stay_on_this_machine() -> Iterator[None]:
    # The code under test may swallow the refusal, so the test fails here too.
    yield
    met = ", ".join(strangers)
    strangers.clear()
    if met:
        pytest.fail(f"the test connected to {met}", pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def bare_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(FROM_OUTSIDE.fullmatch, list(os.environ)):
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public files too large or not ours to commit, beside the repository."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("../shared/data is not on this machine")
    return path
