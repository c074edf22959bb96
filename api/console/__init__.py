"""Pages for people: the console of a partner's staff, and the magic link of a customer."""

from fastapi import FastAPI

from api.console import (
    account,
    brand_page,
    cells,
    companies,
    door,
    guard,
    guest_files,
    guest_import,
    guests,
    mapping,
    plans,
    review,
    runs,
)
from api.console.guard import answer_errors

PAGES = (door, runs, review, cells, mapping, companies, plans, account, brand_page)
GUEST_PAGES = (guest_files, guest_import)


def mount(app: FastAPI) -> None:
    """Serve the pages of `app`'s services: they fail in pages, not in problem documents."""
    console = _pages(app)
    for module in PAGES:
        console.include_router(module.router)
    answer_errors(console, guard.problem_page)
    app.mount("/console", console)
    invited = _pages(app)
    for module in GUEST_PAGES:
        invited.include_router(module.router)
    answer_errors(invited, guests.problem_page)
    app.mount("/m", invited)
    for path in ("/", "/console"):
        app.add_api_route(path, door.start, include_in_schema=False)


def _pages(outer: FastAPI) -> FastAPI:
    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    pages.state.outer, pages.state.windows = outer, {}
    return pages
