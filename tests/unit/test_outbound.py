import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from engine.outbound import MAX_REPLY, Outbound, Refused, allowed_addresses, check_url, post

PUBLIC = "93.184.216.34"


def resolver(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Answers every name with these addresses."""
    return lambda host, port, **_: [(None, None, None, "", (each, port)) for each in addresses]


def real_forms(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    """What the system makes of a number, without asking a name server."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "fc00::1", "fd12::1",
        "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_no_special_address_is_connected_to_whatever_the_name(address: str) -> None:
    with pytest.raises(Refused, match="not on the public internet"):
        allowed_addresses(Outbound(), "receiver.example", 443, resolve=resolver(PUBLIC, address))


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "[::1]", "127.0.0.1"]
)
def test_every_spelling_of_loopback_is_seen_through(host: str) -> None:
    with pytest.raises(Refused):
        allowed_addresses(Outbound(), host.strip("[]"), 443, resolve=real_forms)


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/", "ftp://receiver.example/", "file:///etc/passwd", "https://",
        "https://user:password@receiver.example/", "https://user@receiver.example/",
        "https://receiver.example:22/", "https://receiver.example:99999/", "https://①②⑦.0.0.1/",
        "https://receiver.example/a b", "https://receiver.example/\r\nX: y", "gopher://x", "//x/y",
    ],
)  # fmt: skip
def test_urls_that_cannot_be_allowed_are_refused_before_any_look_up(url: str) -> None:
    with pytest.raises(Refused):
        check_url(Outbound(), url)


def test_the_operator_can_allow_a_private_network() -> None:
    policy = Outbound(allow_cidrs=("10.0.0.0/8",))
    assert allowed_addresses(policy, "x", 443, resolve=resolver("10.1.2.3")) == ("10.1.2.3",)
    with pytest.raises(Refused):
        allowed_addresses(policy, "x", 443, resolve=resolver("10.1.2.3", "127.0.0.1"))


@contextmanager
def answering(answer: bytes, *, drip: float | None = None) -> Iterator[tuple[str, Outbound]]:
    """A server on loopback that sends these bytes to whoever connects, and a policy for it."""
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        with server.accept()[0] as peer:
            peer.recv(65_536)
            if drip is None:
                peer.sendall(answer)
                return
            for byte in answer:
                if done.wait(drip):
                    return
                peer.send(bytes([byte]))

    thread = threading.Thread(target=serve)
    thread.start()
    port = server.getsockname()[1]
    policy = Outbound(allow_cidrs=("127.0.0.0/8",), allow_http=True, ports=(port,))
    try:
        yield f"http://receiver.example:{port}/hook", policy
    finally:
        done.set()
        thread.join()
        server.close()


def test_the_checked_address_is_the_one_connected_to_and_the_name_looked_up_once() -> None:
    asked = []

    def rebinding(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return resolver("127.0.0.1" if len(asked) == 1 else "127.9.9.9")(host, port)

    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Id: 7\r\n\r\nok") as (url, policy):
        reply = post(policy, url, headers={"a": "b"}, body=b"{}", resolve=rebinding)
    assert (reply.status, reply.headers["x-id"], reply.body) == (200, "7", b"ok")
    assert asked == ["receiver.example"]


def test_a_redirect_is_an_answer_not_a_way() -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with answering(answer) as (url, policy):
        reply = post(policy, url, headers={}, body=b"", resolve=resolver("127.0.0.1"))
    assert reply.status == 302


def test_a_long_answer_is_cut() -> None:
    body = b"x" * (4 * MAX_REPLY)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with answering(head + body) as (url, policy):
        reply = post(policy, url, headers={}, body=b"", resolve=resolver("127.0.0.1"))
    assert len(reply.body) == MAX_REPLY


def test_an_answer_that_drips_in_ends_at_the_deadline() -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000, drip=0.05) as (url, policy),
        pytest.raises(TimeoutError, match=r"no answer from receiver\.example in 0\.5 s"),
    ):
        post(policy, url, headers={}, body=b"", timeout=0.5, resolve=resolver("127.0.0.1"))


def test_a_dead_receiver_is_a_connection_error() -> None:
    with answering(b"") as (url, policy), pytest.raises(ConnectionError):
        post(policy, url, headers={}, body=b"", resolve=resolver("127.0.0.1"))
