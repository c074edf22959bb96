"""Who gets in, what a form must carry, and what every page says about itself."""

import re
from datetime import timedelta

import httpx
import pytest
from console_members import SAME, signed_in, token
from console_site import DRIFTED, GOOD, Site, console_pages, link, settled

from api.console import sessions
from api.console.look import TEMPLATES
from engine.ids import utcnow
from engine.model import Run, RunStatus, Scope
from engine.store import keys, runs


def test_every_page_sends_a_stranger_to_the_door(
    there: Site, stranger: httpx.Client, run: Run
) -> None:
    for path in console_pages(there, run).values():
        answer = stranger.get(path)
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/console/sign-in?next=%2Fconsole%2F")


def test_signing_in_sets_a_cookie_no_script_can_read(there: Site, stranger: httpx.Client) -> None:
    answer = stranger.post("/console/sign-in", data={"key": there.text, "next": "/console/keys"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/keys")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/;" in cookie
    assert "Max-Age=43200" in cookie
    assert there.text not in answer.headers["set-cookie"]


def test_under_tls_the_cookie_is_bound_to_the_host(there: Site) -> None:
    settings = there.services.settings.model_copy(update={"public_url": "https://import.example"})
    assert sessions.cookie_name(settings) == "__Host-reknit"
    assert sessions.secure(settings)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/console/",
        "//evil.example",
        "/v1/runs",
        "/console/\\evil",
        "/console//x",
    ],
)
def test_signing_in_leads_nowhere_else(there: Site, stranger: httpx.Client, elsewhere: str) -> None:
    answer = stranger.post("/console/sign-in", data={"key": there.text, "next": elsewhere})
    assert answer.headers["location"] == "/console/runs"


@pytest.mark.parametrize("text", ["", "rk_live_nonsense", "rk_live_" + "0" * 39, "x" * 200])
def test_a_wrong_key_opens_nothing(stranger: httpx.Client, text: str) -> None:
    answer = stranger.post("/console/sign-in", data={"key": text})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_api_takes_no_cookie(there: Site, member: httpx.Client) -> None:
    assert member.get("/console/runs").status_code == 200
    assert member.get("/v1/runs").status_code == 401


def test_a_form_of_another_site_is_refused(there: Site, member: httpx.Client, run: Run) -> None:
    csrf = token(member.get("/console/keys"))
    before = there.run(run).status
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "", "origin": "https://evil.example"},
        {"sec-fetch-site": "", "origin": "null"},
        {"sec-fetch-site": ""},
    ):
        path = f"/console/runs/{run.id}/cancel"
        answer = member.post(path, data={"csrf": csrf}, headers=headers)
        assert answer.status_code == 403, headers
    assert there.run(run).status is before


@pytest.mark.parametrize("csrf", [None, "", "x", "ä"])
def test_a_form_without_its_token_is_refused(
    there: Site, member: httpx.Client, run: Run, csrf: str | None
) -> None:
    data = {} if csrf is None else {"csrf": csrf}
    assert member.post(f"/console/runs/{run.id}/cancel", data=data).status_code == 403


def test_the_token_of_another_session_is_refused(
    there: Site, member: httpx.Client, run: Run
) -> None:
    with httpx.Client(base_url=there.url, headers=SAME, trust_env=False) as other:
        csrf = token(signed_in(there, other).get("/console/keys"))
    answer = member.post(f"/console/runs/{run.id}/cancel", data={"csrf": csrf})
    assert answer.status_code == 403


def test_an_import_is_undone_from_its_page(there: Site, member: httpx.Client) -> None:
    done = there.send(GOOD, company=there.add_company("Undone"))
    page = member.get(f"/console/runs/{done.id}")
    assert "What the sheets took" in page.text
    undo = f"/console/runs/{done.id}/undo"
    assert f'action="{undo}"' in page.text
    assert member.post(undo, data={}).status_code == 403
    answer = member.post(undo, data={"csrf": token(page)})
    assert answer.status_code == 303
    with there.services.database.begin() as c:
        made = runs.get(c, done.partner, answer.headers["location"].rpartition("/")[2])
    assert there.run(made).rows["contacts"]["removed"] == 40
    assert "Removed" in member.get(f"/console/runs/{made.id}").text
    assert f'action="{undo}"' not in member.get(f"/console/runs/{done.id}").text


def test_importing_again_waits_for_the_import_under_way(there: Site, member: httpx.Client) -> None:
    owner = there.add_company("Again")
    done, waiting = there.send(GOOD, company=owner), there.send(DRIFTED, company=owner)
    page = f"/console/runs/{done.id}/mapping"
    answer = member.post(page, data={"csrf": token(member.get(page))})
    assert answer.status_code == 303
    with there.services.database.begin() as c:
        made = runs.get(c, owner.partner, answer.headers["location"].rpartition("/")[2])
    assert (waiting.status, made.waits) == (RunStatus.NEEDS_ATTENTION, True)


def test_every_form_of_the_console_carries_the_token() -> None:
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text("utf-8")
        if path.name.startswith("guest_") or path.name in ("sign_in.html", "login.html"):
            continue
        for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
            assert "hidden(shell)" in form, path.name


def test_a_changed_or_old_session_is_none(there: Site) -> None:
    secrets = there.services.secrets
    session, text = sessions.opened(there.key, secrets=secrets)
    assert sessions.read(text, secrets=secrets) is not None
    for at in range(0, len(text), 7):
        changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        assert sessions.read(changed, secrets=secrets) is None, at
    assert session.until - utcnow() <= timedelta(hours=12)


def test_revoking_a_key_ends_its_sessions(there: Site, stranger: httpx.Client) -> None:
    with there.services.database.begin() as c:
        key, _ = keys.mint(
            c, there.key.partner, secrets=there.services.secrets, name="leaver", scopes=list(Scope)
        )
        stranger.cookies.set("reknit", sessions.opened(key, secrets=there.services.secrets)[1])
    assert stranger.get("/console/runs").status_code == 200
    with there.services.database.begin() as c:
        keys.revoke(c, there.key.partner, key.id)
    assert stranger.get("/console/runs").status_code == 303


def test_a_sign_in_link_works_once(
    there: Site, stranger: httpx.Client, member: httpx.Client
) -> None:
    page = member.post(
        f"/console/keys/{there.key.id}/sign-in", data={"csrf": token(member.get("/console/keys"))}
    )
    path = re.findall(r'value="[^"]*(/console/links/[^"]+)"', page.text)[0]
    with httpx.Client(base_url=there.url, headers=SAME, trust_env=False) as fresh:
        assert fresh.get(path).status_code == 200
        assert fresh.get(path).status_code == 200, "looking at it must not use it up"
        assert fresh.post(path).headers["location"] == "/console/runs"
        assert fresh.get("/console/runs").status_code == 200
        fresh.cookies.clear()
        assert fresh.post(path).status_code == 410
        assert fresh.get(path[:-1] + "_").status_code == 410


def test_a_key_sees_its_scopes_only(there: Site, stranger: httpx.Client, run: Run) -> None:
    reader = signed_in(there, stranger, Scope.COMPANIES_READ)
    page = reader.get(f"/console/runs/{run.id}/review")
    assert page.status_code == 200
    assert 'value="accept"' not in page.text
    for path in (
        "/console/audit",
        "/console/webhooks",
        "/console/brand",
        f"/console/runs/{run.id}/cells",
    ):
        assert reader.get(path).status_code == 403, path
    form = {"csrf": token(page), "etag": "x", "verdict": "accept"}
    assert reader.post(f"/console/runs/{run.id}/decision", data=form).status_code == 403
    assert reader.post("/console/keys", data=form).status_code == 403


def test_a_key_for_one_company_sees_no_other(there: Site, stranger: httpx.Client, run: Run) -> None:
    other = there.add_company("Other")
    client = signed_in(there, stranger, companies=(other.id,))
    assert client.get(f"/console/companies/{other.id}").status_code == 200
    for path in (f"/console/companies/{there.company.id}", f"/console/runs/{run.id}"):
        assert client.get(path).status_code == 404
    assert there.company.name not in client.get("/console/companies").text
    assert there.company.name not in client.get("/console/runs").text


def test_another_partner_finds_nothing(there: Site, stranger: httpx.Client, run: Run) -> None:
    theirs = settled(there.services, there.url)
    stranger.cookies.set("reknit", sessions.opened(theirs.key, secrets=there.services.secrets)[1])
    for name, path in console_pages(there, run).items():
        if run.id in path or there.plan.id in path or there.company.id in path:
            assert stranger.get(path).status_code == 404, name
    csrf = token(stranger.get("/console/keys"))
    posts = {
        f"/console/runs/{run.id}/cancel": 404,
        f"/console/runs/{run.id}/undo": 404,
        f"/console/runs/{run.id}/decision": 404,
        f"/console/runs/{run.id}/mapping": 404,
        f"/console/companies/{there.company.id}/revoke-links": 404,
        f"/console/plans/{there.plan.id}/rollback": 404,
        f"/console/plans/{there.plan.id}/versions/1/publish": 404,
        f"/console/keys/{there.key.id}/revoke": 404,
        f"/console/keys/{there.key.id}/sign-in": 404,
    }
    for path, status in posts.items():
        assert stranger.post(path, data={"csrf": csrf}).status_code == status, path


def test_a_decision_on_another_proposal_changes_nothing(
    there: Site, member: httpx.Client, run: Run
) -> None:
    page = member.get(f"/console/runs/{run.id}/review")
    proposal = re.findall(r'name="proposal" value="([^"]+)"', page.text)[0]
    for said in (
        {"etag": "0" * 64, "proposal": proposal},
        {"etag": "0" * 64, "proposal": "prop_x"},
    ):
        form = {"csrf": token(page), "verdict": "accept", **said}
        assert member.post(f"/console/runs/{run.id}/decision", data=form).status_code == 412
    assert there.run(run).status is RunStatus.NEEDS_ATTENTION


def test_every_page_says_what_it_may_load(there: Site, member: httpx.Client, run: Run) -> None:
    pages = [*console_pages(there, run).values(), link(there).removeprefix(there.url), "/m/nothing"]
    for path in pages:
        answer = member.get(path)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';"), path
        assert "base-uri 'none'; frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"


def test_downloads_never_open_in_our_name(there: Site, member: httpx.Client, run: Run) -> None:
    answer = member.get(f"/console/runs/{run.id}/files/contacts/rejected-rows.xlsx")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.content.startswith(b"PK")
    hidden = member.get(f"/console/runs/{run.id}/files/staging/0.csv")
    assert hidden.status_code == 404


def test_cells_are_paged_filtered_and_shown_in_their_row(there: Site, member: httpx.Client) -> None:
    many = "Email,Name\n" + "".join(f'bad {n},"two\nlines"\n' for n in range(250))
    run = there.send(many, company=there.add_company("Paged"))
    path = f"/console/runs/{run.id}/cells?field=email"
    seen: list[str] = []
    while path:
        page = member.get(path)
        seen += re.findall(r">bad (\d+)<", page.text)
        onward = re.findall(r'rel="next" href="([^"]+)"', page.text)
        path = onward[0].replace("&amp;", "&") if onward else ""
    assert seen == [str(n) for n in range(250)]
    row = re.findall(r'href="(/console/runs/[^"]+/rows/[^"]+)"', page.text)[-1]
    shown = member.get(row.replace("&amp;", "&"))
    assert shown.text.count('aria-current="true"') == 1
    assert "bad 249" in shown.text
    assert "bad 246" in shown.text, "the rejected rows before it are its context"


def test_a_place_nobody_gave_is_refused(there: Site, member: httpx.Client, run: Run) -> None:
    for place in ("0:7", "x", "MDo3", "ä"):
        assert (
            member.get(f"/console/runs/{run.id}/cells", params={"after": place}).status_code == 400
        )


def test_a_version_is_replayed_on_past_runs(there: Site, member: httpx.Client) -> None:
    there.send(GOOD, company=there.add_company("Past"))
    page = member.get(f"/console/plans/{there.plan.id}/versions/1?replay=yes")
    assert "Past" in page.text
    assert "the same" in page.text


@pytest.mark.parametrize("name", ["../look.py", "%2e%2e/look.py", "console.css/", "nothing.js"])
def test_only_our_static_files_are_served(stranger: httpx.Client, name: str) -> None:
    assert stranger.get(f"/console/static/{name}").status_code == 404


def test_guessing_keys_ends_after_ten(there: Site) -> None:
    # The last one: after it nobody at this address signs in for a minute.
    with httpx.Client(base_url=there.url, headers=SAME, trust_env=False) as client:
        tried = [client.post("/console/sign-in", data={"key": "x"}) for _ in range(15)]
    assert tried[-1].status_code == 429
    assert int(tried[-1].headers["retry-after"]) >= 1
