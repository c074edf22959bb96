"""What a run did, as JSON-ready values."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from engine.drift import Drift
from engine.intake.source import Source
from engine.outcome import CellGroup, FileOutcome, Outcome, SheetOutcome
from engine.proposal import Repair

#: Offending values shown of a group.
SHOWN = 20


def report(
    outcome: Outcome,
    *,
    drifts: Sequence[Drift] = (),
    heals: Sequence[Repair] = (),
    sources: Sequence[Source] = (),
) -> dict[str, Any]:
    """JSON-ready: accounting, and for every sheet its files, groups of invalid cells and coverage."""
    return {
        "accounting": asdict(outcome.accounting),
        "stopped": outcome.stopped,
        "sheets": [_sheet(sheet) for sheet in outcome.sheets],
        "drift": [asdict(each) for each in drifts],
        "heals": [_heal(each) for each in heals],
        "sources": [_source(each) for each in sources],
    }


def _sheet(sheet: SheetOutcome) -> dict[str, Any]:
    valid = sheet.accounting.valid
    return {
        "sheet": sheet.sheet,
        "template": sheet.template,
        "columns": list(sheet.columns),
        "accounting": asdict(sheet.accounting),
        "files": [_file(each) for each in sheet.files],
        "invalid_cells": sheet.cells,
        "warnings": sheet.warnings,
        "groups": [_group(each) for each in sheet.groups],
        "coverage": [
            {**asdict(each), "percent": round(100 * each.filled / valid, 1) if valid else 0.0}
            for each in sheet.coverage
        ],
    }


def _source(source: Source) -> dict[str, object]:
    """How a table was read; of other readings what they are, not their rows."""
    views = [each.label for each in source.views]
    return {**asdict(replace(source, views=())), "views": views}


def _file(file: FileOutcome) -> dict[str, Any]:
    return {"file": file.file, "table": file.table, "accounting": asdict(file.accounting)}


def _group(group: CellGroup) -> dict[str, Any]:
    values = [{"value": value, "count": count} for value, count in group.values[:SHOWN]]
    told = {**asdict(group), "values": values, "first_rows": list(group.first_rows)}
    del told["value_rows"]
    return told


def _heal(repair: Repair) -> dict[str, Any]:
    changes = [change.model_dump(mode="json", exclude_defaults=True) for change in repair.changes]
    return {**asdict(repair), "changes": changes}
