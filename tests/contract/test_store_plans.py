"""Plans and templates in the store: their versions, who uses which, and what is refused."""

import pytest
import sqlalchemy as sa
from records import World, contacts, document, version

from engine.errors import Conflict
from engine.store import companies, plans, templates


def test_published_versions_move_forward_and_back(database: sa.Engine, world: World) -> None:
    partner, plan = world.partner.id, world.plan.plan
    with database.begin() as c:
        second = plans.revise(c, partner, plan, document(header="Mail"), author="x", parent=1)
        assert (second.number, second.version.parent) == (2, world.plan.version.digest)
        assert plans.version(c, partner, plan).number == 1
        plans.publish(c, partner, plan, 2, actor="x", reason="renamed")
        assert plans.version(c, partner, plan) == second
        assert plans.rollback(c, partner, plan, actor="x").published == 1
        assert [each.number for each in plans.published(c, partner, plan)] == [1, 2, 1]
        with pytest.raises(Conflict, match="newer version"):
            plans.revise(c, partner, plan, document(header="Other"), parent=1)
        with pytest.raises(Conflict, match="already"):
            plans.add(c, partner, source=world.source.id, version=version())


def test_a_fork_is_the_companys_own(database: sa.Engine, world: World) -> None:
    partner, company, source = world.partner.id, world.company.id, world.source.id
    with database.begin() as c:
        fork = plans.fork(c, partner, world.plan.plan, company=company, number=1)
        assert plans.effective(c, partner, source=source, company=company).id == world.plan.plan
        plans.publish(c, partner, fork.id, 1, actor="x")
        assert plans.effective(c, partner, source=source, company=company).id == fork.id
        other = companies.add(c, partner, name="B", source=source, templates=["contacts"])
        used = plans.effective(c, partner, source=source, company=other.id)
        assert used.id == world.plan.plan
        assert plans.version(c, partner, fork.id).version.parent == world.plan.version.digest


def test_a_damaged_version_is_refused(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        c.execute(
            sa.text("UPDATE plan_versions SET document = replace(document, 'E-mail', 'E-nail')")
        )
        with pytest.raises(Conflict, match="damaged"):
            plans.version(c, world.partner.id, world.plan.plan)


def test_templates_get_a_version_only_when_they_differ(database: sa.Engine, world: World) -> None:
    partner = world.partner.id
    with database.begin() as c:
        first = templates.add(c, partner, contacts())
        assert templates.add(c, partner, contacts()) == first
        second = templates.add(c, partner, contacts().model_copy(update={"title": "People"}))
        assert (second.number, templates.named(c, partner, "contacts")) == (2, second)
        assert templates.named(c, partner, "contacts", number=1) == first
        assert templates.page(c, partner) == [second]
        assert templates.versions(c, partner, "contacts") == [second, first]
