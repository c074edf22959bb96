"""A real deployment in this process: server on loopback, worker, a partner with a plan and a key."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page
from serving import deployment

from api.deps import Services
from api.magic import magic_link
from engine.model import Company, Key, PlanRecord, Run, RunStatus, Scope, Source
from engine.store import companies, keys, partners, plans, sources, uploads
from plans.document import load
from plans.plan import Plan
from plans.template import Template
from plans.versions import first_version

TEMPLATE = """
template: contacts
title: Contacts
fields:
  - {name: email, type: email, required: true, title: E-mail}
  - {name: name, title: Name, max_length: 200}
  - {name: status, type: enum, values: [lead, customer, former], title: Status}
  - {name: signed_on, type: date, title: Signed on}
identity: [email]
"""
PLAN = """
plan: crm
title: CRM export
sheets:
  - template: contacts
    columns:
      - {field: email, from: Email, transforms: [trim, email]}
      - {field: name, from: Name, transforms: [trim]}
      - {field: status, from: Status, transforms: [trim, {op: case, to: lower}]}
      - {field: signed_on, from: Signed, transforms: [date]}
"""
#: As the plan expects it, and as customers send it: a renamed header, new values, bad cells.
GOOD = "Email,Name,Status,Signed\n" + "".join(
    f"p{n}@example.org,Person {n},{('lead', 'customer', 'former')[n % 3]},2026-01-{n % 28 + 1:02}\n"
    for n in range(40)
)
DRIFTED = "E-mail address,Name,Status,Signed,Newsletter\n" + "".join(
    f"q{n}@example.org,Person {n},{'Klant' if n % 4 == 0 else 'lead'},2026-02-{n % 28 + 1:02},yes\n"
    for n in range(60)
) + "not-an-address,Nobody,lead,2026-02-01,no\n"  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where it answers, and what it was started with."""

    url: str
    services: Services
    key: Key
    text: str
    source: Source
    plan: PlanRecord
    company: Company

    def send(
        self, content: str | bytes, *, name: str = "contacts.csv", company: Company | None = None
    ) -> Run:
        """An import of one file; returns once it ended or waits for a person."""
        owner = company or self.company
        data = content.encode() if isinstance(content, str) else content
        here, partner = self.services, owner.partner
        stored = here.files.put_content(partner, owner.id, [data])
        with here.database.begin() as c:
            upload = uploads.add(
                c, partner, company=owner.id, name=name, content_type="text/csv",
                size=stored.size, valid_until=owner.created_at,
            )  # fmt: skip
            uploads.stored(c, partner, upload.id, digest=stored.digest, size=stored.size)
            run = here.work.submit(
                c, partner, company=owner.id, used=[upload.id], actor=self.key.id
            )
        return here.work.wait(partner, run.id, seconds=60)

    def add_company(self, name: str) -> Company:
        """One more customer."""
        with self.services.database.begin() as c:
            return companies.add(
                c, self.key.partner, name=name, source=self.source.id, templates=["contacts"]
            )

    def run(self, run: Run) -> Run:
        """The run as it is now, once it ended or waits again."""
        until = frozenset(RunStatus) - {RunStatus.QUEUED, RunStatus.RUNNING}
        return self.services.work.wait(run.partner, run.id, seconds=60, until=until)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Start it, and stop it at the end."""
    # Aside, because Playwright keeps an event loop running in its thread and DBOS refuses that.
    with ThreadPoolExecutor(1) as aside:
        started = deployment(folder, workers=2, poll_seconds=0.05)
        there = aside.submit(started.__enter__).result()
        try:
            yield settled(there.services, there.url)
        finally:
            aside.submit(started.__exit__, None, None, None).result()


def settled(services: Services, url: str) -> Site:
    """A partner, its source with a published plan, a company and a key that may do everything."""
    template = load(Template, TEMPLATE, name="template")
    version = first_version(
        load(Plan, PLAN, name="plan"), (template,), author="a test", reason="First"
    )
    with services.database.begin() as c:
        partner = partners.add(c, "Acme CRM")
        source = sources.add(c, partner.id, name="crm", title="Old CRM")
        plan = plans.add(c, partner.id, source=source.id, version=version)
        plan = plans.publish(c, partner.id, plan.id, 1, actor="a test", reason="Start")
        company = companies.add(
            c, partner.id, name="Möbelhaus Schröder", source=source.id, templates=["contacts"],
            external_id="crm-20417",
        )  # fmt: skip
        key, text = keys.mint(
            c, partner.id, secrets=services.secrets, name="Ana", scopes=frozenset(Scope)
        )
    return Site(
        url=url, services=services, key=key, text=text, source=source, plan=plan, company=company
    )


def sign_in(page: Page, there: Site) -> None:
    """Come in by the form."""
    page.goto(f"{there.url}/console/sign-in")
    page.get_by_label("API key").fill(there.text)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/runs")


def console_pages(there: Site, run: Run) -> dict[str, str]:
    """Name → path of every page of the console about this run."""
    root, plan = "/console", f"/console/plans/{there.plan.id}"
    own = f"{root}/runs/{run.id}"
    return {
        "runs": f"{root}/runs",
        "run": own,
        "review": f"{own}/review",
        "cells": f"{own}/cells",
        "row": f"{own}/rows/contacts/2?file=contacts.csv",
        "mapping": f"{own}/mapping",
        "companies": f"{root}/companies",
        "company": f"{root}/companies/{there.company.id}",
        "plans": f"{root}/plans",
        "plan": plan,
        "version": f"{plan}/versions/1",
        "brand": f"{root}/brand",
        "webhooks": f"{root}/webhooks",
        "keys": f"{root}/keys",
        "audit": f"{root}/audit",
        "not-found": f"{root}/runs/run_00000000000000000000000000",
    }


def link(there: Site, company: Company | None = None) -> str:
    """The magic link of a company as it is now."""
    wanted = company or there.company
    with there.services.database.begin() as c:
        now = companies.get(c, wanted.partner, wanted.id)
    return magic_link(now, settings=there.services.settings, secrets=there.services.secrets)
