"""Plans: drafts, versions, differences, publications, replays."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.bodies import INTEGRAL, Body, Instant, Line, Resource, Text
from api.schemas.companies import CompanyId, SourceId, TemplateName
from api.schemas.runs import CountsBody
from api.schemas.uploads import UploadRef
from engine.model import PlanRecord, PlanVersionRecord
from engine.store.plans import Publication
from plans.document import dump
from plans.errors import PlanInvalid
from plans.plan import Plan
from plans.template import Template
from plans.versions import Difference

PlanId = Annotated[str, Field(examples=["plan_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
Number = Annotated[int, Field(strict=True, ge=1, le=1_000_000, examples=[2]), INTEGRAL]

_DOCUMENT = "plan: crm\nsheets:\n  - template: contacts\n    columns:\n      - field: email\n        from: Email\n"
Document = Annotated[
    str | Plan,
    Field(
        description="YAML or JSON text, the object itself, or the name of one that ships",
        examples=[_DOCUMENT],
    ),
]
Templates = Annotated[
    tuple[str | Template, ...],
    Field(max_length=200, description="Templates beside those stored and those inside the plan"),
]


class CheckPlan(Body):
    """A document to check; nothing is stored. An object is taken as it is, mistakes and all."""

    document: str | dict[str, Any] = Field(examples=[_DOCUMENT])
    templates: Annotated[tuple[str | dict[str, Any], ...], Field(max_length=200)] = ()


class NewPlan(Body):
    """The first draft of a source's plan."""

    source: Line = Field(description="Name or id of a source", examples=["hubspot"])
    document: Document
    templates: Templates = ()
    reason: Text = ""


class NewVersion(Body):
    """The next draft; with `parent` it is refused when somebody was faster."""

    document: Document
    templates: Templates | None = None
    parent: Number | None = None
    reason: Text = ""


class Publish(Body):
    """Which version imports use from now on, and why."""

    number: Number
    reason: Text = ""


class RollBack(Body):
    """Back to what was published before."""

    reason: Text = ""


class ReplayVersion(Body):
    """Try a version on the files of past runs, as far as they are still here; nothing is written."""

    number: Number
    runs: Annotated[int, Field(strict=True, ge=1, le=20), INTEGRAL] = 5


class Infer(Body):
    """A draft plan and templates from sample files."""

    uploads: Annotated[tuple[UploadRef, ...], Field(min_length=1, max_length=20)]
    templates: Annotated[tuple[TemplateName, ...], Field(max_length=200)] = Field(
        default=(), description="Stored templates to map onto; none: new ones are drafted"
    )
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = "draft"


class PlanProblem(Resource):
    """One thing wrong with a document."""

    path: str = Field(examples=["sheets[0].columns[1].field"])
    message: str
    line: int | None
    column: int | None


class Verdict(Resource):
    """Whether the document is a plan that fits its templates."""

    object: Literal["plan_check"] = "plan_check"
    valid: bool
    digest: str | None
    problems: list[PlanProblem]


class PlanBody(Resource):
    """A lineage of versions: of a source, or one company's fork."""

    object: Literal["plan"] = "plan"
    id: PlanId
    name: str = Field(examples=["crm"])
    source_id: SourceId
    company_id: CompanyId | None
    forked_from: str | None
    published: int | None = Field(description="The version imports use", examples=[2])
    latest: int = Field(examples=[3])
    created_at: Instant


class VersionBody(Resource):
    """One immutable version; `digest` covers the plan and its templates."""

    object: Literal["plan_version"] = "plan_version"
    plan_id: PlanId
    number: int = Field(examples=[2])
    published: bool
    document: dict[str, Any] = Field(description="The plan, defaults left out")
    templates: list[dict[str, Any]]
    digest: str
    parent: str | None
    author: str
    reason: str
    run_id: str | None = Field(description="The run whose decision made it")
    created_at: Instant


class RowBody(Resource):
    """A row of a customer's file."""

    file: str
    row_number: int


class ReplayedRun(Resource):
    """What the version would do to one past run; at most 100 rows of each kind are named."""

    run_id: str
    company_id: str
    plan_version: int = Field(description="The version the run ended with")
    status: str = Field(
        description="replayed, or why not: too_large, took_too_long, does_not_fit; more may come"
    )
    before: CountsBody | None
    after: CountsBody | None
    fixed: int
    broken: int
    fixed_rows: list[RowBody]
    broken_rows: list[RowBody]


class ReplayBody(Resource):
    """What a version fixes and breaks, run by run, the newest first."""

    object: Literal["plan_replay"] = "plan_replay"
    plan_id: PlanId
    number: int
    fixed: int
    broken: int
    runs: list[ReplayedRun]


class DraftBody(Resource):
    """A plan nobody has stored yet: as an object, and as YAML to edit."""

    object: Literal["plan_draft"] = "plan_draft"
    document: dict[str, Any]
    yaml: str


class DifferenceBody(Resource):
    """One place where two versions differ; a missing side is null."""

    path: str = Field(examples=["sheets.contacts.columns.email.from"])
    before: Any
    after: Any


class DiffBody(Resource):
    """Everything that differs between two versions."""

    object: Literal["plan_diff"] = "plan_diff"
    plan_id: PlanId
    before: int
    after: int
    differences: list[DifferenceBody]


class PublicationBody(Resource):
    """One moment at which a version came into use."""

    number: int
    actor: str
    reason: str
    at: Instant


def verdict(problem: PlanInvalid | None, *, digest: str | None) -> Verdict:
    """What a check found."""
    problems = [
        PlanProblem(path=each.path, message=each.message, line=each.line, column=each.column)
        for each in (problem.problems if problem else ())
    ]
    return Verdict(valid=problem is None, digest=digest, problems=problems)


def plan_body(plan: PlanRecord) -> PlanBody:
    """The lineage as the API shows it."""
    return PlanBody(
        id=plan.id,
        name=plan.name,
        source_id=plan.source,
        company_id=plan.company,
        forked_from=plan.forked_from,
        published=plan.published,
        latest=plan.latest,
        created_at=plan.created_at,
    )


def version_body(record: PlanVersionRecord, *, published: int | None) -> VersionBody:
    """The version as the API shows it."""
    version = record.version
    return VersionBody(
        plan_id=record.plan,
        number=version.number,
        published=version.number == published,
        document=version.plan.model_dump(mode="json", exclude_defaults=True),
        templates=[
            each.model_dump(mode="json", exclude_defaults=True) for each in version.templates
        ],
        digest=version.digest,
        parent=version.parent,
        author=version.author,
        reason=version.reason,
        run_id=record.run,
        created_at=record.created_at,
    )


def draft_body(draft: Plan) -> DraftBody:
    """The draft as the API shows it."""
    document = draft.model_dump(mode="json", exclude_defaults=True)
    return DraftBody(document=document, yaml=dump(draft))


def difference_body(each: Difference) -> DifferenceBody:
    """The difference as the API shows it."""
    return DifferenceBody(path=each.path, before=each.before, after=each.after)


def publication_body(each: Publication) -> PublicationBody:
    """The publication as the API shows it."""
    return PublicationBody(number=each.number, actor=each.actor, reason=each.reason, at=each.at)
