"""Plans drafted from sample files."""

from fastapi import APIRouter
from fastapi.responses import Response

from api.answers import done
from api.deps import By, Here, upload_of
from api.errors import Code
from api.inputs import on_disk, ready
from api.once import OnlyOnce
from api.operations import op
from api.schemas.plans import DraftBody, Infer, draft_body
from engine.infer import infer
from engine.model import Scope
from engine.store import templates
from engine.tables import Box, read
from plans.plan import Plan, Read

router = APIRouter(tags=["plans"])

#: A draft is looked at by a person who waits for it.
SECONDS = 120.0


@router.post(
    "/v1/plans/infer",
    response_model=DraftBody,
    **op(
        Scope.PLANS_WRITE,
        Code.NOT_FOUND,
        Code.SOURCE_UNREADABLE,
        Code.EXPIRED,
        Code.CONFLICT,
    ),
)
def infer_plan(body: Infer, here: Here, by: By, once: OnlyOnce) -> Response:
    """Draft a plan from uploaded samples: onto your templates where they fit, else with new ones."""
    with here.database.begin() as c:
        given = tuple(ready(upload_of(c, by, each)) for each in body.uploads)
        known = [templates.named(c, by.partner, each).template for each in body.templates]
    with on_disk(here, given) as (files, folder):
        box = Box(folder=folder, readable=tuple(each.path for each in files), seconds=SECONDS)
        tables = read(files, plan=None, given=Read(), box=box)
        draft: Plan = infer(tables.staged, tables.profiles, name=body.name, templates=known)
    return once(lambda c: done(draft_body(draft)), action="plan.inferred")
