"""The whole way in a real browser: from sign-in to approval to download, and a customer's magic link."""

from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from browsing import DESKTOP, PHONE, chromium, visitor
from console_site import DRIFTED, GOOD, Site, link, sign_in, site
from playwright.sync_api import Browser, Page, Route, expect

from engine.model import Run, RunStatus

__all__ = ["chromium"]

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as found:
        yield found


def waiting(there: Site, name: str) -> Run:
    run = there.send(DRIFTED, company=there.add_company(name))
    assert run.status is RunStatus.NEEDS_ATTENTION, run.error_message
    return run


@SIZES
def test_from_sign_in_to_approval_to_download(
    there: Site, chromium: Browser, size: dict[str, int]
) -> None:
    run = waiting(there, f"Bakkerij {size['width']}")
    with visitor(chromium, viewport=size) as (page, _):
        sign_in(page, there)
        page.get_by_role("link", name=f"Bakkerij {size['width']}").click()
        expect(page.get_by_text("before anything is written")).to_be_visible()
        page.get_by_role("link", name="Review").click()
        expect(page.get_by_text("Klant").first).to_be_visible()
        page.get_by_label("Leave these rows out").check()
        page.get_by_role("button", name="Accept with these answers").click()
        page.wait_for_url("**/runs/run_*")
        expect(page.locator("[data-status=completed]")).to_be_visible()
        expect(page.locator("[data-count=valid]")).to_have_text("60")
        with page.expect_download() as got:
            page.get_by_role("link", name="contacts/valid.csv").click()
        text = Path(got.value.path()).read_text("utf-8")
    assert text.splitlines()[0] == "email,name,status,signed_on"
    assert text.count("customer") == 15
    assert there.run(run).counts.invalid == 1


def test_review_by_keyboard_alone(there: Site, chromium: Browser) -> None:
    run = waiting(there, "Keyboard only")
    with visitor(chromium) as (page, _):
        page.goto(f"{there.url}/console/runs/{run.id}/review")
        page.keyboard.type(there.text)
        page.keyboard.press("Enter")
        page.wait_for_url("**/review")
        press_until(page, "Tab", "input[type=radio][value=leave_out]")
        page.keyboard.press("Space")
        press_until(page, "Tab", "button[value=accept]")
        page.keyboard.press("Enter")
        expect(page.locator("[data-status=completed]")).to_be_visible()


def press_until(page: Page, key: str, selector: str) -> None:
    for _ in range(80):
        page.keyboard.press(key)
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            outline = page.evaluate(
                "getComputedStyle(document.activeElement.closest('.option') ?? document.activeElement).outlineStyle"
            )
            assert outline != "none", "the focus cannot be seen"
            return
    pytest.fail(f"{key} never reaches {selector}")


def test_reading_and_deciding_need_no_script(there: Site, chromium: Browser) -> None:
    run = waiting(there, "No script")
    with visitor(chromium, java_script_enabled=False) as (page, _):
        sign_in(page, there)
        page.goto(f"{there.url}/console/runs/{run.id}/cells?code=value_not_allowed")
        expect(page.get_by_text("Klant").first).to_be_visible()
        page.goto(f"{there.url}/console/runs/{run.id}/review")
        page.get_by_label("Leave these rows out").check()
        page.get_by_role("button", name="Accept with these answers").click()
        page.wait_for_url("**/runs/run_*")
        there.run(run)
        page.reload()
        expect(page.locator("[data-count=valid]")).to_have_text("60")


def test_page_follows_a_run_by_itself(there: Site, chromium: Browser) -> None:
    run = waiting(there, "Followed")
    with visitor(chromium) as (page, _):
        sign_in(page, there)
        page.goto(f"{there.url}/console/runs/{run.id}/review")
        page.locator("input[data-most]").first.check()
        expect(page.locator("[data-tally]")).to_contain_text("up to")
        page.get_by_role("button", name="Accept with these answers").click()
        page.wait_for_url("**/runs/run_*")
        expect(page.locator("[data-status=completed]")).to_be_visible()


def test_rejecting_asks_first_and_ends_the_run(there: Site, chromium: Browser) -> None:
    run = waiting(there, "Rejected")
    with visitor(chromium) as (page, watch):
        sign_in(page, there)
        page.goto(f"{there.url}/console/runs/{run.id}/review")
        watch.expect_dialogs = True
        page.get_by_role("button", name="Reject").click()
        expect(page.locator("[data-status=failed]")).to_be_visible()
    assert there.run(run).error_code == "rejected"


def test_two_people_decide_and_the_second_one_learns_it(there: Site, chromium: Browser) -> None:
    run = waiting(there, "Two people")
    with visitor(chromium) as (page, watch):
        sign_in(page, there)
        page.goto(f"{there.url}/console/runs/{run.id}/review")
        other = page.context.new_page()
        other.goto(f"{there.url}/console/runs/{run.id}/review")
        other.get_by_role("button", name="Accept with these answers").click()
        other.wait_for_url("**/runs/run_*")
        there.run(run)
        page.get_by_role("button", name="Accept with these answers").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("meanwhile")
        watch.errors.clear()


def test_other_columns_start_another_run(there: Site, chromium: Browser) -> None:
    run = waiting(there, "Other columns")
    with visitor(chromium) as (page, _):
        sign_in(page, there)
        page.goto(f"{there.url}/console/runs/{run.id}/mapping")
        page.get_by_label("Name").select_option(label="Newsletter")
        page.get_by_role("button", name="Import again with these columns").click()
        page.wait_for_url("**/runs/run_*")
        assert run.id not in page.url
        again = page.url.rpartition("/")[2]
    with there.services.database.begin() as c:
        from engine.store import runs

        assert runs.get(c, run.partner, again).options["mapping"] == {"name": 4}
        assert runs.get(c, run.partner, run.id).status is RunStatus.CANCELED


@SIZES
def test_customer_brings_a_file_answers_and_takes_the_rest_back(
    there: Site, chromium: Browser, size: dict[str, int], tmp_path: Path
) -> None:
    customer = there.add_company(f"Kunde {size['width']}")
    file = tmp_path / "kontakte.csv"
    file.write_text(DRIFTED, "utf-8")
    with visitor(chromium, viewport=size, locale="de-DE") as (page, _):
        page.goto(link(there, customer))
        page.get_by_label("Dateien", exact=True).set_input_files(file)
        expect(page.get_by_role("heading", name="Bereit zum Import")).to_be_visible()
        page.get_by_role("button", name="Weiter: Spalten prüfen").click()
        expect(page.get_by_label("E-mail", exact=True)).to_have_value("0")
        page.get_by_role("button", name="Importieren").click()
        expect(page.get_by_role("heading", name="Ein paar Fragen")).to_be_visible()
        page.get_by_label("Diese Zeilen nicht importieren").check()
        page.get_by_role("button", name="Mit diesen Antworten importieren").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("60 Zeilen sind importiert")
        with page.expect_download() as got:
            page.get_by_role("link", name="als Excel").click()
        with ZipFile(got.value.path()) as book:
            assert "not-an-address" in book.read("xl/worksheets/sheet1.xml").decode()
        page.goto(link(there, customer))
        expect(page.locator("[data-status=completed]")).to_be_visible()


def test_customer_corrects_the_mapping_and_sees_it_on_real_rows(
    there: Site, chromium: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "swapped.csv"
    file.write_text(GOOD.replace("Email,Name", "Name,Who"), "utf-8")
    with visitor(chromium) as (page, _):
        page.goto(link(there, there.add_company("Swapped")))
        page.get_by_label("Files", exact=True).set_input_files(file)
        page.get_by_role("button", name="Next: check the columns").click()
        page.get_by_label("E-mail", exact=True).select_option(label="Name")
        page.get_by_label("Name", exact=True).select_option(label="Who")
        page.get_by_role("button", name="Show again with my changes").click()
        expect(page.get_by_role("row", name="E-mail")).to_contain_text("p0@example.org")
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("40 rows are imported")


def test_upload_goes_on_after_the_line_was_cut(
    there: Site, chromium: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "large.csv"
    file.write_text(GOOD + "x@example.org,X,lead,2026-01-01\n" * 300_000, "utf-8")
    sent: list[str] = []

    def cut(route: Route) -> None:
        offset = route.request.headers.get("upload-offset", "")
        if route.request.method == "PATCH":
            sent.append(offset)
            if len(sent) in (2, 3):
                route.abort()
                return
        route.continue_()

    with visitor(chromium) as (page, watch):
        page.goto(link(there, there.add_company("Cut")))
        page.route("**/v1/uploads/**", cut)
        page.get_by_label("Files", exact=True).set_input_files(file)
        expect(page.get_by_role("heading", name="Ready to be imported")).to_be_visible()
        watch.errors.clear()
    assert sent[:2] == ["0", str(4 << 20)]
    assert sent[3] == str(4 << 20), "what had arrived was sent again"


def test_magic_link_without_a_script(there: Site, chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "contacts.csv"
    file.write_text(GOOD, "utf-8")
    with visitor(chromium, java_script_enabled=False) as (page, _):
        page.goto(link(there, there.add_company("Plain")))
        page.get_by_label("Files", exact=True).set_input_files(file)
        page.get_by_role("button", name="Send").click()
        page.get_by_role("button", name="Next: check the columns").click()
        page.get_by_role("button", name="Import", exact=True).click()
        page.wait_for_url("**/runs/run_*")
        run = page.url.rpartition("/")[2]
        there.services.work.wait(there.key.partner, run, seconds=60)
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_contain_text("40 rows are imported")
