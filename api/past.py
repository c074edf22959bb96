"""Past runs to try a plan version on, for the API, the console and the command line alike."""

from collections.abc import Sequence

import sqlalchemy

from engine.binding.score import chosen
from engine.landing import Ground, stored
from engine.model import PlanRecord, Run, RunStatus, Sheet, Upload, UploadStatus
from engine.replay import Replayed, replayed
from engine.settings import Settings
from engine.store import plans, runs, uploads
from engine.tables import Box, InputFile
from plans.plan import Read
from plans.versions import PlanVersion

Past = tuple[Run, PlanVersion, tuple[Upload, ...]]


def past_runs(c: sqlalchemy.Connection, partner: str, plan: PlanRecord, *, most: int) -> list[Past]:
    """The newest completed runs of the plan's source (of its company, if it has one) whose files
    are all still here, with the version each used.
    """
    lineages = {each.id for each in plans.page(c, partner, limit=1_000, source=plan.source)}
    completed = runs.page(c, partner, limit=500, company=plan.company, status=[RunStatus.COMPLETED])
    found: list[Past] = []
    for run in completed:
        given = tuple(uploads.get(c, partner, each) for each in run.uploads)
        here_still = all(each.status is UploadStatus.STORED for each in given)
        if len(found) < most and here_still and run.plan in lineages:
            used = plans.version(c, partner, run.plan, number=run.plan_version)
            found.append((run, used.version, given))
    return found


def tried_again(
    past: Past,
    candidate: PlanVersion,
    files: Sequence[InputFile],
    *,
    sheets: Sequence[Sheet],
    settings: Settings,
    box: Box,
) -> Replayed:
    """The run's files under both versions, read and mapped as its call had asked, beside the rows
    that the company's sheets held when it began.
    """
    run, used, _ = past
    ground = Ground(folder=box.folder, settings=settings)
    held = stored(run, ground, sheets=sheets, versions=[used, candidate], as_of=run.started_at)
    return replayed(
        used,
        candidate,
        files,
        given=Read.model_validate(run.options.get("read", {})),
        mapping=dict(run.options.get("mapping", {})),
        stored=held,
        box=box,
        weights=chosen(settings),
    )
