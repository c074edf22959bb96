"""How dates are written, proven on the whole column; two readings of one column are a question."""

from collections.abc import Iterable, Sequence
from typing import Literal

from engine.kinds import DATE_FORMATS, TIME_FORMATS
from engine.profile import Reading
from engine.proposal import Repair, RepairKind
from engine.repair.case import Case, formats
from plans.changes import AddFormats, SetFormats, SetTransforms
from plans.template import FieldType
from plans.transforms import Date, DateTime

Kind = Literal["date", "datetime"]
_KINDS: dict[FieldType, Kind] = {FieldType.DATE: "date", FieldType.DATETIME: "datetime"}
_ORDERS = {
    "%d": "day first",
    "%m": "month first",
    "%Y": "year first",
    "%y": "year first",
    "%b": "named",
    "%B": "named",
}
#: Share of unread cells that must look like dates before anything is concluded from them.
_MOSTLY = 0.5


def dates(case: Case) -> list[Repair]:
    """Formats for the cells that no present format reads."""
    if case.field.type not in _KINDS:
        return []
    told = [each for each in case.readings if "null_word" not in each.kinds]
    now = formats(case.mapping)
    unread = [each for each in told if not _read(each, now, case.field.type)]
    dated = [each for each in unread if written(each)]
    if _cells(dated) < max(1, _MOSTLY * _cells(unread)):
        return _numbers(case, unread)
    shared = _shared(dated)
    if not shared:
        return _cover(case, dated, now)
    # Cells that are read today still say which order the column is written in.
    loose = [each for each in told if each in dated or not _iso(each)]
    everywhere = _shared([each for each in loose if written(each)]) & shared
    orders = {order(fmt) for fmt in everywhere or shared}
    if len(orders) > 1:
        return _ambiguous(case, everywhere or shared, orders)
    chosen = _simplest(everywhere or shared)
    rivals = [fmt for fmt in now if _swapped(fmt, chosen)]
    if not rivals:
        return [_added(case, (chosen,), confidence=0.99)]
    if everywhere:
        return [_turned(case, chosen, rivals)]
    return _mixed(case, chosen, rivals[0])


def written(reading: Reading) -> frozenset[str]:
    """Every format that reads these cells whole, time of day included."""
    days = [fmt for fmt in DATE_FORMATS if f"date:{fmt}" in reading.kinds]
    if "timed" not in reading.kinds:
        return frozenset(days)
    clocks = [fmt for fmt in TIME_FORMATS if f"time:{fmt}" in reading.kinds]
    sample = reading.samples[0]
    between = ", " if ", " in sample else "T" if "T" in sample else " "
    zone = "%z" if "zoned" in reading.kinds else ""
    return frozenset(f"{day}{between}{clock}{zone}" for day in days for clock in clocks)


def order(fmt: str) -> str:
    """Which part of the date comes first."""
    return _ORDERS.get(fmt[:2], "other")


def _read(reading: Reading, now: Sequence[str], kind: FieldType) -> bool:
    return _iso(reading) or any(f"format:{fmt}" in reading.kinds for fmt in now)


def _iso(reading: Reading) -> bool:
    """Always read: ISO dates, and for datetimes ISO moments."""
    return "date:%Y-%m-%d" in reading.kinds


def _shared(told: Sequence[Reading]) -> frozenset[str]:
    sets = [written(each) for each in told]
    return frozenset.intersection(*sets) if sets else frozenset()


def _simplest(found: Iterable[str]) -> str:
    return min(found, key=lambda fmt: (len(fmt), fmt))


def _swapped(fmt: str, other: str) -> bool:
    """Whether the two can read one text as two different days."""
    return fmt[2] == other[2] and order(fmt) != order(other) and fmt[6:8] == other[6:8]


def _cells(told: Iterable[Reading]) -> int:
    return sum(each.cells for each in told)


def _added(case: Case, found: tuple[str, ...], *, confidence: float) -> Repair:
    kind = _KINDS[case.field.type]
    examples = _examples(case)
    return case.repair(
        "format",
        RepairKind.FORMAT,
        AddFormats(sheet=case.sheet.name, field=case.field.name, kind=kind, formats=found),
        summary=f"Read {case.field.name} also as {', '.join(found)}",
        evidence=f"every date of the column that was not read is written so, such as {examples}",
        confidence=confidence,
    )


def _turned(case: Case, chosen: str, rivals: Sequence[str]) -> Repair:
    """The column proves the other order; cells read today change their meaning with it."""
    kind = _KINDS[case.field.type]
    kept = tuple(fmt for fmt in formats(case.mapping) if fmt not in rivals)
    change = SetFormats(
        sheet=case.sheet.name, field=case.field.name, kind=kind, formats=(chosen, *kept)
    )
    return case.repair(
        "order",
        RepairKind.FORMAT,
        change,
        summary=f"Read {case.field.name} {order(chosen)} ({chosen}) instead of {rivals[0]}",
        evidence=f"the whole column can be read {order(chosen)}, and {_examples(case)} only so",
        # Day 1 was written in the other order, so this is a change of meaning and never silent.
        confidence=0.95,
    )


def _ambiguous(case: Case, found: Iterable[str], orders: Iterable[str]) -> list[Repair]:
    kind = _KINDS[case.field.type]
    repairs = []
    for each in sorted(orders):
        fmt = _simplest(f for f in found if order(f) == each)
        change = AddFormats(sheet=case.sheet.name, field=case.field.name, kind=kind, formats=(fmt,))
        repairs.append(
            case.repair(
                f"format-{each.split()[0]}",
                RepairKind.AMBIGUOUS_FORMAT,
                change,
                summary=f"Read {case.field.name} {each} ({fmt})",
                evidence=f"nothing in the column tells: {_examples(case)} can be read both ways",
                confidence=0.5,
            )
        )
    return repairs


def _mixed(case: Case, chosen: str, rival: str) -> list[Repair]:
    """Both orders are proven by different cells of one column: nobody can tell the rest."""
    kind = _KINDS[case.field.type]
    change = AddFormats(sheet=case.sheet.name, field=case.field.name, kind=kind, formats=(chosen,))
    return [
        case.repair(
            "format-both",
            RepairKind.AMBIGUOUS_FORMAT,
            change,
            summary=f"Read {case.field.name} as {rival}, and as {chosen} where that fails",
            evidence=f"some cells are only {order(rival)}, others such as {_examples(case)} only "
            f"{order(chosen)}; the rest fit both",
            confidence=0.3,
        )
    ]


def _cover(case: Case, dated: Sequence[Reading], now: Sequence[str]) -> list[Repair]:
    """Several ways of writing in one column, each proven by its own cells."""
    families: dict[str, list[Reading]] = {}
    for each in dated:
        families.setdefault(_family(_simplest(written(each))), []).append(each)
    chosen: list[str] = []
    for told in families.values():
        shared = _shared(told)
        if len({order(fmt) for fmt in shared}) != 1:
            return []
        chosen.append(_simplest(shared))
    if any(_swapped(one, two) for one in (*now, *chosen) for two in chosen):
        return []
    return [_added(case, tuple(chosen), confidence=0.98)]


def _family(fmt: str) -> str:
    """Separator and kind of month: cells of one family are written by one hand."""
    return fmt[2] + ("b" if "%b" in fmt or "%B" in fmt else "m")


def _numbers(case: Case, unread: Sequence[Reading]) -> list[Repair]:
    """Spreadsheet days and Unix time: every unread cell is such a number."""
    whole = case.field.type is FieldType.DATE
    if not unread or not all(("excel_serial" if whole else "epoch") in r.kinds for r in unread):
        return []
    reader: Date | DateTime
    if whole:
        reader = Date(formats=formats(case.mapping), excel_serial=True)
    elif len(unread[0].samples[0]) == 10:
        reader = DateTime(formats=formats(case.mapping), epoch="seconds")
    else:
        reader = DateTime(formats=formats(case.mapping), epoch="milliseconds")
    kept = tuple(each for each in case.mapping.transforms if not isinstance(each, type(reader)))
    what = "spreadsheet days" if whole else "Unix time"
    return [
        case.repair(
            "number",
            RepairKind.AMBIGUOUS_FORMAT,
            SetTransforms(sheet=case.sheet.name, field=case.field.name, transforms=(*kept, reader)),
            summary=f"Read the numbers in {case.field.name} as {what}",
            evidence=f"every unread cell is a number in that range, such as {_examples(case)}",
            confidence=0.9,
        )
    ]


def _examples(case: Case) -> str:
    return ", ".join(repr(value) for value in list(case.values)[:3])
