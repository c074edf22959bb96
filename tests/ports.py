"""Ports for servers that cannot choose one themselves."""

import secrets
import socket

_given: set[int] = set()


def free_port(*, twin: int = 0) -> int:
    """A new loopback port that nobody listens on, and nobody on `port + twin`."""
    while True:
        # Below what systems give to outgoing connections: none of those takes it before the server.
        port = 10_000 + secrets.randbelow(12_000)
        both = {port, port + twin}
        if not both & _given and all(map(_free, both)):
            _given.update(both)
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
