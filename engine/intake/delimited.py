"""Delimited text: proven plain and staged as it stands, or read record by record with care."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.errors import SourceCode
from engine.intake import dialect, encoding, layout, views
from engine.intake.dialect import Detected
from engine.intake.encoding import Encoding
from engine.intake.layout import Layout
from engine.intake.parse import Dialect, Record, parse
from engine.intake.plain import stage_plain
from engine.intake.reading import Reading
from engine.intake.rows import stage_tables
from engine.intake.scan import NotPlain
from engine.intake.source import Choice, ReadCode, ReadNote, Staged, View, told
from plans.plan import Read

#: Detection never reads more than this.
SAMPLE = 1 << 20
#: A file with NUL bytes and more control characters than this is no text.
MAX_CONTROL = 0.05
WRAPPED = "every line is quoted as a whole"
_LAYOUTS = {
    "aligned": (ReadCode.ALIGNED, "columns aligned by blanks"),
    "drawn": (ReadCode.DRAWN, "columns drawn with lines"),
}
_PARTED: dict[str, Callable[[str], str]] = {
    "delimiter": lambda mark: f"{mark!r} separates the columns",
    "layout": lambda kind: _LAYOUTS[kind][1] if kind in _LAYOUTS else "a delimiter, or one column",
}


def stage_delimited(reading: Reading) -> Iterator[Staged]:
    """Read one text file: mostly one table."""
    with reading.file.path.open("rb") as file:
        head = file.read(SAMPLE)
    whole = len(head) < SAMPLE
    found = encoding.detect(head, whole=whole, given=reading.read.encoding)
    if not found.wide and b"\0" in head and encoding.control_share(head) > MAX_CONTROL:
        raise reading.file.error(SourceCode.NUL_BYTES, "the file is binary, not text")
    sample = _sample(head, found, whole=whole)
    chosen = dialect.detect(sample, reading.read)
    laid = layout.find(sample, reading.read, delimiter=chosen.dialect.delimiter)
    newline = _newline(sample)
    facts: dict[str, object] = {"encoding": found.name, "newline": newline}
    facts |= _dialect_facts(chosen) if laid is None else {}
    choices = (laid.choice,) if laid else chosen.choices
    facts["choices"] = (found.choice, *choices)
    if both := _views(head, sample, found, choices[0], reading.read, whole=whole):
        facts["views"] = both
    notes = (*reading.notes, *_text_notes(sample))
    reading = replace(reading, facts={**reading.facts, **facts}, notes=notes)
    if laid is not None:
        return _stage_laid(reading, found, laid)
    if chosen.wrapped:
        return _stage_carefully(reading, found, chosen.dialect, WRAPPED, wrapped=True)
    try:
        return iter([stage_plain(reading, found, chosen.dialect, sample, newline)])
    except NotPlain as why:
        return _stage_carefully(reading, found, chosen.dialect, str(why))


def _dialect_facts(chosen: Detected) -> dict[str, object]:
    used = chosen.dialect
    return {
        "delimiter": used.delimiter,
        "quote": used.quote or None,
        "escape": used.escape or None,
    }


def _sample(head: bytes, found: Encoding, *, whole: bool) -> str:
    if found.wide:
        text = head[found.skip : len(head) - len(head) % 4].decode(found.name, "replace")
    else:
        text = encoding.decode(head[found.skip :], found.name)[0]
    if whole:
        return text
    cut = text.rfind("\n") + 1 or text.rfind("\r") + 1
    return text[:cut] if cut else text


def _newline(sample: str) -> str:
    """The commonest line end; `mixed` when several are common."""
    crlf = sample.count("\r\n")
    counts = {"\r\n": crlf, "\n": sample.count("\n") - crlf, "\r": sample.count("\r") - crlf}
    used = [end for end, count in counts.items() if count]
    return used[0] if len(used) == 1 else "mixed" if used else "\n"


def _text_notes(sample: str) -> list[ReadNote]:
    message = "text that was decoded wrongly before, such as `Ã¤` for `ä`"
    return told((ReadCode.MOJIBAKE, encoding.mojibake(sample), message, None))


def _views(
    head: bytes, sample: str, found: Encoding, chosen: Choice, read: Read, *, whole: bool
) -> tuple[View, ...]:
    """Both readings where the encoding, or else the delimiter or layout, is not sure."""

    def decoded(name: str) -> str:
        return _sample(head, replace(found, name=name), whole=whole)

    return views.of_choice(
        found.choice, decoded, read, lambda name: f"The text is encoded as {name}"
    ) or views.of_choice(chosen, lambda _: sample, read, _PARTED[chosen.what])


def _stage_carefully(
    reading: Reading, found: Encoding, used: Dialect, why: str, *, wrapped: bool = False
) -> Iterator[Staged]:
    seen = _Seen(reading.report)
    lines = seen.watch(encoding.lines(reading.file.path, found))
    if wrapped:
        outer = parse(lines, Dialect(delimiter=","), longest=reading.limits.record)
        lines = (each.cells[0] + "\n" for each in outer)
    records: Iterator[Record] = parse(lines, used, longest=reading.limits.record)
    slow = ReadNote(code=ReadCode.SLOW_PATH, message=f"read with care: {why}")
    for staged in stage_tables(records, reading):
        yield _add_notes(staged, [slow, *seen.notes()])


def _stage_laid(reading: Reading, found: Encoding, laid: Layout) -> Iterator[Staged]:
    """A table without a delimiter: each line has a row's cells, or rules."""
    seen = _Seen(reading.report)
    lines = seen.watch(encoding.lines(reading.file.path, found))
    read = reading.read
    if laid.headed and read.has_header is None and read.header_row is None:
        reading = replace(reading, read=read.model_copy(update={"has_header": True}))
    longest = reading.limits.record
    records = layout.records(lines, laid, on_rule=seen.rule, longest=longest)
    for staged in stage_tables(records, reading):
        code, message = _LAYOUTS[laid.choice.value]
        told = f"{message}; lines that only rule are no rows: {seen.rules}"
        yield _add_notes(staged, [ReadNote(code=code, message=told), *seen.notes()])


def _add_notes(staged: Staged, notes: list[ReadNote]) -> Staged:
    return replace(staged, source=replace(staged.source, notes=(*staged.source.notes, *notes)))


class _Seen:
    """What the lines showed while they were read: NUL characters, other encodings, line ends."""

    def __init__(self, report: Callable[[int], object] | None) -> None:
        self._report, self._read = report, 0
        self.nul, self.foreign = [0, 0], [0, 0]
        self.ends: set[str] = set()
        self.rules = 0

    def rule(self) -> None:
        """Count a line that is no record."""
        self.rules += 1

    def watch(self, lines: Iterator[tuple[str, bool]]) -> Iterator[str]:
        for number, (line, clean) in enumerate(lines, 1):
            self._read += len(line)
            if self._report is not None and number % 20_000 == 0:
                self._report(self._read)
            if not clean:
                self.foreign = [self.foreign[0] + 1, self.foreign[1] or number]
            if "\0" in line:
                self.nul = [self.nul[0] + line.count("\0"), self.nul[1] or number]
                line = line.replace("\0", "")
            self.ends.add("\r\n" if line.endswith("\r\n") else line[-1:])
            yield line

    def notes(self) -> list[ReadNote]:
        """What they showed."""
        nul, first_nul = self.nul
        foreign, first_foreign = self.foreign
        ends = len(self.ends & {"\r\n", "\n", "\r"}) > 1
        return told(
            (
                ReadCode.NUL_REMOVED,
                nul,
                f"NUL characters taken out, first in line {first_nul}",
                None,
            ),
            (
                ReadCode.MIXED_ENCODING,
                foreign,
                f"lines in another encoding, first line {first_foreign}",
                None,
            ),
            (ReadCode.MIXED_NEWLINES, int(ends), "several kinds of line ends", None),
        )
