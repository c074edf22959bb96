"""For everybody: axe-core finds nothing, no sideways scrolling, little to load, frames only where allowed."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from statistics import median

import pytest
from browsing import DESKTOP, PHONE, chromium, too_wide, violations, visitor
from console_site import DRIFTED, GOOD, Site, console_pages, link, sign_in, site
from playwright.sync_api import Browser, Page, expect

from api.console.brand import Brand
from engine.store import partners

__all__ = ["chromium"]

LOOKS = {
    "light on a desk": {"color_scheme": "light", "viewport": DESKTOP},
    "dark on a phone": {"color_scheme": "dark", "viewport": PHONE},
}
PAGE_BYTES = 150_000


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="module")
def paths(there: Site) -> dict[str, str]:
    """Every page there is, each in a state with something on it."""
    waiting, done = there.send(DRIFTED), there.send(GOOD, company=there.add_company("Done"))
    other = there.add_company("Asked")
    asked = there.send(DRIFTED, company=other)
    theirs = link(there, other).removeprefix(there.url)
    return console_pages(there, waiting) | {
        "run-completed": f"/console/runs/{done.id}",
        "runs-empty": "/console/runs?status=failed",
        "sign-in": "/console/sign-in",
        "magic-home": theirs,
        "magic-questions": f"{theirs}/runs/{asked.id}",
        "magic-ended": "/m/nothing",
    }


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_and_no_page_scrolls_sideways(
    there: Site, chromium: Browser, paths: dict[str, str], look: str
) -> None:
    found: list[str] = []
    with visitor(chromium, **LOOKS[look]) as (page, watch):
        sign_in(page, there)
        for name, path in paths.items():
            page.goto(there.url + path)
            page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
            found += [f"{name}: {each}" for each in violations(page)]
            found += [f"{name}: {too_wide(page)} pixels too wide"] if too_wide(page) else []
        watch.errors = [each for each in watch.errors if "404" not in each and "410" not in each]
    assert found == []


@pytest.mark.parametrize("width", [320, 1920])
def test_reflows_from_small_to_wide(
    there: Site, chromium: Browser, paths: dict[str, str], width: int
) -> None:
    with visitor(chromium, viewport={"width": width, "height": 800}) as (page, watch):
        sign_in(page, there)
        for name, path in paths.items():
            page.goto(there.url + path)
            assert not too_wide(page), name
        watch.errors.clear()


@pytest.mark.parametrize("colour", ["#ffe600", "#000000"])
def test_any_brand_colour_stays_readable(
    there: Site, chromium: Browser, paths: dict[str, str], colour: str
) -> None:
    brand(there, colour=colour)
    for scheme in ("light", "dark"):
        with visitor(chromium, color_scheme=scheme) as (page, _):
            for name in ("magic-home", "magic-questions"):
                page.goto(there.url + paths[name])
                assert violations(page) == [], (name, scheme)


FOCUSABLE = """
[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter(each => !each.disabled && each.checkVisibility() && each.getClientRects().length)
  .filter(each => each.type !== 'radio' || each.checked || !document.querySelector(`input[name="${CSS.escape(each.name)}"]:checked`)
    && each === document.querySelector(`input[name="${CSS.escape(each.name)}"]`))
  .map((each, at) => { each.dataset.stop = at; return at })
"""
FOCUSED = """
(() => { const each = document.activeElement, shown = each.matches('.option > input') ? each.parentElement : each;
  const style = getComputedStyle(shown);
  return [Number(each.dataset.stop ?? -1), style.outlineStyle !== 'none' && style.outlineWidth !== '0px'] })()
"""


def test_everything_is_reached_by_keyboard_and_its_focus_is_seen(
    there: Site, chromium: Browser, paths: dict[str, str]
) -> None:
    with visitor(chromium) as (page, watch):
        sign_in(page, there)
        for name, path in paths.items():
            page.goto(there.url + path)
            wanted, met = set(page.evaluate(FOCUSABLE)), set()
            for _ in range(len(wanted) + 10):
                page.keyboard.press("Tab")
                stop, visible = page.evaluate(FOCUSED)
                met.add(stop)
                assert stop < 0 or visible, f"{name}: the focus on stop {stop} cannot be seen"
            assert wanted <= met, f"{name}: the keyboard misses {sorted(wanted - met)}"
        watch.errors.clear()


def test_theme_switch_is_kept(there: Site, chromium: Browser) -> None:
    with visitor(chromium, color_scheme="light") as (page, _):
        page.goto(f"{there.url}/console/sign-in")
        page.get_by_role("button", name="Switch between light and dark").click()
        page.reload()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 21, 25)"


def test_every_page_is_light_and_paints_early(
    there: Site, chromium: Browser, paths: dict[str, str]
) -> None:
    sizes: dict[str, int] = {}
    paints: list[float] = []
    with visitor(chromium) as (page, watch):
        sign_in(page, there)
        for name, path in paths.items():
            sizes[name] = weight(page, there.url + path)
            paints.append(first_paint(page))
        watch.errors.clear()
    heaviest = max(sizes, key=sizes.__getitem__)
    assert sizes[heaviest] <= PAGE_BYTES, f"{heaviest} is {sizes[heaviest]} bytes with all it loads"
    print(f"page_bytes_max={sizes[heaviest]} first_paint_ms_median={median(paints):.0f}")  # noqa: T201


def weight(page: Page, url: str) -> int:
    """Bytes of a page and all it loads, with nothing in the cache."""
    client = page.context.new_cdp_session(page)
    client.send("Network.enable")
    client.send("Network.setCacheDisabled", {"cacheDisabled": True})
    received: list[int] = []
    client.on("Network.loadingFinished", lambda each: received.append(each["encodedDataLength"]))
    page.goto(url, wait_until="load")
    page.wait_for_timeout(200)
    return int(sum(received))


def first_paint(page: Page) -> float:
    """Milliseconds from the click to the first contentful paint."""
    return float(
        page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0")
    )


def test_frames_only_where_the_partner_allows_them(
    there: Site, chromium: Browser, paths: dict[str, str]
) -> None:
    target = there.url + paths["magic-home"]
    with framing(target) as host, visitor(chromium) as (page, watch):
        brand(there)
        page.goto(host)
        expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_have_count(0)
        assert any("frame-ancestors" in each for each in watch.errors)
        watch.errors.clear()
        brand(there, frames=(host,))
        page.goto(host)
        expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_be_visible()
        page.frame_locator("iframe").get_by_role("link", name="Deutsch").click()
        page.goto(host.replace("127.0.0.1", "localhost"))
        expect(page.frame_locator("iframe").get_by_role("heading", level=1)).to_have_count(0)
        watch.errors.clear()


def test_customer_works_inside_a_frame(
    there: Site, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("framed") / "contacts.csv"
    file.write_text(GOOD, "utf-8")
    with framing(link(there, there.add_company("Framed"))) as host:
        brand(there, frames=(host,))
        with visitor(chromium) as (page, _):
            page.goto(host)
            inside = page.frame_locator("iframe")
            inside.get_by_label("Files", exact=True).set_input_files(file)
            inside.get_by_role("button", name="Next: check the columns").click()
            inside.get_by_role("button", name="Import", exact=True).click()
            expect(inside.get_by_role("heading", level=1)).to_contain_text("40 rows are imported")


class framing:
    """A page of somebody else, on another port, that shows `url` in a frame."""

    def __init__(self, url: str) -> None:
        text = f'<!doctype html><title>Partner</title><iframe src="{url}" width=900 height=700></iframe>'

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/"
                self.send_response(200 if found else 204)
                self.send_header("content-type", "text/html")
                self.end_headers()
                if found:
                    self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Answer)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def brand(there: Site, **said: object) -> None:
    with there.services.database.begin() as c:
        values = Brand.model_validate(said).model_dump(mode="json")
        partners.set_brand(c, there.key.partner, brand=values)
