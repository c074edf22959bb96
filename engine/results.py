"""The files a person or a machine downloads after an attempt: report, valid rows, what is wrong."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from engine import report
from engine.mapping import Status as Consulted
from engine.outcome import SheetOutcome
from engine.pipeline import Attempt, Status
from engine.tables import Tables

CSV, JSON = "text/csv; charset=utf-8; header=present", "application/json"
PARQUET = "application/vnd.apache.parquet"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

#: What a spreadsheet can hold; more rejected rows are in the CSV only.
XLSX_ROWS = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultFile:
    """One file ready to be kept: its name within the run, and how many rows it holds."""

    name: str
    path: Path
    media_type: str
    records: int


def results(
    made: Attempt, tables: Tables, *, folder: Path, safe: bool = False, run: str = ""
) -> tuple[ResultFile, ...]:
    """Write an attempt's files below `folder`. Valid rows only when it completed. Child process.

    `run` is whose rows they are: rejected ones can be told by it when they are sent again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.json"
    path.write_text(json.dumps(summary(made, tables), indent=2, ensure_ascii=False), "utf-8")
    files = [ResultFile(name=path.name, path=path, media_type=JSON, records=0)]
    for sheet in made.outcome.sheets:
        files += _wrong(sheet, tables, folder / sheet.sheet, safe, run)
        if made.status is Status.COMPLETED:
            files += _valid(sheet, folder / sheet.sheet, safe)
    return tuple(files)


def summary(made: Attempt, tables: Tables) -> dict[str, object]:
    """The report as JSON-ready values."""
    return {
        "status": made.status,
        "reason": made.reason,
        "plan": {
            "name": made.version.plan.plan,
            "version": made.version.number,
            "digest": made.version.digest,
        },
        **report.report(
            made.outcome,
            drifts=made.drifts,
            heals=(*made.healed, *made.approved),
            sources=tuple(each.source for each in tables.staged),
        ),
        "model": _model(made),
        "unused_tables": [tables.staged[number].source.file for number in made.unused],
    }


def _model(made: Attempt) -> dict[str, object]:
    """Whether a model was asked, and exactly what was sent to it."""
    if made.advice is None:
        return {"status": Consulted.OFF, "exchanges": []}
    return {
        "status": made.advice.status,
        "exchanges": [asdict(exchange) for exchange in made.advice.exchanges],
    }


def _valid(sheet: SheetOutcome, folder: Path, safe: bool) -> list[ResultFile]:
    rows, name = sheet.accounting.valid, sheet.sheet
    folder.mkdir(parents=True, exist_ok=True)
    report.write_valid(sheet, folder / "valid.csv", safe=safe)
    report.write_parquet(sheet, folder / "valid.parquet")
    return [
        _file(name, folder / "valid.csv", CSV, rows),
        _file(name, folder / "valid.parquet", PARQUET, rows),
    ]


def _wrong(
    sheet: SheetOutcome, tables: Tables, folder: Path, safe: bool, run: str
) -> list[ResultFile]:
    if not sheet.cells and not sheet.warnings:
        return []
    rows, name, cells = sheet.accounting.invalid, sheet.sheet, sheet.cells + sheet.warnings
    folder.mkdir(parents=True, exist_ok=True)
    report.write_invalid_cells(sheet, folder / "invalid-cells.csv", safe=safe)
    path, marks = folder / "rejected-rows.csv", _marks(sheet, tables, run) if run else ()
    report.write_rejected(sheet, tables.staged, path, safe=safe, marks=marks)
    files = [
        _file(name, folder / "invalid-cells.csv", CSV, cells),
        _file(name, folder / "rejected-rows.csv", CSV, rows),
    ]
    if rows < XLSX_ROWS:
        path = folder / "rejected-rows.xlsx"
        report.write_rejected_xlsx(sheet, tables.staged, path, marks=marks)
        files.append(_file(name, folder / "rejected-rows.xlsx", XLSX, rows))
    return files


def _marks(sheet: SheetOutcome, tables: Tables, run: str) -> tuple[str, ...]:
    """What the marks of each table's rows begin with: replayed rows keep those of their first run."""
    numbers = [place.table for place in tables.places] or list(range(len(tables.staged)))
    return tuple(f"{run}.{sheet.sheet}.{number}" for number in numbers)


def _file(sheet: str, path: Path, media_type: str, records: int) -> ResultFile:
    return ResultFile(
        name=f"{sheet}/{path.name}", path=path, media_type=media_type, records=records
    )
