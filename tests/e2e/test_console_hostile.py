"""What customers, files, plans and models write is shown as text, whatever it says."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa
from browsing import chromium, visitor
from console_site import Site, console_pages, link, sign_in, site
from injections import INJECTIONS
from playwright.sync_api import Browser, Page

from engine.model import Company, Run
from engine.proposal import Proposal
from engine.questions import etag
from engine.store import plans, proposals, tables
from plans.versions import next_version

__all__ = ["chromium"]

#: What our own pages are made of; anything else came from outside.
FOREIGN = """
[...document.querySelectorAll('script:not([src^="/console/static/"]), iframe, object, embed, base,'
  + ' meta[http-equiv], style, link:not([href^="/console/static/"]):not([href$="brand.css"]), math,'
  + ' video, img:not(.logo):not(.brand img), template')].map(each => each.outerHTML)
.concat([...document.querySelectorAll('*')].flatMap(each =>
  [...each.attributes].filter(a => a.name.startsWith('on') || a.name === 'style'
    || /^\\s*javascript:/i.test(a.value) && ['href', 'src', 'action', 'formaction'].includes(a.name))
    .map(a => a.name + '=' + a.value)))
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="module")
def attacked(there: Site) -> tuple[Company, Run]:
    """A company, a file, a plan and a model that say every injection wherever they can."""
    with there.services.database.begin() as c:
        plan = plans.version(c, there.key.partner, there.plan.id).version
        document = plan.plan.model_copy(
            update={"title": INJECTIONS[5], "description": "\n".join(INJECTIONS)}
        )
        hostile = next_version(plan, document, author=INJECTIONS[13], reason=INJECTIONS[19])
        plans.append(c, there.key.partner, there.plan.id, hostile)
        plans.publish(
            c, there.key.partner, there.plan.id, 2, actor=INJECTIONS[0], reason=INJECTIONS[17]
        )
    company = there.add_company(INJECTIONS[20])
    run = there.send(attack(), company=company, name=f"{INJECTIONS[14]}{INJECTIONS[22]}.csv")
    assert run.proposal is not None, run.error_message
    with there.services.database.begin() as c:
        made = proposals.get(c, run.partner, run.proposal)
        said = speaking(made.proposal)
        record = proposals.add(
            c, run.partner, run=run, proposal=said, version=made.version, blocking=True
        )
        mine = (tables.runs.c.partner == run.partner, tables.runs.c.id == run.id)
        c.execute(sa.update(tables.runs).where(*mine).values(proposal=record.id))
    return company, run


def attack() -> str:
    """Fifty rows with an injection in each cell, and one in each further header."""
    out = io.StringIO()
    lines = csv.writer(out)
    lines.writerow(["Email", "Name", "Status", "Signed", *INJECTIONS])
    for n, text in enumerate(INJECTIONS):
        further = [f"{n} {each}" for each in INJECTIONS]
        lines.writerow([f"p{n}@example.org", text, text, text, *further])
    return out.getvalue()


def speaking(proposal: Proposal) -> Proposal:
    """The proposal as a model would make it that repeats what it read."""
    every = " ".join(INJECTIONS)
    repairs = tuple(
        replace(each, summary=every, evidence=every, by="model") for each in proposal.repairs
    )
    questions = tuple(
        replace(each, prompt=every, context=every, custom_hint=every[:900])
        for each in proposal.questions
    )
    said = replace(proposal, summary=every, repairs=repairs, questions=questions)
    return replace(said, etag=etag(said))


def test_nothing_a_customer_file_plan_or_model_says_runs(
    there: Site, chromium: Browser, attacked: tuple[Company, Run]
) -> None:
    company, run = attacked
    pages = console_pages(there, run)
    pages |= {
        "company": f"/console/companies/{company.id}",
        "version": f"{pages['plan']}/versions/2",
    }
    theirs = link(there, company).removeprefix(there.url)
    pages |= {"magic": theirs, "magic run": f"{theirs}/runs/{run.id}"}
    shown = 0
    with visitor(chromium) as (page, watch):
        sign_in(page, there)
        for name, path in pages.items():
            page.goto(there.url + path)
            shown += open_everything(page)
            assert page.evaluate(FOREIGN) == [], name
            # The one message is that of the page that is not there.
            watch.errors = [each for each in watch.errors if "404" not in each]
            assert watch.errors == [], name
    assert shown > 500, "the injections did not even arrive"


def test_preview_of_a_hostile_file_shows_text(
    there: Site, chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("hostile") / f"{INJECTIONS[13].replace('/', '')}.csv"
    file.write_text(attack(), "utf-8")
    with visitor(chromium) as (page, _):
        page.goto(link(there, there.add_company(INJECTIONS[0])))
        page.get_by_label("Files", exact=True).set_input_files(file)
        page.get_by_role("button", name="Next: check the columns").click()
        page.get_by_role("heading", name="Did we understand your columns?").wait_for()
        page.wait_for_load_state()
        assert open_everything(page) > 50
        assert page.evaluate(FOREIGN) == []


def open_everything(page: Page) -> int:
    """Open what is folded, point at everything, and count how many injections can be read."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    page.evaluate(
        "document.querySelectorAll('main *').forEach(each => {"
        " for (const kind of ['mouseover', 'focus', 'toggle']) each.dispatchEvent(new Event(kind, {bubbles: true})) })"
    )
    return int(page.evaluate("(document.body.innerText.match(/alert\\(\\d+\\)/g) ?? []).length"))
