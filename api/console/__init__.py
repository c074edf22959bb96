"""Pages for people: the console of a partner's staff, and the magic link of a customer."""

from fastapi import FastAPI, Request

from api.console import account, cells, companies, door, mapping, plans, review, runs
from api.console.guard import Ways, answer_errors

PAGES = (door, runs, review, cells, mapping, companies, plans, account)


def mount(app: FastAPI) -> None:
    """Serve the pages of `app`'s services: they fail in pages, not in problem documents."""
    console = _pages(app)
    for module in PAGES:
        console.include_router(module.router)
    answer_errors(console, ways=_to_console)
    app.mount("/console", console)
    for path in ("/", "/console"):
        app.add_api_route(path, door.start, include_in_schema=False)


def _pages(outer: FastAPI) -> FastAPI:
    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pages.state.outer, pages.state.windows = outer, {}
    return pages


def _to_console(request: Request) -> Ways:
    return (("Runs", "/console/runs"), ("Companies", "/console/companies"))
