"""Real receivers on loopback: an HTTP endpoint that checks signatures, a TCP door to a socket file."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from engine.outbound import Outbound

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

#: Status, headers and body an endpoint answers a batch with.
Answer = tuple[int, dict[str, str], Any]


@dataclass
class Endpoint:
    """What came, in order, and the policy that lets it be reached."""

    url: str
    policy: Outbound
    batches: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch["rows"]]


@contextmanager
def http_endpoint(answer: Callable[[dict[str, Any]], Answer]) -> Iterator[Endpoint]:
    """Answers every batch whose signature is right with `answer`, others with 401."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                batch = Webhook(SECRET).verify(body, dict(self.headers.items()))
            except WebhookVerificationError:
                status, headers, told = 401, {}, {}
            else:
                endpoint.batches.append(batch)
                endpoint.ids.append(self.headers["webhook-id"])
                status, headers, told = answer(batch)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = server.server_address[1]
    policy = Outbound(allow_cidrs=("127.0.0.0/8",), allow_http=True, ports=(port,))
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}/rows", policy=policy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tcp_door(socket_file: str) -> Iterator[int]:
    """A loopback port whose connections end at a UNIX socket."""
    door = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    sockets: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(65_536):
                target.sendall(chunk)
        except OSError:
            pass
        finally:
            for each in (source, target):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        while True:
            try:
                near, _ = door.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(socket_file)
            sockets.extend((near, far))
            for pair in ((near, far), (far, near)):
                threads.append(threading.Thread(target=pump, args=pair))
                threads[-1].start()

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield door.getsockname()[1]
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        for thread in (server, *threads):
            thread.join()
        for each in sockets:
            each.close()
