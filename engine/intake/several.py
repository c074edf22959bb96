"""Tables one below the other in one sheet or file: where each ends, and every one staged."""

from collections import deque
from collections.abc import Iterator

from engine.intake.cells import Cells
from engine.intake.parse import Record
from engine.intake.source import ReadCode, ReadNote
from engine.intake.table import FEW, Region, opens

#: Records looked at behind a gap.
AHEAD = 5


class Part:
    """The records of one table. `rest` is what follows, once another table has begun."""

    def __init__(self, records: Iterator[Record], region: Region, *, alone: bool) -> None:
        self._records, self._alone = records, alone
        self._end = None if region.end is None else region.above + region.end + 1
        self._before = deque[Cells]([region.columns], maxlen=FEW)
        self._ahead = deque[Record]()
        self.rest: Iterator[Record] | None = None
        self.notes: tuple[ReadNote, ...] = ()

    def __iter__(self) -> Iterator[Record]:
        gap = False
        while (record := self._next()) is not None:
            if any(record.cells) and any(cell.strip() for cell in record.cells):
                if record.row == self._end or (gap and self._opens(record)):
                    self._leave(record)
                    return
                gap = False
                self._before.append(record.cells)
            else:
                gap = not self._alone
            yield record

    def _next(self) -> Record | None:
        return self._ahead.popleft() if self._ahead else next(self._records, None)

    def _opens(self, record: Record) -> bool:
        while len(self._ahead) < AHEAD and (more := next(self._records, None)) is not None:
            self._ahead.append(more)
        cells = [record.cells, *(each.cells for each in self._ahead)]
        return opens(list(self._before), cells)

    def _leave(self, record: Record) -> None:
        message = f"another table begins in row {record.row}, read as a table of its own"
        self.notes = (ReadNote(code=ReadCode.OTHER_TABLE, message=message, row=record.row),)
        self._ahead.appendleft(record)
        self.rest = iter(self._next, None)
