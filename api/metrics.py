"""What Prometheus reads: requests, imports by status, the queue. Served on its own port."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "reknit_http_requests",
            "Requests by method, route and status",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "reknit_http_seconds",
            "Seconds until the last byte of the answer",
            ("method", "route"),
            registry=self.registry,
        )
        self.limited = Counter(
            "reknit_http_limited", "Requests refused by a limit", ("limit",), registry=self.registry
        )

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
