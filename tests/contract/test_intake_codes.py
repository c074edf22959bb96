from pathlib import Path

from engine.errors import SourceCode
from engine.intake import written
from engine.intake.layout import OUTSIDE
from engine.intake.parse import STRAY, UNCLOSED
from engine.intake.source import ReadCode

README = (Path(written.__file__).parent / "README.md").read_text()


def test_every_code_a_reader_may_meet_is_explained() -> None:
    broken = (UNCLOSED, STRAY, written.TOO_MANY, written.TOO_FEW, written.BAD_JSON, OUTSIDE)
    codes = [*ReadCode, *SourceCode, *broken]
    assert [code for code in codes if f"`{code}`" not in README] == []
