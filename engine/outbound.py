"""The one HTTP client for addresses other people choose: never inside our network, never redirected."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpcore

from engine.errors import EngineError
from engine.settings import Settings

MAX_REPLY = 64 << 10

#: IANA's special-purpose registries and every way to write an IPv4 address inside an IPv6 one.
DENIED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48",
        "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip

Resolve = Callable[..., Iterable[tuple[Any, ...]]]


class Refused(EngineError):
    """The address is not one we may send to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outbound:
    """What the operator allows beyond the public internet; never set through the API."""

    allow_cidrs: tuple[str, ...] = ()
    allow_http: bool = False
    ports: tuple[int, ...] = (443, 80)


def outbound(settings: Settings) -> Outbound:
    """The operator's policy."""
    return Outbound(
        allow_cidrs=tuple(each for each in settings.outbound_cidrs.split(",") if each),
        allow_http=settings.outbound_http,
        ports=tuple(int(each) for each in settings.outbound_ports.split(",")),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer; header names in lower case, at most 64 KiB of body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def post(
    policy: Outbound,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout: float = 15.0,
    resolve: Resolve = socket.getaddrinfo,
) -> Reply:
    """Send one POST; Refused by policy, ConnectionError or TimeoutError (total) by the network."""
    target = check_url(policy, url)
    backend = _Checked(policy, resolve=resolve, deadline=time.monotonic() + timeout)
    try:
        with (
            httpcore.ConnectionPool(network_backend=backend, retries=0) as pool,
            pool.stream(
                "POST", target, headers=[*headers.items()], content=body,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout)},
            ) as response,
        ):  # fmt: skip
            return Reply(
                status=response.status,
                headers={
                    k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers
                },
                body=_capped(response.iter_stream()),
            )
    except httpcore.TimeoutException as error:
        raise TimeoutError(f"no answer from {urlsplit(url).hostname} in {timeout:g} s") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError) as error:
        raise ConnectionError(f"{urlsplit(url).hostname}: {error}") from error


def check_url(policy: Outbound, url: str) -> str:
    """The URL, when scheme, port and host can be allowed at all; no name is resolved."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Refused(f"not a URL: {error}") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and policy.allow_http):
        raise Refused(f"scheme {parts.scheme!r} is not allowed: use https")
    if not host or not url.isascii() or any(each <= " " for each in url):
        raise Refused("the URL has no host, or characters that do not belong into one")
    if parts.username is not None or parts.password is not None:
        raise Refused("user names and passwords do not belong into the URL")
    port = port if port is not None else (443 if parts.scheme == "https" else 80)
    if port not in policy.ports:
        raise Refused(f"port {port} is not allowed")
    return url


def allowed_addresses(
    policy: Outbound, host: str, port: int, *, resolve: Resolve = socket.getaddrinfo
) -> tuple[str, ...]:
    """Every address of the host; Refused when a single one is not allowed."""
    try:
        found = [str(each[4][0]) for each in resolve(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise Refused(f"{host} has no address")
    for address in found:
        if not _allowed(policy, address):
            raise Refused(f"{host} is at {address}, which is not on the public internet")
    return tuple(found)


def _allowed(policy: Outbound, address: str) -> bool:
    # A zone id (fe80::1%eth0) only exists for link-local addresses.
    ip = ipaddress.ip_address(address.partition("%")[0])
    if any(ip in ipaddress.ip_network(each) for each in policy.allow_cidrs):
        return True
    return ip.is_global and not any(ip in network for network in DENIED)


class _Checked(httpcore.NetworkBackend):
    """Connects to an address it has checked, so that a second look-up cannot change it."""

    def __init__(self, policy: Outbound, *, resolve: Resolve, deadline: float) -> None:
        self._policy, self._resolve, self._deadline = policy, resolve, deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        address, *_ = allowed_addresses(self._policy, host, port, resolve=self._resolve)
        stream = self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
        return _Hurried(stream, deadline=self._deadline)


class _Hurried(httpcore.NetworkStream):
    """A stream whose reads and writes all end by one deadline, however slowly bytes drip in."""

    def __init__(self, stream: httpcore.NetworkStream, *, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer takes too long")
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._left())
        return _Hurried(secure, deadline=self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _capped(chunks: Iterable[bytes]) -> bytes:
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) >= MAX_REPLY:
            break
    return body[:MAX_REPLY]
