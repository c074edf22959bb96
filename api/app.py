"""The HTTP application: every route, one way to fail, the layers around a request."""

from dataclasses import dataclass, field

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from api import console, errors
from api.auth import Gate, KnownKeys
from api.deps import Services, known_parameters
from api.edge import Edge
from api.limits import Rate
from api.openapi import install_document
from api.routes import (
    companies,
    content,
    deliveries,
    docs,
    drafts,
    exports,
    health,
    imports,
    keys,
    plans,
    prepared,
    rejected,
    replays,
    reports,
    runs,
    sheets,
    sources,
    undo,
    uploads,
    webhooks,
)

TITLE = "Reknit partner API"

ROUTERS = (
    companies,
    sources,
    drafts,
    plans,
    replays,
    uploads,
    content,
    imports,
    undo,
    rejected,
    runs,
    reports,
    sheets,
    exports,
    prepared,
    deliveries,
    webhooks,
    keys,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Requests per key and endpoint, and failed keys per address."""

    requests: Rate = field(default=Rate(requests=100, seconds=60))
    failures: Rate = field(default=Rate(requests=10, seconds=60))


def create_app(services: Services, *, limits: Limits | None = None) -> FastAPI:
    """The application over these services."""
    limits = limits or Limits()
    app = FastAPI(
        title=TITLE,
        version="1",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    app.state.routers = tuple(module.router for module in ROUTERS)
    errors.install(app)
    for module in ROUTERS:
        app.include_router(module.router, dependencies=[Depends(known_parameters)])
    for module in (docs, health):
        app.include_router(module.router, include_in_schema=False)
    console.mount(app)
    _work_out_routes(app)
    install_document(app, rate=limits.requests)
    known = KnownKeys(services.database, secrets=services.secrets)
    app.add_middleware(
        Gate,
        known=known,
        rate=limits.requests,
        failures=limits.failures,
        database=services.database,
    )
    # The last one added is the outermost.
    app.add_middleware(
        Edge,
        metrics=services.metrics,
        upload_bytes=services.settings.max_upload_bytes,
        draining=services.draining,
    )
    return app


def _work_out_routes(app: FastAPI) -> None:
    """Now, in one thread: FastAPI would build an included router in the first request for it."""
    for route in app.routes:
        route.matches({"type": "http", "method": "GET", "path": "/no/such/path", "headers": []})


def _operation_id(route: APIRoute) -> str:
    first, *rest = route.name.split("_")
    return first + "".join(word.capitalize() for word in rest)
