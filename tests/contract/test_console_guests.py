"""What a magic link opens and what not, the partner's brand, and the languages."""

import re
from time import sleep

import httpx
import pytest
from console_members import token
from console_site import DRIFTED, GOOD, Site, link

from api.console.brand import Brand, contrast, picture, stylesheet
from api.console.look import TEMPLATES, preferred, texts
from api.console.readings import NOTICED
from api.logs import redacted
from api.magic import magic_link
from engine.intake.source import ReadCode
from engine.model import Run, RunStatus
from engine.store import companies, partners, runs, uploads


def test_a_magic_link_opens_one_company_until_it_is_revoked(
    there: Site, stranger: httpx.Client, run: Run
) -> None:
    company = there.add_company("Guest")
    path = link(there, company).removeprefix(there.url)
    assert stranger.get(path).status_code == 200
    assert stranger.get(f"{path}/runs/{run.id}").status_code == 404
    assert stranger.post(f"{path}/runs/{run.id}/cancel").status_code == 404
    assert stranger.get(f"{path}/runs/{run.id}/files/contacts/valid.csv").status_code == 404
    assert stranger.get(f"{path}/columns?file={run.uploads[0]}").status_code == 404
    assert stranger.get("/console/runs").status_code == 303, "it is no session"
    with there.services.database.begin() as c:
        companies.revoke_links(c, company.partner, company.id)
    assert stranger.get(path).status_code == 410
    assert stranger.get(link(there, company).removeprefix(there.url)).status_code == 200


def test_a_changed_magic_link_opens_nothing(there: Site, stranger: httpx.Client) -> None:
    path = link(there, there.add_company("Tampered")).removeprefix(there.url)
    for at in range(3, len(path), 11):
        changed = path[:at] + ("1" if path[at] != "1" else "2") + path[at + 1 :]
        assert stranger.get(changed).status_code in (404, 410, 429), at


def test_a_magic_link_form_of_another_site_is_refused(there: Site, stranger: httpx.Client) -> None:
    path = link(there, there.add_company("Crossed")).removeprefix(there.url)
    for kind in ("uploads", "files", "imports"):
        answer = stranger.post(f"{path}/{kind}", headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code in (400, 403), kind


def test_no_key_stands_in_a_customers_page(there: Site, stranger: httpx.Client) -> None:
    page = stranger.get(link(there).removeprefix(there.url))
    assert "rk_" not in page.text
    assert there.key.id not in page.text


def test_the_log_does_not_know_the_magic_link(
    there: Site, stranger: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    path = link(there).removeprefix(there.url)
    tag = path.rpartition(".")[2]
    with caplog.at_level("INFO"):
        stranger.get(path)
        # The line is written when the answer is out already.
        while not (ours := [each for each in caplog.records if each.name == "reknit.http"]):
            sleep(0.01)
    assert all(tag not in str(vars(each)) for each in ours)
    assert tag not in redacted(f"GET {path}/runs/run_1")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"colour": "red"}, "pattern"),
        ({"frames": ["http://app.example.com"]}, "origin"),
        ({"frames": ["https://a.example; script-src *"]}, "origin"),
        ({"logo": "data:image/svg+xml;base64,PHN2Zz4="}, "pattern"),
        ({"logo": 'data:image/png;base64,AA"onerror=1'}, "pattern"),
        ({"language": "xx"}, "language"),
    ],
)
def test_a_brand_that_could_do_harm_is_refused(said: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Brand.model_validate(said)


def test_a_logo_must_be_a_picture() -> None:
    assert picture(b"\x89PNG\r\n\x1a\nrest").startswith("data:image/png;base64,")
    for content in (b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + b"x" * 70_000):
        with pytest.raises(ValueError, match="logo"):
            picture(content)


@pytest.mark.parametrize("colour", ["#000000", "#ffffff", "#ffff00", "#777777", "#e10098"])
def test_a_brand_colour_is_moved_until_it_can_be_read(colour: str) -> None:
    light, dark, on_light, on_dark = re.findall(r"#[0-9a-f]{6}", stylesheet(Brand(colour=colour)))
    assert contrast(light, "#ffffff") >= 4.5
    assert contrast(dark, "#1b1e24") >= 4.5
    assert contrast(light, on_light) >= 4.5
    assert contrast(dark, on_dark) >= 4.5


def test_setting_the_brand_shows_it_to_customers(
    there: Site, member: httpx.Client, stranger: httpx.Client
) -> None:
    page = member.get("/console/brand")
    form = {
        "csrf": token(page),
        "name": "Acme & Töchter",
        "colour": "#e10098",
        "language": "de",
        "frames": "",
    }
    assert member.post("/console/brand", data=form).status_code == 303
    bad = member.post("/console/brand", data={**form, "frames": "javascript:alert(1)"})
    assert (bad.status_code, "is not an origin" in bad.text) == (400, True)
    theirs = stranger.get(link(there).removeprefix(there.url), headers={"accept-language": "en"})
    assert "Acme &amp; Töchter" in theirs.text
    assert '<html lang="de">' in theirs.text
    with there.services.database.begin() as c:
        partners.set_brand(c, there.key.partner, brand={})


def test_every_text_for_customers_is_in_every_language() -> None:
    wanted: set[str] = set()
    for path in (*TEMPLATES.glob("guest_*.html"), TEMPLATES / "macros.html"):
        wanted |= set(re.findall(r'_\("((?:[^"\\]|\\.)+)"\)', path.read_text("utf-8")))
    wanted |= {"Queued", "Running", "Needs attention", "Completed", "Failed", "Canceled"}
    wanted |= {*NOTICED.values()}
    assert set(NOTICED) == set(ReadCode)
    known = texts("de").texts
    assert wanted - set(known) == set()
    for text, translation in known.items():
        assert re.findall(r"%\(\w+\)s", text) == re.findall(r"%\(\w+\)s", translation), text
    assert preferred("de-AT,de;q=0.9") == "de"


def test_pages_tell_how_a_file_was_read(
    there: Site, member: httpx.Client, stranger: httpx.Client
) -> None:
    company = there.add_company("Careful")
    text = "Export of 22 November\n\n" + GOOD.replace(",", ";") + "\n"
    run = there.send(text, name="careful.csv", company=company)
    root = link(there, company).removeprefix(there.url)
    page = member.get(f"/console/runs/{run.id}").text
    assert "1 table, 2 things noticed" in page
    assert "header in row 3" in page
    assert '<bdi class="value ">;</bdi>' in page
    assert "Rows above the header left out" in page
    guest = {"accept-language": "de"}
    assert (
        "Zeilen über der Kopfzeile weggelassen"
        in stranger.get(f"{root}/runs/{run.id}", headers=guest).text
    )
    with there.services.database.begin() as c:
        upload = uploads.add(
            c, company.partner, company=company.id, name="careful.csv", content_type="text/csv",
            size=len(text), valid_until=company.created_at,
        )  # fmt: skip
        stored = there.services.files.put_content(company.partner, company.id, [text.encode()])
        uploads.stored(c, company.partner, upload.id, digest=stored.digest, size=stored.size)
    columns = stranger.get(f"{root}/columns?file={upload.id}", headers=guest)
    assert "Kopfzeile in Zeile 3" in columns.text


def test_an_old_magic_link_has_ended(there: Site, stranger: httpx.Client) -> None:
    company = there.add_company("Late")
    path = magic_link(
        company, settings=there.services.settings, secrets=there.services.secrets
    ).removeprefix(there.url)
    with there.services.database.begin() as c:
        companies.archive(c, company.partner, company.id)
    assert stranger.get(path).status_code == 410


def test_a_second_import_of_a_customer_follows_the_first(
    there: Site, stranger: httpx.Client
) -> None:
    company = there.add_company("Twice")
    first = there.send(DRIFTED, company=company)
    path = link(there, company).removeprefix(there.url)
    file = {"files": ("more.csv", GOOD.encode(), "text/csv")}
    assert stranger.post(f"{path}/files", files=file).status_code == 303
    home = stranger.get(path, headers={"accept-language": "en"}).text
    assert "These follow when the import under way is done." in home
    upload = re.findall(r'name="file" value="(up_\w+)"', home)
    sent = stranger.post(f"{path}/imports", data={"file": upload})
    page = stranger.get(sent.headers["location"], headers={"accept-language": "en"}).text
    assert "Your import is next in line" in page
    there.services.work.cancel(company.partner, first.id, actor="a test")
    with there.services.database.begin() as c:
        second = runs.page(c, company.partner, company=company.id)[0]
    assert there.run(second).status is RunStatus.COMPLETED
