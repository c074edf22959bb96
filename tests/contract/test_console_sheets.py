"""What the console shows of a company's stored rows, and gives away as files."""

from io import BytesIO

import httpx
import polars
from console_members import signed_in
from console_site import Site

from engine.model import Scope
from engine.store import errands

FORMULA = "Email,Name,Status,Signed\na@example.org,=1+1,lead,2026-01-02\n"


def test_a_company_shows_its_sheets_and_deliveries_and_gives_the_rows_away(
    there: Site, member: httpx.Client
) -> None:
    owner = there.add_company("Kunstgriff")
    page = f"/console/companies/{owner.id}"
    assert "no import yet" in member.get(page).text
    run = there.send(FORMULA, company=owner)
    with there.services.database.begin() as c:
        errands.add(
            c, owner.partner, company=owner.id, kind=errands.Kind.DELIVERY, title="our-product",
            request={}, actor="test", destination="dst_x", total=7,
        )  # fmt: skip
    told = member.get(page).text
    assert f"/console/runs/{run.id}" in told
    assert "our-product" in told
    assert "0 of 7" in told
    csv = member.get(f"{page}/sheets/contacts.csv")
    assert csv.text.splitlines()[1] == "a@example.org,'=1+1,lead,2026-01-02"
    assert csv.headers["content-disposition"].startswith("attachment")
    parquet = member.get(f"{page}/sheets/contacts.parquet")
    assert polars.read_parquet(BytesIO(parquet.content))["name"].to_list() == ["=1+1"]
    assert member.get(f"{page}/sheets/contacts.exe").status_code in (400, 404)


def test_who_may_not_export_gets_no_rows(there: Site, stranger: httpx.Client) -> None:
    reader = signed_in(there, stranger, Scope.COMPANIES_READ)
    page = f"/console/companies/{there.company.id}"
    assert "sheets/contacts.csv" not in reader.get(page).text
    assert reader.get(f"{page}/sheets/contacts.csv").status_code == 403
