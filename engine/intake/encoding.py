"""From bytes to lines of text: which encoding, and what to do with lines that are in another one."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SourceCode, SourceError
from engine.intake import charset
from engine.intake.source import Choice

CHUNK = 1 << 20
#: Fewest lines of UTF-8 among lines of another encoding, and how sure those make it.
ENOUGH, MIXED = 3, 0.9
_CONTROL = bytes({*range(32)} - {*b"\t\n\v\f\r\x1a\x1b\x1c\x1d\x1e\x1f\x01\x02"})
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: UTF-8 read as Windows-1252 once too often: "Ã¤", "â€™", "Â ".
_MOJIBAKE = re.compile("Ã[\x80-\xbf\u0152-\u2122]|â€[\x80-\xbf\u0152-\u2122]|Â[\xa0-\xbf]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoding:
    """How to decode a file: `skip` bytes of mark first."""

    name: str
    skip: int
    choice: Choice

    @property
    def wide(self) -> bool:
        """Line ends are more than one byte long."""
        return self.name.startswith(("utf-16", "utf-32"))


def detect(head: bytes, *, whole: bool, given: str | None) -> Encoding:
    """The encoding of a file from its first bytes (`whole`: there are no more)."""
    mark, name = next(((each, name) for each, name in _MARKS if head.startswith(each)), (b"", ""))
    if given is not None:
        try:
            wanted = codecs.lookup(given).name
        except LookupError:
            message = f"unknown encoding `{given}`"
            raise SourceError(SourceCode.OPTION, message, place="encoding") from None
        wanted = name if wanted in ("utf-16", "utf-32", "utf-8-sig") and name else wanted
        wanted = "utf-8" if wanted == "utf-8-sig" else wanted
        skip = len(mark) if wanted == name else 0
        return Encoding(name=wanted, skip=skip, choice=_choice(wanted, 1.0, given=True))
    if mark:
        return Encoding(name=name, skip=len(mark), choice=_choice(name, 1.0))
    if wide := _wide(head):
        return Encoding(name=wide, skip=0, choice=_choice(wide, 0.95))
    # Seven-bit text with escape sequences (ISO-2022) is valid UTF-8, but is not meant so.
    if is_utf8(head, whole=whole) and b"\x1b$" not in head:
        return Encoding(name="utf-8", skip=0, choice=_choice("utf-8", 1.0))
    if _mostly_utf8(head):
        return Encoding(name="utf-8", skip=0, choice=_choice("utf-8", MIXED))
    return _legacy(head, whole=whole)


def _mostly_utf8(head: bytes) -> bool:
    """Whether of the lines with other letters nearly all are UTF-8, which is no accident."""
    lines = [line for line in re.split(rb"[\r\n]+", head) if not line.isascii()]
    valid = sum(is_utf8(line, whole=True) for line in lines)
    return valid >= ENOUGH and valid >= 0.8 * len(lines) and b"\x1b$" not in head


def is_utf8(data: bytes, *, whole: bool) -> bool:
    """Whether the bytes are UTF-8; the last character may be cut unless they are the whole file."""
    return _decodes(data, "utf-8", whole=whole)


def control_share(data: bytes) -> float:
    """The share of control characters that no text has."""
    return 1 - len(data.translate(None, _CONTROL)) / max(1, len(data))


def mojibake(text: str) -> int:
    """How many character pairs look decoded wrongly before the text came here."""
    return len(_MOJIBAKE.findall(text))


def decode(data: bytes, name: str) -> tuple[str, bool]:
    """The text, and whether every byte was in that encoding; others are read as Windows-1252."""
    try:
        return data.decode(name), True
    except UnicodeDecodeError:
        fallback = "cp1252" if name == "utf-8" else name
        return data.decode(fallback, "replace"), False


def as_utf8(path: Path, encoding: Encoding, target: Path) -> bool:
    """Write the file again as UTF-8; False as soon as a byte is not in its encoding."""
    decoder = codecs.getincrementaldecoder(encoding.name)()
    with path.open("rb") as source, target.open("wb") as out:
        source.seek(encoding.skip)
        try:
            while part := source.read(CHUNK):
                out.write(decoder.decode(part).encode())
            out.write(decoder.decode(b"", final=True).encode())
        except UnicodeError:
            return False
    return True


def lines(path: Path, encoding: Encoding) -> Iterator[tuple[str, bool]]:
    """Every physical line with its end (LF, CR LF or CR), and whether it decoded cleanly."""
    chunks = _wide_chunks(path, encoding) if encoding.wide else _chunks(path, encoding.skip)
    for chunk in chunks:
        if isinstance(chunk, str):
            yield from ((line, True) for line in io.StringIO(chunk, newline=""))
            continue
        text, clean = decode(chunk, encoding.name)
        if clean:
            yield from ((line, True) for line in io.StringIO(text, newline=""))
        else:
            pieces = re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+", chunk)
            yield from (decode(piece, encoding.name) for piece in pieces)


def _chunks(path: Path, skip: int) -> Iterator[bytes]:
    """Blocks of bytes cut after a line end, never inside CR LF."""
    with path.open("rb") as file:
        file.seek(skip)
        rest = b""
        while part := file.read(CHUNK):
            block = rest + part
            cut = block.rfind(b"\n") + 1 or block.rfind(b"\r", 0, len(block) - 1) + 1
            if cut:
                yield block[:cut]
            rest = block[cut:]
        if rest:
            yield rest


def _wide_chunks(path: Path, encoding: Encoding) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding.name)("replace")
    with path.open("rb") as file:
        file.seek(encoding.skip)
        rest = ""
        while part := file.read(CHUNK):
            block = rest + decoder.decode(part)
            cut = block.rfind("\n") + 1 or block.rfind("\r", 0, len(block) - 1) + 1
            if cut:
                yield block[:cut]
            rest = block[cut:]
        if rest := rest + decoder.decode(b"", final=True):
            yield rest


def _wide(head: bytes) -> str:
    """UTF-16 or UTF-32 without a mark shows by where its zero bytes stand."""
    sample = head[: 4096 - len(head[:4096]) % 4]
    if len(sample) < 4 or b"\0" not in sample:
        return ""
    zeros = [sample[at::4].count(0) / (len(sample) / 4) for at in range(4)]
    high = [share > 0.3 for share in zeros]
    names = {
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
    }
    name = names.get((high[0], high[1], high[2], high[3]), "")
    if name:
        try:
            head[: len(head) - len(head) % 4].decode(name)
        except UnicodeDecodeError as error:
            return name if error.start > len(head) - 8 else ""
    return name


def _legacy(head: bytes, *, whole: bool) -> Encoding:
    name, sure, rival = charset.guess(head)
    # The 2004 variant reads every backslash as a yen sign; files of that kind are rare.
    if name == "shift_jis_2004":
        name = "shift_jis" if _decodes(head, "shift_jis", whole=whole) else "cp932"
    if not _decodes(head, name, whole=whole):
        name, sure = "cp1252", 0.5
    choice = _choice(name, round(sure, 3), others=((rival, round(1 - sure, 3)),) if rival else ())
    return Encoding(name=codecs.lookup(name).name, skip=0, choice=choice)


def _decodes(head: bytes, name: str, *, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(name)().decode(head, final=whole)
    except (LookupError, UnicodeDecodeError):
        return False
    return True


def _choice(
    name: str, sure: float, *, given: bool = False, others: tuple[tuple[str, float], ...] = ()
) -> Choice:
    return Choice(what="encoding", value=name, confidence=sure, given=given, others=others)
