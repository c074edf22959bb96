import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from records import World, proposal, start, version

from engine.errors import (
    ActiveRun,
    AlreadyDecided,
    Conflict,
    NotFound,
    ProposalChanged,
    QuotaExceeded,
)
from engine.ids import utcnow
from engine.model import Confirmed, RunStatus, Scope
from engine.proposal import Decision, Verdict
from engine.settings import Secrets
from engine.store import (
    audit,
    companies,
    endpoints,
    events,
    executors,
    findings,
    idempotency,
    keys,
    memory,
    partners,
    plans,
    proposals,
    quotas,
    runs,
    sources,
    uploads,
)
from engine.store.database import UnscopedStatement, unscoped
from engine.store.tables import audit as audit_table
from engine.store.tables import metadata
from engine.store.tables import runs as run_table

SECRETS = Secrets(ring=(("new", b"n" * 32), ("old", b"o" * 32)))


def test_statements_without_a_partner_raise(database: sa.Engine) -> None:
    scoped = [table for table in metadata.sorted_tables if "partner" in table.c]
    assert {table.name for table in metadata.sorted_tables} - {t.name for t in scoped} == {
        "partners",
        "executors",
    }
    with database.begin() as c:
        for table in scoped:
            column = next(iter(table.c))
            for statement in (
                sa.select(table),
                sa.delete(table).where(column == "x") if column.name != "partner" else None,
                sa.update(table).values({column: "x"}),
                sa.select(sa.func.count()).select_from(table),
            ):
                if statement is not None:
                    with pytest.raises(UnscopedStatement, match=table.name):
                        c.execute(statement)


def test_a_join_needs_the_partner_of_both_sides() -> None:
    left, right = run_table, metadata.tables["events"]
    joined = sa.select(left.c.id).join(right, right.c.run == left.c.id)
    assert unscoped(joined.where(left.c.partner == "p")) == ("events",)
    assert unscoped(joined.where(left.c.partner == right.c.partner)) == ("events", "runs")
    assert unscoped(joined.where(left.c.partner == right.c.partner, right.c.partner == "p")) == ()


def test_a_key_is_shown_once_and_kept_as_a_hash(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        made, text = keys.mint(
            c, world.partner.id, secrets=SECRETS, name="ci", scopes={Scope.KEYS_ADMIN}
        )
        assert keys.find(c, text, secrets=SECRETS) == made
        assert made.live(utcnow())
        assert text.startswith(made.prefix)
        everything = "".join(str(row) for row in c.execute(sa.text("SELECT * FROM keys")))
        assert text not in everything
        assert keys.revoke(c, world.partner.id, made.id).revoked_at is not None
        assert not keys.get(c, world.partner.id, made.id).live(utcnow())


def test_a_key_survives_a_new_pepper(database: sa.Engine, world: World) -> None:
    before = Secrets(ring=SECRETS.ring[1:])
    with database.begin() as c:
        made, text = keys.mint(c, world.partner.id, secrets=before, name="ci", scopes=())
        assert keys.find(c, text, secrets=SECRETS) == made
        assert keys.find(c, text, secrets=Secrets(ring=SECRETS.ring[:1])) is None


def test_key_texts_have_the_published_form() -> None:
    texts = [keys.new_text("live") for _ in range(2_000)]
    assert all(keys.PATTERN.fullmatch(each) and keys.well_formed(each) for each in texts)
    assert len(set(texts)) == len(texts)
    assert {len(each) for each in texts} == {47}
    broken = [each[:20] + ("A" if each[20] != "A" else "B") + each[21:] for each in texts]
    assert not any(keys.well_formed(each) for each in broken)


def test_companies_are_found_listed_changed_and_erased(database: sa.Engine, world: World) -> None:
    partner, source = world.partner.id, world.source.id
    with database.begin() as c:
        made = companies.add(
            c, partner, name="B", source=source, templates=["contacts"], external_id="b-1"
        )
        with pytest.raises(Conflict, match="b-1"):
            companies.add(c, partner, name="C", source=source, templates=[], external_id="b-1")
        assert companies.by_external_id(c, partner, "b-1") == made
        assert [each.template for each in made.sheets] == ["contacts"]
        changed = companies.update(c, partner, made.id, name="BB", metadata={"k": "v"})
        assert (changed.name, changed.metadata, changed.sheets) == ("BB", {"k": "v"}, made.sheets)
        companies.archive(c, partner, made.id)
        assert companies.page(c, partner, archived=False) == [world.company]
        companies.erase(c, partner, made.id)
        with pytest.raises(NotFound):
            companies.get(c, partner, made.id)


def test_erasing_takes_everything_and_waits_for_runs(database: sa.Engine, world: World) -> None:
    partner = world.partner.id
    with database.begin() as c:
        run = start(c, world)
        proposals.add(c, partner, run=run, proposal=proposal(), version=version(), blocking=False)
        with pytest.raises(ActiveRun):
            companies.erase(c, partner, world.company.id)
        runs.ask_to_cancel(c, partner, run.id, actor="x")
        plans.fork(c, partner, world.plan.plan, company=world.company.id, number=1)
        companies.erase(c, partner, world.company.id)
        for table in ("runs", "events", "proposals", "sheets", "companies"):
            assert c.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar() == 0
        assert len(plans.page(c, partner)) == 1


def test_an_upload_grows_only_at_its_end(database: sa.Engine, world: World) -> None:
    partner = world.partner.id
    with database.begin() as c:
        up = uploads.add(
            c, partner, company=world.company.id, name="../../x.csv", content_type="text/csv",
            size=10, valid_until=utcnow() + timedelta(hours=1),
        )  # fmt: skip
        assert uploads.received(c, partner, up.id, offset=0, count=6).received == 6
        for offset, count in ((0, 6), (7, 1), (6, 5)):
            with pytest.raises(Conflict, match="byte 6"):
                uploads.received(c, partner, up.id, offset=offset, count=count)
        done = uploads.stored(c, partner, up.id, digest="d" * 64, size=10)
        assert uploads.stored(c, partner, up.id, digest="d" * 64, size=10) == done
        with pytest.raises(Conflict, match="other bytes"):
            uploads.stored(c, partner, up.id, digest="e" * 64, size=10)


def test_a_proposal_is_decided_once_by_who_saw_it(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        run = start(c, world)
        shown = proposals.add(
            c,
            world.partner.id,
            run=run,
            proposal=proposal(etag="seen"),
            version=version(),
            blocking=True,
        )
        stale = Decision(etag="old", verdict=Verdict.ACCEPT, answers={})
        with pytest.raises(ProposalChanged):
            proposals.decide(c, world.partner.id, shown.id, decision=stale)

    def decide(verdict: Verdict) -> bool:
        decision = Decision(etag="seen", verdict=verdict, answers={}, actor=verdict)
        try:
            with database.begin() as c:
                proposals.decide(c, world.partner.id, shown.id, decision=decision)
        except AlreadyDecided:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(decide, [Verdict.ACCEPT, Verdict.REJECT] * 32))
    assert won.count(True) == 1
    with database.begin() as c:
        kept = proposals.get(c, world.partner.id, shown.id)
        assert (kept.open, kept.proposal) == (False, shown.proposal)
        assert kept.decision is not None
        assert kept.decision.actor == kept.decision.verdict
        assert proposals.open_of(c, world.partner.id, run.id) is None


def test_an_idempotency_key_has_one_winner_and_one_answer(
    database: sa.Engine, world: World
) -> None:
    asked = {"scope": "POST /v1/companies", "key": "k1"}

    def post(number: int) -> object:
        with database.begin() as c:
            there = idempotency.begin(c, world.partner.id, **asked, fingerprint="f", days=1)
            if there is None:
                idempotency.finish(
                    c, world.partner.id, **asked, status=201, headers={"A": "b"}, body=b"first"
                )
            return there and (there.status, there.body, dict(there.headers), there.fingerprint)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(post, range(64)))
    assert answers.count(None) == 1
    assert answers.count((201, b"first", {"A": "b"}, "f")) == 63


def test_an_idempotency_key_is_free_again_after_its_time(database: sa.Engine, world: World) -> None:
    asked = {"scope": "s", "key": "k", "fingerprint": "f"}
    with database.begin() as c:
        assert idempotency.begin(c, world.partner.id, **asked, days=-1) is None
        assert idempotency.begin(c, world.partner.id, **asked, days=1) is None
        assert idempotency.begin(c, world.partner.id, **asked, days=1) is not None
        idempotency.forget(c, world.partner.id, scope="s", key="k")
        assert idempotency.begin(c, world.partner.id, **asked, days=-1) is None
        assert idempotency.collect(c) == 1


def test_an_edited_audit_line_is_named(database: sa.Engine, world: World) -> None:
    partner = world.partner.id
    with database.begin() as c:
        for number in range(5):
            audit.append(c, partner, actor="key_1", action="run.approved", data={"n": number})
        assert audit.verify(c, partner) is None
        assert [each.sequence for each in audit.page(c, partner, before=4)] == [3, 2, 1]
    edit = sa.text("UPDATE audit SET action = 'nothing' WHERE sequence = 3")
    for statement in (edit, sa.text("DELETE FROM audit")):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.begin() as c:
            c.execute(statement)
    with database.begin() as c:
        if database.dialect.name == "sqlite":
            c.execute(sa.text("DROP TRIGGER audit_UPDATE"))
        else:
            c.execute(sa.text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        c.execute(edit)
        assert audit.verify(c, partner) == 3


def test_a_shortened_audit_log_shows(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        for _ in range(2):
            audit.append(c, world.partner.id, actor="a", action="b")
        c.execute(sa.update(partners.partners).values(audited=3))
        assert audit.verify(c, world.partner.id) == 3
        assert str(audit_table.name) == "audit"


def test_every_event_reaches_the_endpoints_that_want_it(database: sa.Engine, world: World) -> None:
    partner = world.partner.id
    with database.begin() as c:
        every = endpoints.add(c, partner, url="https://a.example", types=(), secrets=["s"])
        some = endpoints.add(
            c, partner, url="https://b.example", types=["run.canceled"], secrets=["s"]
        )
        run = start(c, world)
        runs.ask_to_cancel(c, partner, run.id, actor="x")
        assert len(endpoints.deliveries_of(c, partner, every.id)) == 2
        assert len(endpoints.deliveries_of(c, partner, some.id)) == 1
        waiting = endpoints.due(c, now=utcnow())
        assert len(waiting) == 3
        first, later = waiting[0], utcnow() + timedelta(minutes=1)
        assert endpoints.take(c, partner, first.id, due_at=later)
        assert not endpoints.take(c, partner, first.id, due_at=later)
        done = endpoints.attempted(c, partner, first.id, outcome="200", due_at=None, delivered=True)
        assert [how for _, how in done.attempts] == ["200"]
        endpoints.update(c, partner, some.id, disabled_at=utcnow())
        assert {each.endpoint for each in endpoints.due(c, now=utcnow())} == {every.id}
        since = utcnow() - timedelta(days=1)
        assert endpoints.replay(c, partner, every.id, since=since, until=utcnow()) == 2
        endpoints.remove(c, partner, every.id)
        assert events.page(c, partner, kinds=["run.canceled"])[0].run == run.id


def test_findings_are_replaced_as_a_whole(database: sa.Engine, world: World) -> None:
    partner = world.partner.id
    with database.begin() as c:
        run = start(c, world)
        kinds = findings.Finding
        for found in ({kinds.DRIFT: [{"a": 1}, {"b": 2}]}, {kinds.HEAL: [{"c": 3}]}):
            findings.replace(c, partner, run.id, found=found)
        assert findings.of_run(c, partner, run.id, kind=kinds.DRIFT) == []
        assert findings.of_run(c, partner, run.id, kind=kinds.HEAL) == [{"c": 3}]


def test_a_quota_is_never_passed(database: sa.Engine, world: World) -> None:
    def spend(number: int) -> bool:
        try:
            with database.begin() as c:
                quotas.spend(c, world.partner.id, name="uploads:today", limit=10, amount=3)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(spend, range(20))).count(True) == 3
    with database.begin() as c:
        assert quotas.used(c, world.partner.id, "uploads:today") == 9


def test_confirmed_headers_are_remembered_and_counted(database: sa.Engine, world: World) -> None:
    fact = Confirmed(
        source=world.source.id, company=world.company.id, template="contacts", field="email",
        headers=("E-Mail",), shape="s1", trust="healed",
    )  # fmt: skip
    with database.begin() as c:
        memory.remember(c, world.partner.id, [fact, fact])
        memory.remember(c, world.partner.id, [fact])
        (kept,) = memory.recall(c, world.partner.id)
        assert (kept.count, kept.headers) == (3, ("E-Mail",))
        assert memory.recall(c, "ptn_other") == []


def test_a_silent_executor_is_noticed(database: sa.Engine) -> None:
    with database.begin() as c:
        executors.beat(c, "w1")
        executors.beat(c, "w1")
        assert executors.living(c, seconds=60) == ["w1"]
        assert executors.silent(c, seconds=60) == []
        assert executors.silent(c, seconds=-1) == ["w1"]
        executors.leave(c, "w1", silent_seconds=60)
        assert executors.living(c, seconds=60) == ["w1"]
        executors.leave(c, "w1", silent_seconds=-1)
        assert executors.living(c, seconds=60) == []


def test_removing_a_partner_leaves_only_its_audit_log(database: sa.Engine, world: World) -> None:
    with database.begin() as c:
        audit.append(c, world.partner.id, actor="cli", action="partner.removed")
        run = start(c, world)
        runs.move(c, world.partner.id, run.id, RunStatus.CANCELED, actor="x")
        partners.remove(c, world.partner.id)
        for table in metadata.sorted_tables:
            if table.name not in ("audit", "executors", "alembic_version"):
                count = sa.text(f"SELECT count(*) FROM {table.name}")
                assert c.execute(count).scalar() == 0, table.name
        assert len(audit.page(c, world.partner.id)) == 1


def test_ids_sort_by_time_and_have_the_published_form(database: sa.Engine, world: World) -> None:
    assert re.fullmatch(r"co_[0-9A-HJKMNP-TV-Z]{26}", world.company.id)
    with database.begin() as c:
        made = sources.add(c, world.partner.id, name="second")
        assert sources.page(c, world.partner.id)[0].created_at >= world.source.created_at
        with pytest.raises(Conflict, match="second"):
            sources.add(c, world.partner.id, name="second")
        assert sources.named(c, world.partner.id, "second") == made
