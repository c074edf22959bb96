"""Companies, sources, templates."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.bodies import Body, Instant, Line, Metadata, Resource, Text
from engine.model import Company, Source, TemplateRecord
from plans.template import Template

CompanyId = Annotated[str, Field(examples=["co_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
SourceId = Annotated[str, Field(examples=["src_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])]
ExternalId = Annotated[
    str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_-]+$", examples=["acme-42"])
]
TemplateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", examples=["contacts"])]


class NewSource(Body):
    """A system data comes out of."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", examples=["hubspot"])]
    title: Annotated[Text, Field(max_length=200)] = ""
    description: Text = ""


class SourceBody(Resource):
    """A source; it owns one plan lineage."""

    object: Literal["source"] = "source"
    id: SourceId
    name: str = Field(examples=["hubspot"])
    title: str
    description: str
    plan_id: str | None = Field(description="The lineage of this source, once there is a draft")
    created_at: Instant


def source_body(source: Source, *, plan: str | None) -> SourceBody:
    """The source as the API shows it."""
    return SourceBody(
        id=source.id,
        name=source.name,
        title=source.title,
        description=source.description,
        plan_id=plan,
        created_at=source.created_at,
    )


class NewTemplate(Body):
    """A template as YAML text or as an object; the same name again makes its next version."""

    document: str | Template = Field(
        description="YAML or JSON text, the object itself, or the name of one that ships",
        examples=["template: contacts\nfields:\n  - name: email\n    type: email\n"],
    )


class TemplateBody(Resource):
    """One version of a template."""

    object: Literal["template"] = "template"
    id: str = Field(examples=["tpl_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    name: str = Field(examples=["contacts"])
    number: int = Field(examples=[1])
    title: str
    description: str
    document: dict[str, Any] = Field(description="The whole template, defaults left out")
    digest: str
    created_at: Instant


def template_body(record: TemplateRecord) -> TemplateBody:
    """The template version as the API shows it."""
    return TemplateBody(
        id=record.id,
        name=record.name,
        number=record.number,
        title=record.template.title,
        description=record.template.description,
        document=record.template.model_dump(mode="json", exclude_defaults=True),
        digest=record.digest,
        created_at=record.created_at,
    )


class NewCompany(Body):
    """One customer's migration. Without `templates` it gets those of the source's plan."""

    name: Line = Field(examples=["Acme Ltd"])
    source: Line = Field(description="Name or id of a source", examples=["hubspot"])
    external_id: ExternalId | None = Field(default=None, description="Yours; unique per partner")
    templates: Annotated[tuple[TemplateName, ...], Field(min_length=1, max_length=200)] | None = (
        None
    )
    metadata: Metadata = Field(default_factory=dict)


class CompanyChange(Body):
    """What of a company may change; members left out stay."""

    name: Line | None = None
    external_id: ExternalId | None = None
    metadata: Metadata | None = None


class SheetBody(Resource):
    """A company's rows of one template."""

    object: Literal["sheet"] = "sheet"
    id: str = Field(examples=["sh_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    name: str = Field(examples=["contacts"])
    template: str = Field(examples=["contacts"])


class StoredColumn(Resource):
    """A column of the stored rows."""

    name: str = Field(examples=["email"])
    type: str = Field(description="DuckDB's name of it", examples=["VARCHAR"])


class StoredSheetBody(SheetBody):
    """A sheet as it is stored; nothing is there before the first import that completed."""

    rows: int = Field(examples=[1204])
    columns: list[StoredColumn]
    last_run_id: str | None = Field(description="The run that changed it last")
    changed_at: Instant | None


class SheetsBody(Resource):
    """A company's sheets."""

    object: Literal["sheets"] = "sheets"
    data: list[StoredSheetBody]


class CompanyBody(Resource):
    """A company with its workbook."""

    object: Literal["company"] = "company"
    id: CompanyId
    name: str = Field(examples=["Acme Ltd"])
    external_id: str | None
    status: str = Field(description="active or archived; more may come", examples=["active"])
    source_id: SourceId
    workbook_id: str = Field(examples=["wb_01JD4F8QZ7V0R8N5Y2M3K4P6W9"])
    sheets: list[SheetBody]
    magic_link_url: str = Field(examples=["https://reknit.example/m/abc"])
    metadata: dict[str, str]
    created_at: Instant
    archived_at: Instant | None


def company_body(company: Company, *, magic_link_url: str) -> CompanyBody:
    """The company as the API shows it."""
    return CompanyBody(
        id=company.id,
        name=company.name,
        external_id=company.external_id,
        status="archived" if company.archived_at else "active",
        source_id=company.source,
        workbook_id=company.workbook,
        sheets=[
            SheetBody(id=each.id, name=each.name, template=each.template) for each in company.sheets
        ],
        magic_link_url=magic_link_url,
        metadata=dict(company.metadata),
        created_at=company.created_at,
        archived_at=company.archived_at,
    )
