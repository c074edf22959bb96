"""Plans: their history, what differs between versions, and which one is in use."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import Response

from api.console.account_views import (
    PlanPage,
    PublicationRow,
    ReplayRow,
    VersionPage,
    VersionRow,
)
from api.console.guard import Visit, Who, count, go, needs
from api.console.shown import Names, differences, plan_row
from api.deps import note, plan_of
from api.limits import Rate
from api.routes.replays import past_of, tried_on
from api.schemas.plans import ReplayedRun
from engine.model import PlanRecord, PlanVersionRecord, Scope
from engine.store import plans
from plans.document import dump

router = APIRouter(dependencies=[needs(Scope.COMPANIES_READ)])

#: Past runs tried while somebody waits for the page, and how often that may be asked.
REPLAYS = 5
REPLAY_RATE = Rate(requests=6, seconds=60)

Reason = Annotated[str, Form(max_length=500)]


@router.get("/plans")
def list_plans(who: Who) -> Response:
    """Every plan: of sources, and companies' own."""
    with who.here.database.begin() as c:
        names = Names(c=c, partner=who.by.partner)
        found = plans.page(c, who.by.partner, limit=200)
        seen = [each for each in found if each.company is None or who.by.sees(each.company)]
        rows = tuple(plan_row(names, each) for each in seen)
        return who.page(c, "plans.html", "plans", plans=rows)


@router.get("/plans/{plan_id}")
def show_plan(plan_id: str, who: Who) -> Response:
    """A plan's versions and what was in use when."""
    with who.here.database.begin() as c:
        plan = plan_of(c, who.by, plan_id)
        page = PlanPage(
            plan=plan_row(Names(c=c, partner=who.by.partner), plan),
            versions=tuple(
                _version_row(plan, each) for each in plans.versions(c, who.by.partner, plan.id)
            ),
            publications=tuple(
                PublicationRow(number=each.number, actor=each.actor, reason=each.reason, at=each.at)
                for each in plans.published(c, who.by.partner, plan.id)
            ),
            can_publish=who.may(Scope.PLANS_APPROVE),
        )
        return who.page(c, "plan.html", "plans", page=page)


@router.get("/plans/{plan_id}/versions/{number}")
def show_version(
    plan_id: str, number: int, who: Who, against: int | None = None, replay: str = ""
) -> Response:
    """One version: what it changed, and how it does on past runs."""
    if replay:
        who.needs(Scope.PLANS_WRITE)
        count(who.request, "replays", REPLAY_RATE, who.by.key.id)
    with who.here.database.begin() as c:
        plan = plan_of(c, who.by, plan_id)
        record = plans.version(c, who.by.partner, plan.id, number=number)
        other = against or (number - 1 or None)
        before = plans.version(c, who.by.partner, plan.id, number=other) if other else None
        past = past_of(c, who.by, plan, most=REPLAYS) if replay else []
    # No transaction is open while files are read again.
    tried = [tried_on(who.here, each, record.version) for each in past]
    with who.here.database.begin() as c:
        names = Names(c=c, partner=who.by.partner)
        page = VersionPage(
            plan=plan_row(names, plan),
            version=_version_row(plan, record),
            against=other,
            changes=differences(before.version.plan, record.version.plan) if before else (),
            document=dump(record.version.plan),
            replays=tuple(_replay_row(names, each) for each in tried),
            replayed=bool(replay),
            can_publish=who.may(Scope.PLANS_APPROVE),
            can_replay=who.may(Scope.PLANS_WRITE),
        )
        return who.page(c, "version.html", "plans", page=page)


@router.post(
    "/plans/{plan_id}/versions/{number}/publish", dependencies=[needs(Scope.PLANS_APPROVE)]
)
def publish(plan_id: str, number: int, who: Who, reason: Reason = "") -> Response:
    """Imports use this version from now on."""
    with who.here.database.begin() as c:
        plan = _mine(who, plan_of(c, who.by, plan_id))
        plans.publish(c, who.by.partner, plan.id, number, actor=who.by.actor, reason=reason)
        note(c, who.by, "plan.published", plan.id, number=number, reason=reason)
    return go(f"/console/plans/{plan_id}")


@router.post("/plans/{plan_id}/rollback", dependencies=[needs(Scope.PLANS_APPROVE)])
def roll_back(plan_id: str, who: Who, reason: Reason = "") -> Response:
    """Back to what was in use before."""
    with who.here.database.begin() as c:
        plan = _mine(who, plan_of(c, who.by, plan_id))
        after = plans.rollback(c, who.by.partner, plan.id, actor=who.by.actor, reason=reason)
        note(c, who.by, "plan.rolled_back", plan.id, number=after.published, reason=reason)
    return go(f"/console/plans/{plan_id}")


def _mine(who: Visit, plan: PlanRecord) -> PlanRecord:
    """A key for single companies may change only their own plans."""
    if plan.company is None:
        who.needs(Scope.PLANS_APPROVE, whole_partner=True)
    return plan


def _replay_row(names: Names, tried: ReplayedRun) -> ReplayRow:
    return ReplayRow(
        run=tried.run_id,
        company=names.company(tried.company_id),
        before=tried.before.valid if tried.before else None,
        after=tried.after.valid if tried.after else None,
        fixed=tried.fixed,
        broken=tried.broken,
        note="" if tried.status == "replayed" else tried.status.replace("_", " "),
    )


def _version_row(plan: PlanRecord, record: PlanVersionRecord) -> VersionRow:
    version = record.version
    return VersionRow(
        number=version.number,
        digest=version.digest,
        author=version.author,
        reason=version.reason,
        run=record.run,
        published=version.number == plan.published,
        created_at=record.created_at,
    )
