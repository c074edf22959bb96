"""Pictures of every page in light, dark and at phone width: `make screenshots`."""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from browsing import DESKTOP, PHONE, browser, too_wide, violations, visitor
from console_site import DRIFTED, GOOD, Site, console_pages, link, sign_in, site
from playwright.sync_api import Page

from engine.store import uploads

LOOKS = {
    "light": {"color_scheme": "light", "viewport": DESKTOP},
    "dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "phone": {"color_scheme": "light", "viewport": PHONE},
}


#: What the README of the console shows.
PICTURES = ("run", "review", "magic-columns")


def main(folder: Path, pictures: Path | None = None) -> int:
    """Write them, and say how many pages are not accessible or too wide."""
    folder.mkdir(parents=True, exist_ok=True)
    shot, wrong = 0, 0
    with ExitStack() as stack:
        there = stack.enter_context(site(Path(stack.enter_context(TemporaryDirectory())) / "data"))
        paths = {name: there.url + path for name, path in lived_in(there).items()}
        chromium = stack.enter_context(browser())
        for look, said in LOOKS.items():
            with visitor(chromium, **said) as (page, watch):
                page.goto(f"{there.url}/console/sign-in")
                wrong += _shoot(page, folder / f"sign-in.{look}.png")
                sign_in(page, there)
                for name, path in paths.items():
                    page.goto(path)
                    wrong += _shoot(page, folder / f"{name}.{look}.png")
                    shot += 1
                    if pictures and look == "light" and name in PICTURES:
                        page.screenshot(path=pictures / f"{name}.png")
                # The page that is not there says so on the console too.
                watch.errors.clear()
    print(f"screenshots={shot} folder={folder} wrong={wrong}")  # noqa: T201
    return 1 if wrong else 0


def lived_in(there: Site) -> dict[str, str]:
    """A deployment in which things have happened, and the address of each of its pages."""
    other, third, fourth = (
        there.add_company(n) for n in ("Bakkerij de Vries", "Ateliers Lefèvre", "Northwind Traders")
    )
    done = there.send(GOOD, company=other)
    there.send("Email,Name\n" + "\n", company=third, name="leer.csv")
    waiting = there.send(DRIFTED, name="contacts.csv")
    asked = there.send(DRIFTED, company=fourth, name="contacts.csv")
    theirs, bringing = link(there, fourth), link(there, third)
    with there.services.database.begin() as c:
        file = uploads.add(
            c, third.partner, company=third.id, name="clients.csv", content_type="text/csv",
            size=len(DRIFTED), valid_until=third.created_at,
        )  # fmt: skip
        stored = there.services.files.put_content(third.partner, third.id, [DRIFTED.encode()])
        uploads.stored(c, third.partner, file.id, digest=stored.digest, size=stored.size)
    return console_pages(there, waiting) | {
        "run-completed": f"/console/runs/{done.id}",
        "magic-questions": theirs.removeprefix(there.url) + f"/runs/{asked.id}",
        "magic-columns": f"{bringing.removeprefix(there.url)}/columns?file={file.id}",
        "magic-files": bringing.removeprefix(there.url),
        "magic-home": theirs.removeprefix(there.url),
        "magic-result": link(there, other).removeprefix(there.url) + f"/runs/{done.id}",
        "magic-ended": "/m/nothing",
    }


def _shoot(page: Page, path: Path) -> int:
    page.screenshot(path=path, full_page=True)
    found = violations(page)
    if too_wide(page):
        found.append(f"{too_wide(page)} pixels too wide")
    for each in found:
        print(f"{path.name}: {each}", file=sys.stderr)  # noqa: T201
    return len(found)


if __name__ == "__main__":
    raise SystemExit(main(*map(Path, sys.argv[1:])))
