"""Word vectors: off unless asked for, one more figure when they are on, and never a download."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from healing import version_of

from engine.binding.pairs import Side
from engine.binding.score import chosen, embedded, scores, shipped
from engine.binding.vectors import Matrix, installed, near
from engine.preview import look
from engine.proposal import Repair, RepairKind
from engine.settings import SettingsInvalid, from_environment
from engine.tables import Box, InputFile
from engine.trial import tried
from plans.changes import AddTransform
from plans.plan import Read
from plans.transforms import Trim

FIELDS = [Side(names=("email",)), Side(names=("city",))]
COLUMNS = [Side(names=("Qx",)), Side(names=("City",))]
LOADED = (
    "import engine.advance, sys; print({'wordllama', 'safetensors', 'tokenizers'} & {*sys.modules})"
)

needs_extra = pytest.mark.skipif(
    not installed(), reason="the word vectors are not here: pip install 'reknit[embed]'"
)


def test_without_the_setting_the_shipped_weights_count_and_nothing_is_loaded() -> None:
    weights = chosen(from_environment({}))
    assert weights is shipped()
    assert weights.near is None
    told = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, check=True, text=True
    )
    assert told.stdout.strip() == "set()"


def test_one_more_figure_is_weighed_before_the_bias() -> None:
    *pair, bias = shipped().pair
    weights = replace(
        shipped(),
        pair=(*pair, 5.0, bias),
        near=lambda fields, columns: np.eye(len(columns), len(fields)),
    )
    more = scores(FIELDS, COLUMNS, model=weights).logits - scores(FIELDS, COLUMNS).logits
    assert more == pytest.approx(5.0 * np.eye(2))


@pytest.mark.skipif(installed(), reason="reknit[embed] is installed here")
def test_asking_for_vectors_that_are_not_installed_says_what_to_install() -> None:
    with pytest.raises(SettingsInvalid, match=r"REKNIT_EMBED: .*reknit\[embed\]"):
        chosen(from_environment({"REKNIT_EMBED": "true"}))


@needs_extra
def test_names_of_one_meaning_stand_nearer_than_strangers() -> None:
    field = [Side(names=("postal code",))]
    told = near(field, [Side(names=("Zip_Code",)), Side(names=("Amount",)), Side(names=("",))])
    assert told[0, 0] > 0.4 > told[1, 0]
    assert told[2, 0] == 0.0
    assert "wordllama" not in sys.modules


@needs_extra
def test_the_weights_for_vectors_fit_every_figure() -> None:
    weights = chosen(from_environment({"REKNIT_EMBED": "true"}))
    assert weights is embedded()
    assert len(weights.pair) == len(shipped().pair) + 1
    assert int(scores(FIELDS, COLUMNS, model=weights).logits[1].argmax()) == 1


def test_previews_and_trials_match_columns_as_the_run_does(tmp_path: Path) -> None:
    asked: list[str] = []

    def spy(fields: Sequence[Side], columns: Sequence[Side]) -> Matrix:
        asked.extend(name for side in columns for name in side.names)
        return np.zeros((len(columns), len(fields)))

    weights = replace(shipped(), pair=(*shipped().pair, 0.0), near=spy)
    plan = version_of({"type": "string"}, {})
    source = tmp_path / "a.csv"
    source.write_text("N,Qzx\n1,a\n")
    files, given = [InputFile(name="a.csv", path=source)], Read()
    box = Box(folder=tmp_path / "box", readable=(source,))
    box.folder.mkdir()
    seen = look(plan, files, given=given, mapping={}, rows=1, box=box, weights=weights)
    assert asked
    asked.clear()
    change = AddTransform(sheet="things", field="x", transform=Trim(), at="start")
    repair = Repair(
        id="trim", kind=RepairKind.COLUMN, sheet="things", field="x", changes=(change,),
        summary="", evidence="", confidence=1.0,
    )  # fmt: skip
    tried(plan, [each.bound for each in seen.inputs], [repair], folder=box.folder, weights=weights)
    assert asked
