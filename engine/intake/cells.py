"""What a cell looks like, as far as telling a header from its rows needs it."""

import re
from collections.abc import Sequence

Cells = Sequence[str]
_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,'\u2019 ]*%?\)?[$€£¥]?|[-+]?\d*\.?\d+[eE][-+]?\d+")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?|\d{1,2}:\d\d(:\d\d)?.*")
_OTHER = re.compile(
    r"[^@\s]+@[^@\s]+\.[^@\s]+|https?://\S+|(?i:true|false|yes|no|null|n/?a|nan|-?inf|none)|-|\\?\?"
)
_CODE = re.compile(r"[A-Za-z]{0,4}[-_/.]?\d{2,}[\d./_-]*")


def trim(cells: Cells) -> Cells:
    """The cells up to the last that holds anything."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    return cells[:end]


def is_code(text: str) -> bool:
    """Letters and digits such as `T28` or `AB-1203`: a value, or the short name of a column."""
    return bool(_CODE.fullmatch(text)) and text[:1].isalpha()


def shape(cell: str) -> str:
    """`n`umber, `d`ate, `o`ther single value such as an e-mail or a code, `t`ext, or `""`."""
    text = cell.strip()
    if not text:
        return ""
    if _NUMBER.fullmatch(text):
        return "n"
    if _DATE.fullmatch(text):
        return "d"
    return "o" if _OTHER.fullmatch(text) or _CODE.fullmatch(text) else "t"
