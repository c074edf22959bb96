"""How the columns of a run were understood, and a new run with other columns."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from api.console.guard import Visit, Who, go, needs
from api.console.review import Fields
from api.console.shown import Names, run_row
from api.console.views import ColumnRow, FieldRow, MappingPage, MappingSheet
from api.deps import note, run_of
from api.errors import ApiError, Code
from engine.model import Run, RunStatus, Scope
from engine.store import findings, plans
from engine.store.findings import Finding
from plans.versions import PlanVersion

router = APIRouter(dependencies=[needs(Scope.COMPANIES_READ)])


@router.get("/runs/{run_id}/mapping")
def show_mapping(run_id: str, who: Who) -> Response:
    """Field by field: which column, found how, how sure."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        version = plans.version(c, who.by.partner, run.plan, number=run.plan_version).version
        read = findings.of_run(c, who.by.partner, run.id, kind=Finding.READ)
        bound = findings.of_run(c, who.by.partner, run.id, kind=Finding.BINDING)
        page = MappingPage(
            run=run_row(Names(c=c, partner=who.by.partner), run),
            sheets=mapping_sheets(version, bound, read),
            can_edit=who.may(Scope.IMPORTS_WRITE) and _over(run) and bool(run.uploads),
        )
        return who.page(c, "mapping.html", "runs", page=page)


@router.post("/runs/{run_id}/mapping", dependencies=[needs(Scope.IMPORTS_WRITE)])
def import_again(run_id: str, fields: Fields, who: Who) -> Response:
    """A new run over the same files with the columns a person chose."""
    with who.here.database.begin() as c:
        run = run_of(c, who.by, run_id)
        read = findings.of_run(c, who.by.partner, run.id, kind=Finding.READ)
        bound = findings.of_run(c, who.by.partner, run.id, kind=Finding.BINDING)
        version = plans.version(c, who.by.partner, run.plan, number=run.plan_version).version
    if not _over(run):
        raise ApiError(code=Code.CONFLICT, detail="this run is under way; cancel it or wait")
    if run.status is RunStatus.NEEDS_ATTENTION:
        who.here.work.cancel(who.by.partner, run.id, actor=who.by.actor)
    mapping = {
        **run.options.get("mapping", {}),
        **chosen(fields, mapping_sheets(version, bound, read)),
    }
    with who.here.database.begin() as c:
        started = again(who, c, run, mapping=mapping)
        note(c, who.by, "run.started", started.id, again=run.id)
    return go(f"/console/runs/{started.id}")


def _over(run: Run) -> bool:
    """Whether nobody is at it: it ended, or it waits for a person."""
    return run.ended or run.status is RunStatus.NEEDS_ATTENTION


def again(who: Visit, c: Any, run: Run, *, mapping: Mapping[str, Any]) -> Run:
    """Start a run over the same files, after the one that may be under way."""
    return who.here.work.submit(
        c,
        who.by.partner,
        company=run.company,
        plan=run.plan,
        version=run.plan_version,
        used=run.uploads,
        options={**run.options, "mapping": dict(mapping)},
        policy=run.policy,
        dry_run=run.dry_run,
        actor=who.by.actor,
        queue=True,
    )


def chosen(fields: FormData, sheets: tuple[MappingSheet, ...]) -> dict[str, int]:
    """What the form says differently from what the run did: field to 0-based column."""
    found: dict[str, int] = {}
    sheet = next((each for each in sheets if each.sheet == fields.get("sheet")), None)
    for field in sheet.fields if sheet else ():
        text = str(fields.get(f"field:{field.field}", ""))
        if text.isdecimal() and (int(text),) != field.columns:
            found[field.field] = int(text)
    return found


def mapping_sheets(
    version: PlanVersion, bound: list[dict[str, Any]], read: list[dict[str, Any]]
) -> tuple[MappingSheet, ...]:
    """Each sheet with the table that feeds it."""
    return tuple(_sheet(version, each, read) for each in bound)


def _sheet(
    version: PlanVersion, binding: Mapping[str, Any], read: list[dict[str, Any]]
) -> MappingSheet:
    source = read[binding.get("table", 0)]
    headers = [header or f"column {at + 1}" for at, header in enumerate(source["columns"])]
    template = version.template(version.plan.sheet(binding["sheet"]).template)
    bounds = {each["field"]: each for each in binding["bounds"]}
    uses: dict[int, list[str]] = {}
    for name, each in bounds.items():
        for column in each["columns"]:
            uses.setdefault(column, []).append(name)
    return MappingSheet(
        sheet=binding["sheet"],
        file=source["file"],
        fields=tuple(
            _field(field.name, field.title, str(field.type), field.required, bounds, headers)
            for field in template.fields
        ),
        columns=tuple(
            ColumnRow(index=at, header=header, used_by=tuple(uses.get(at, ())))
            for at, header in enumerate(headers)
        ),
    )


def _field(
    name: str,
    title: str,
    kind: str,
    required: bool,
    bounds: Mapping[str, Mapping[str, Any]],
    headers: list[str],
) -> FieldRow:
    bound = bounds.get(name)
    second = bound["runner_up"] if bound else None
    return FieldRow(
        field=name,
        title=title,
        type=kind,
        required=required,
        columns=tuple(bound["columns"]) if bound else (),
        by=bound["by"] if bound else "",
        score=bound["score"] if bound else 0.0,
        evidence=bound["evidence"] if bound else "",
        runner_up=f"{headers[second[0]]} ({second[1]:.0%})" if second else None,
    )
