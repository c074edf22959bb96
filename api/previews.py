"""A look at data as the API shows it."""

from api.schemas.imports import (
    PreviewBinding,
    PreviewBody,
    PreviewColumn,
    PreviewDrift,
    PreviewReading,
    PreviewTable,
)
from engine.pipeline import SheetInput
from engine.preview import Look
from plans.versions import PlanVersion


def preview_body(look: Look, version: PlanVersion) -> PreviewBody:
    """Every table, and on top the short form of the first one that fills a sheet."""
    wanted = {each.bound.table: each for each in look.inputs}
    tables = [_table(look, number, wanted.get(number)) for number in range(len(look.tables.staged))]
    first = next(each for each in tables if each.sheet is not None)
    fields = dict.fromkeys(
        field.name for template in version.templates for field in template.fields
    )
    return PreviewBody(
        columns=[each.header for each in first.columns],
        auto_mapping=first.auto_mapping,
        preview_rows=first.preview_rows,
        total_rows=first.total_rows,
        existing_columns=list(fields),
        tables=tables,
    )


def _table(look: Look, number: int, wanted: SheetInput | None) -> PreviewTable:
    staged, profile = look.tables.staged[number], look.tables.profiles[number]
    bounds = wanted.bound.binding.bounds if wanted else ()
    missing = wanted.bound.binding.missing if wanted else ()
    fields = {column: bound.field for bound in bounds for column in bound.columns}
    headers = staged.source.columns
    return PreviewTable(
        file=staged.source.file,
        sheet=wanted.bound.binding.sheet if wanted else None,
        total_rows=staged.records + len(staged.broken),
        columns=[
            PreviewColumn(
                index=each.index,
                header=each.header,
                field=fields.get(each.index),
                filled=each.filled,
                distinct=each.distinct,
                samples=list(each.samples[:5]),
            )
            for each in profile.columns
        ],
        auto_mapping={
            **{each.field: headers[each.columns[0]] if each.columns else None for each in bounds},
            **dict.fromkeys(missing),
        },
        bindings=[
            PreviewBinding(
                field=each.field,
                columns=list(each.columns),
                by=str(each.by),
                score=each.score,
                evidence=each.evidence,
            )
            for each in bounds
        ],
        drift=[
            PreviewDrift(
                code=str(each.code),
                message=each.message,
                field=each.field,
                expected=each.expected,
                found=each.found,
            )
            for each in (wanted.drifts if wanted else ())
        ],
        preview_rows=[
            {
                header or f"column {at}": cell
                for at, (header, cell) in enumerate(zip(headers, row, strict=False))
            }
            for row in look.rows[number]
        ],
        readings=[
            PreviewReading(
                label=each.label,
                read=each.read.model_dump(exclude_defaults=True),
                columns=list(each.columns),
                rows=[list(row) for row in each.rows],
            )
            for each in staged.source.views
        ],
    )
