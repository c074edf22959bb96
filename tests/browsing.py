"""A real browser for tests: Debian's Chromium driven by Playwright, and what to hold against a page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    expect,
    sync_playwright,
)

#: The machine may be busy; no test is about time.
expect.set_options(timeout=30_000)

CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


# Of a module, not of the session: its event loop stays in this thread while it is open.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not on this machine; apt-get install chromium")
    with browser() as found:
        yield found


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield found
        found.close()


@dataclass
class Watch:
    """What a page should never do."""

    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    expect_dialogs: bool = False

    def dialog(self, dialog: Dialog) -> None:
        if self.expect_dialogs:
            dialog.accept()
        else:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

    def said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)


@contextmanager
def visitor(browser: Browser, **said: Any) -> Iterator[tuple[Page, Watch]]:
    """A fresh visitor; script errors, CSP violations and dialogs nobody expected fail the test."""
    context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-GB", **said})
    context.set_default_timeout(30_000)
    watch = Watch()
    page = _watched(context, watch)
    yield page, watch
    context.close()
    assert watch.dialogs == []
    assert watch.errors == []


def _watched(context: BrowserContext, watch: Watch) -> Page:
    page = context.new_page()
    page.on("dialog", watch.dialog)
    page.on("console", watch.said)
    page.on("pageerror", lambda error: watch.errors.append(str(error)))
    return page


@cache
def _axe() -> str:
    return Path(AXE_FILE_PATH).read_text("utf-8")


def violations(page: Page) -> list[str]:
    """What axe-core finds wrong with the page as it is, one line each."""
    page.evaluate(_axe())
    found = page.evaluate("tags => axe.run({runOnly: tags})", WCAG)["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for each in found
        for node in each["nodes"]
    ]


def too_wide(page: Page) -> int:
    """How many pixels one would have to scroll sideways."""
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return max(0, int(widths[0]) - int(widths[1]))
