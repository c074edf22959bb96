"""Rows every state test needs: a partner with a source, a published plan and a company."""

from dataclasses import dataclass

import sqlalchemy as sa

from engine.model import Company, Partner, PlanVersionRecord, Run, Source
from engine.policy import Policy
from engine.proposal import Proposal
from engine.store import companies, partners, plans, runs, sources
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version


@dataclass(frozen=True, kw_only=True)
class World:
    partner: Partner
    source: Source
    plan: PlanVersionRecord
    company: Company


def contacts() -> Template:
    fields = [{"name": "email", "type": "email", "required": True}, {"name": "name"}]
    return Template.model_validate(
        {"template": "contacts", "fields": fields, "identity": ["email"]}
    )


def document(*, header: str = "E-mail") -> Plan:
    columns = [{"field": "email", "from": header}, {"field": "name", "from": "Name"}]
    return Plan.model_validate(
        {"plan": "crm", "sheets": [{"template": "contacts", "columns": columns}]}
    )


def version(*, header: str = "E-mail") -> PlanVersion:
    return first_version(document(header=header), (contacts(),), author="a test")


def settle(c: sa.Connection, name: str = "Acme") -> World:
    """A partner that can import."""
    partner = partners.add(c, name)
    source = sources.add(c, partner.id, name="crm")
    plan = plans.add(c, partner.id, source=source.id, version=version())
    plans.publish(c, partner.id, plan.id, 1, actor="a test")
    company = companies.add(
        c, partner.id, name="Customer", source=source.id, templates=["contacts"]
    )
    return World(
        partner=partner,
        source=source,
        plan=plans.version(c, partner.id, plan.id),
        company=company,
    )


def start(c: sa.Connection, world: World, **given: object) -> Run:
    """A queued run of the world's company."""
    return runs.add(
        c,
        world.partner.id,
        **{
            "company": world.company.id,
            "plan": world.plan,
            "uploads": (),
            "options": {},
            "policy": Policy(),
            "dry_run": False,
            "priority": 0,
            "metadata": {},
            "actor": "a test",
        }
        | given,
    )


def proposal(*, etag: str = "e1") -> Proposal:
    return Proposal(
        plan_digest="d", inputs=(), summary="nothing to do", repairs=(), questions=(), etag=etag
    )
