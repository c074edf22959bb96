"""What an unsure reading and its nearest rival make of the first rows: for a person to choose."""

import io
from collections.abc import Callable, Sequence
from itertools import islice

from engine.intake import dialect, layout, table
from engine.intake.cells import Cells
from engine.intake.parse import parse
from engine.intake.source import Choice, ReadCode, ReadNote, View
from engine.intake.table import Region
from plans.plan import Read

#: Below this confidence a choice is shown with its rival. Above it no file of the evals is read
#: wrongly by a choice of its own; see "calibration" in evals/intake.
SURE = 0.8
ROWS, SAMPLE = 3, 200


def of_choice(
    choice: Choice, text: Callable[[str], str], read: Read, label: Callable[[str], str]
) -> tuple[View, ...]:
    """Both ways to decide an unsure choice of encoding, delimiter or layout; none where they agree.

    `text` gives the sample when the choice falls so.
    """
    if choice.given or choice.confidence >= SURE or not choice.others:
        return ()
    values = (choice.value, choice.others[0][0])
    found = [_tabled(text(value), read.model_copy(update={choice.what: value})) for value in values]
    shown = _different([body for _, body in found])
    if not shown and found[0][0] == found[1][0]:
        return ()
    return tuple(
        View(
            read=Read.model_validate({choice.what: value}),
            label=label(value),
            columns=columns,
            rows=tuple(tuple(body[at]) for at in (shown or range(ROWS)) if at < len(body)),
        )
        for value, (columns, body) in zip(values, found, strict=True)
    )


def of_header(rows: Sequence[Cells], region: Region, read: Read) -> tuple[View, ...]:
    """The first row as names and as data, where neither is sure."""
    choice = region.choices[0]
    if choice.given or choice.confidence >= SURE:
        return ()
    named = bool(region.header)
    other = table.find(rows, read.model_copy(update={"has_header": not named}))
    both = {named: region, not named: other}
    return tuple(
        View(
            read=Read(has_header=has),
            label=_HEADER[has],
            columns=both[has].columns,
            rows=tuple(tuple(each) for each in rows[both[has].first :][:ROWS]),
        )
        for has in (named, not named)
    )


def of_turned(rows: Sequence[Cells], turned: Sequence[Cells]) -> tuple[View, ...]:
    """The table as it is, and turned by a quarter."""
    return tuple(
        View(
            read=Read(transposed=lies),
            label="The names stand in the first " + ("column" if lies else "row"),
            columns=tuple(shown[0]),
            rows=tuple(map(tuple, shown[1 : ROWS + 1])),
        )
        for lies, shown in ((False, rows), (True, turned))
    )


def note(views: Sequence[View]) -> ReadNote:
    """Both readings in one sentence."""
    shown = " or: ".join(
        f"{each.label} ({' / '.join(' | '.join(cell[:30] for cell in row[:6]) for row in each.rows[:2])})"
        for each in views
    )
    return ReadNote(code=ReadCode.UNSURE, message=f"either: {shown}; say which in `read:`")


_HEADER = {True: "The first row holds the names", False: "The first row is data already"}


def _tabled(text: str, read: Read) -> tuple[tuple[str, ...], list[Cells]]:
    """The columns and first rows of a sample."""
    used = dialect.detect(text, read).dialect
    laid = layout.find(text, read, delimiter=used.delimiter)
    lines = io.StringIO(text, newline="")
    records = layout.records(lines, laid) if laid else parse(lines, used)
    rows: list[Cells] = [each.cells for each in islice(records, SAMPLE)]
    region = table.find(rows, read)
    return region.columns, rows[region.first :]


def _different(bodies: Sequence[Sequence[Cells]]) -> list[int]:
    """The first rows that are not the same in both."""
    one, two = bodies
    differ = (at for at in range(max(len(one), len(two))) if one[at : at + 1] != two[at : at + 1])
    return list(islice(differ, ROWS))
