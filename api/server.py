"""One process: the API, the figures on their own port, and unless told otherwise a worker."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.app import Limits, create_app
from api.deps import Services
from api.edge import HEADER_BYTES
from api.errors import ApiError, Code, problem
from api.limits import Rate
from api.metrics import CONTENT_TYPE
from api.routes.health import unready
from api.watch import Watch
from engine.files import open_files
from engine.outbound import outbound
from engine.pipeline import revise
from engine.secrets import Keys
from engine.settings import Settings, SettingsInvalid, load_secrets
from engine.store import executors
from engine.store.database import open_database
from engine.webhooks import Sender

HEADER_SECONDS = 10.0
#: A reader that takes nothing for so long is gone, whatever its socket says.
STALLED_SECONDS = 30.0
DRAIN_SECONDS = 30
#: A connection at rest stays so long when draining, because a request may be on its way.
LEAVING_SECONDS = 1.0

log = logging.getLogger("reknit.server")


class Protocol(H11Protocol):
    """uvicorn's own protocol with what it lacks: a limit on headers' time and on stalled readers."""

    _header_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None
    _leave_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Headers must be complete soon after the connection."""
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def data_received(self, data: bytes) -> None:
        """The clock runs while a request's headers are incomplete."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop("_header_timer")
        elif self._header_timer is None:
            self._header_timer = self.loop.call_later(HEADER_SECONDS, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """No clock outlives its connection."""
        self._stop("_header_timer")
        self._stop("_stall_timer")
        self._stop("_leave_timer")
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """A connection at rest answers what may be on its way; its answer then closes it."""
        # There is no cycle before the first request.
        if getattr(self.cycle, "response_complete", True):
            self._leave_timer = self.loop.call_later(LEAVING_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The reader does not keep up; it must catch up in time."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It did."""
        self._stop("_stall_timer")
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Bytes that are not HTTP, or headers beyond the limit, get a problem like everything else."""
        self._refuse(Code.VALIDATION_ERROR, msg)

    def _too_late(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self._refuse(Code.REQUEST_TIMEOUT, "the request's headers came too slowly")

    def _refuse(self, code: Code, detail: str) -> None:
        answer = problem(ApiError(code=code, detail=detail), path="", request_id="")
        head = f"HTTP/1.1 {answer.status_code} Refused\r\nConnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        self.transport.write(head.encode() + b"\r\n" + bytes(answer.body))
        self.transport.close()

    def _stop(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


class Server(uvicorn.Server):
    """uvicorn's server that tells long-lived answers when it begins to drain."""

    def __init__(self, config: uvicorn.Config, *, draining: threading.Event) -> None:
        super().__init__(config)
        self._draining = draining

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say where requests are taken, which uvicorn does not for a socket of ours."""
        await super().startup(sockets)
        host, port, *_ = self.servers[0].sockets[0].getsockname()
        log.info("listening", extra={"url": f"http://{host}:{port}"})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, a second interrupt ends at once.

        uvicorn would raise the signal again in the end, before the worker could be stopped.
        """
        log.info("draining", extra={"signal": signal.Signals(sig).name})
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self._draining.set()


@contextmanager
def opened(settings: Settings) -> Iterator[Services]:
    """The services of this process, the database brought up to date; closed at the end."""
    # Late, because it takes a second that a mere import of this module need not.
    from engine.work import Work, prepare

    secrets = load_secrets(settings)
    database = open_database(settings.database, pool=20)
    with ExitStack() as stack:
        stack.callback(database.dispose)
        prepare(database)
        work = Work(database, settings, revise=revise)
        stack.callback(work.close)
        watch = Watch(database)
        stack.callback(watch.close)
        yield Services(
            settings=settings,
            secrets=secrets,
            database=database,
            files=open_files(settings),
            work=work,
            seals=Keys.from_ring(secrets.every("seal")),
            outbound=outbound(settings),
            watch=watch,
        )


def serve(
    settings: Settings, *, host: str, port: int, worker: bool, share_port: bool = False
) -> None:
    """Answer until SIGTERM or SIGINT, then finish what is under way.

    With `share_port` the next process can listen before this one ends.
    """
    with ExitStack() as stack:
        # Before anything is opened or started: a port that is taken ends it here.
        here = _bound(host, port, share=share_port, option="--port")
        stack.callback(here.close)
        figures_host, figures_port = settings.metrics_host, settings.metrics_port
        there = _bound(figures_host, figures_port, share=share_port, option="REKNIT_METRICS_PORT")
        stack.callback(there.close)
        services = stack.enter_context(opened(settings))
        if worker:
            stack.callback(started_worker(services))
        sender = Sender(
            services.database,
            keys=services.seals,
            policy=services.outbound,
            base_url=settings.public_url,
        )
        sender.start()
        stack.callback(sender.stop)
        stack.callback(started_figures(services, there))
        rate = Rate(requests=settings.rate_requests, seconds=settings.rate_seconds)
        app = create_app(services, limits=Limits(requests=rate))
        config = configured(app, host=host, port=port)
        log.info("serving", extra={"host": host, "port": port, "worker": worker})
        Server(config, draining=services.draining).run(sockets=[here])
        log.info("answered what was under way")


def _bound(host: str, port: int, *, share: bool, option: str) -> socket.socket:
    """A socket at the address; SettingsInvalid names the option that gives another one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share))
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        told = f"cannot listen on {host}:{port}: {error.strerror}"
        raise SettingsInvalid(f"{told}; choose another one by {option}") from None
    return bound


def configured(app: Any, *, host: str, port: int) -> uvicorn.Config:
    """uvicorn as we run it, for the server and for tests alike."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEADER_BYTES,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=2048,
    )


def started_worker(services: Services) -> Callable[[], None]:
    """Start a worker in this process; how to stop it."""
    from engine.advance import advance
    from engine.binding.score import chosen
    from engine.mapping import adviser
    from engine.work import Worker

    helped = partial(advance, adviser=adviser(services.settings), weights=chosen(services.settings))
    worker = Worker(services.work, services.files, advance=helped)
    worker.start()
    return worker.stop


def started_figures(services: Services, there: socket.socket) -> Callable[[], None]:
    """Serve health and metrics on their own port, in a thread; how to stop it."""
    server = uvicorn.Server(
        uvicorn.Config(figures(services), log_config=None, lifespan="off", access_log=False)
    )
    run = partial(server.run, sockets=[there])
    thread = threading.Thread(target=run, name="figures", daemon=True)
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(5)

    return stop


def figures(services: Services) -> Starlette:
    """The application behind the second port."""

    def metrics(request: Request) -> Response:
        with services.database.begin() as c:
            waiting = executors.load(c)
            alive = executors.living(c, seconds=services.settings.dead_seconds)
        text = services.metrics.text(runs=waiting, workers=len(alive))
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def readyz(request: Request) -> Response:
        found = "draining" if services.draining.is_set() else unready(services)
        return JSONResponse({"status": found or "ready"}, 503 if found else 200)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )
