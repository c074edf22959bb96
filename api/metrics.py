"""What Prometheus reads: requests of this process, runs and workers of the deployment."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

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
        self.runs = Gauge(
            "reknit_runs",
            "Runs that have not ended, by status",
            ("status",),
            registry=self.registry,
        )
        self.workers = Gauge(
            "reknit_workers", "Worker processes that are alive", registry=self.registry
        )

    def text(self, *, runs: Mapping[str, int], workers: int) -> bytes:
        """The exposition text."""
        for status, count in runs.items():
            self.runs.labels(status).set(count)
        self.workers.set(workers)
        return generate_latest(self.registry)
