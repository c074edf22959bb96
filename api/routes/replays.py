"""Replays: what a version would have done to the files that came before it."""

import sqlalchemy
from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import done
from api.auth import Caller
from api.deps import By, Here, Services, plan_of
from api.errors import ApiError, Code
from api.inputs import on_disk
from api.once import OnlyOnce
from api.operations import op
from api.past import Past, past_runs, tried_again
from api.schemas.plans import ReplayBody, ReplayedRun, ReplayVersion, RowBody
from api.schemas.runs import counts_body
from engine.errors import CompileError, ExecutionError
from engine.model import PlanRecord, Run, Scope
from engine.replay import Replayed, Row
from engine.store import companies, plans
from engine.tables import Box
from plans.versions import PlanVersion

router = APIRouter(tags=["plans"])

#: Somebody waits for the answer; a larger file belongs into a dry run.
SECONDS, MOST_BYTES = 60.0, 50_000_000
NAMED_ROWS = 100


@router.post(
    "/v1/plans/{plan_id}/replay",
    response_model=ReplayBody,
    **op(Scope.PLANS_WRITE, Code.NOT_FOUND),
)
def replay_plan(plan_id: str, body: ReplayVersion, here: Here, by: By, once: OnlyOnce) -> Response:
    """Try a version on the files of past runs and tell which rows it fixes and which it breaks."""
    with here.database.begin() as c:
        plan = plan_of(c, by, plan_id)
        candidate = plans.version(c, by.partner, plan_id, number=body.number).version
        past = past_of(c, by, plan, most=body.runs)
    tried = [tried_on(here, each, candidate) for each in past]
    told = ReplayBody(
        plan_id=plan_id,
        number=body.number,
        fixed=sum(each.fixed for each in tried),
        broken=sum(each.broken for each in tried),
        runs=tried,
    )
    return once(lambda c: done(told), action="plan.replayed", target=plan_id)


def past_of(c: sqlalchemy.Connection, by: Caller, plan: PlanRecord, *, most: int) -> list[Past]:
    """The past runs to try the plan on, for whoever may see all of them."""
    if plan.company is None and by.key.companies:
        raise ApiError(
            code=Code.INSUFFICIENT_PERMISSIONS, detail="this key is for single companies only"
        )
    return past_runs(c, by.partner, plan, most=most)


def tried_on(here: Services, past: Past, candidate: PlanVersion) -> ReplayedRun:
    """One past run's files under both versions, or why they were not tried."""
    run, _, given = past
    if sum(each.size for each in given) > MOST_BYTES:
        return _row(run, status="too_large", made=None)
    with here.database.begin() as c:
        sheets = companies.get(c, run.partner, run.company).sheets
    with on_disk(here, given) as (files, folder):
        box = Box(folder=folder, readable=tuple(each.path for each in files), seconds=SECONDS)
        try:
            made = tried_again(
                past, candidate, files, sheets=sheets, settings=here.settings, box=box
            )
        except CompileError:
            return _row(run, status="does_not_fit", made=None)
        except ExecutionError:
            return _row(run, status="took_too_long", made=None)
    return _row(run, status="replayed", made=made)


def _row(run: Run, *, status: str, made: Replayed | None) -> ReplayedRun:
    return ReplayedRun(
        run_id=run.id,
        company_id=run.company,
        plan_version=run.plan_version,
        status=status,
        before=counts_body(made.before) if made else None,
        after=counts_body(made.after) if made else None,
        fixed=len(made.fixed) if made else 0,
        broken=len(made.broken) if made else 0,
        fixed_rows=_rows(made.fixed if made else ()),
        broken_rows=_rows(made.broken if made else ()),
    )


def _rows(found: tuple[Row, ...]) -> list[RowBody]:
    return [RowBody(file=file, row_number=row) for file, row in found[:NAMED_ROWS]]
