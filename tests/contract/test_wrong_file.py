"""A file of another kind is one question before all others, and an answer ends the import or goes on."""

import re

import httpx
from console_members import token
from console_site import Site, link

from engine.model import Run, RunStatus
from engine.store import proposals

PRODUCTS = "Item No.,Product,List price\n" + "".join(f"A-{n},Chair,{n}.50\n" for n in range(9))


def answered(there: Site, member: httpx.Client, run: Run, answer: str | None) -> httpx.Response:
    page = member.get(f"/console/runs/{run.id}/review")
    hidden = dict(re.findall(r'name="(etag|proposal)" value="([^"]+)"', page.text))
    said = {} if answer is None else {"answer:contacts.file": answer}
    form = {"csrf": token(page), "verdict": "accept", **hidden, **said}
    return member.post(f"/console/runs/{run.id}/decision", data=form)


def test_a_wrong_file_is_one_question_and_saying_so_ends_the_import(
    there: Site, member: httpx.Client
) -> None:
    company = there.add_company("Wrong")
    run = there.send(PRODUCTS, name="products.csv", company=company)
    theirs = f"{link(there, company).removeprefix(there.url)}/runs/{run.id}"
    german = {"accept-language": "de"}
    asked = member.get(theirs, headers=german).text
    assert "products.csv sieht nicht nach einer Datei für contacts aus" in asked
    columns = f"{link(there, company).removeprefix(there.url)}/columns?file={run.uploads[0]}"
    assert "Ist das die richtige Datei?" in member.get(columns, headers=german).text
    page = member.get(f"/console/runs/{run.id}/review").text
    assert page.count('<fieldset class="stack" data-question>') == 1
    told = "products.csv does not look like a file of contacts: 0 of 4 planned columns found"
    assert told in page
    assert page.count(" required>") == 2
    assert answered(there, member, run, None).status_code == 400
    assert answered(there, member, run, "another").status_code == 303
    ended = there.run(run)
    assert (ended.status, ended.error_code) == (RunStatus.FAILED, "rejected")
    assert "Der Import wurde abgebrochen" in member.get(theirs, headers=german).text
    assert ended.error_message == f"{told}; upload another file"


def test_the_right_file_after_all_goes_on_to_its_columns(there: Site, member: httpx.Client) -> None:
    run = there.send(PRODUCTS, name="products.csv", company=there.add_company("Right after all"))
    assert answered(there, member, run, "go_on").status_code == 303
    again = there.run(run)
    assert again.status is RunStatus.NEEDS_ATTENTION
    with there.services.database.begin() as c:
        open_one = proposals.open_of(c, run.partner, run.id)
    assert open_one is not None
    asked = [each.id for each in open_one.proposal.questions]
    assert "contacts.email.column" in asked
    assert "contacts.file" not in asked
