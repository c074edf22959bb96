"""Wrong proposals planted by hand: every one is dropped by its trial, or at least never silent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from healing import look
from tables import staged

from engine.proposal import Repair, RepairKind
from engine.questions import heals
from engine.trial import tried
from plans.changes import (
    AddAlias,
    AddTransform,
    Change,
    MapValues,
    SetColumns,
    SetFormats,
    SetNumber,
    SetOnInvalid,
    SetTransforms,
)
from plans.plan import Column, Plan
from plans.template import OnInvalid, Template
from plans.transforms import Number, RegexExtract, Replace, Split, ValueMap
from plans.versions import PlanVersion, first_version

FIELDS = [
    {"name": "email", "type": "email", "required": True},
    {"name": "paid", "type": "decimal"},
    {"name": "due", "type": "date"},
    {"name": "stage", "type": "enum", "values": ["lead", "won"]},
    {"name": "code", "type": "integer"},
    {"name": "fee", "type": "decimal"},
]
COLUMNS = [
    {"field": "email", "from": "Email"},
    {"field": "paid", "from": "Paid"},
    {"field": "due", "from": "Due", "transforms": [{"op": "date", "formats": ["%d/%m/%Y"]}]},
    {"field": "stage", "from": "Stage"},
    {"field": "code", "from": "Code"},
    {"field": "fee", "from": "Fee"},
]
ROWS = [
    ["a@b.co", "-12.50", "03/04/2024", "lead", "7", "1"],
    ["c@d.org", "1.234", "25/12/2024", "won", "8", "2"],
    ["e@f.net", "99", "31/01/2024", "won", "9", "3"],
    ["g@h.com", "0.5", "01/02/2024", "lost", "x1", "4"],
]


def plan() -> PlanVersion:
    return first_version(
        Plan.model_validate({"plan": "p", "sheets": [{"template": "deals", "columns": COLUMNS}]}),
        (Template.model_validate({"template": "deals", "fields": FIELDS}),),
    )


def sheet(field: str, **more: Any) -> dict[str, Any]:
    return {"sheet": "deals", "field": field, **more}


PLANTED: dict[str, tuple[str, Sequence[Change], RepairKind]] = {
    "e-mail fed by another column": (
        "email", [SetColumns(**sheet("email", columns=(Column(header="Stage"),)))],
        RepairKind.REBIND),
    "two number columns swapped": (
        "paid", [SetColumns(**sheet("paid", columns=(Column(header="Code"),)))],
        RepairKind.REBIND),
    "two columns of one type swapped": (
        "paid", [SetColumns(**sheet("paid", columns=(Column(header="Fee"),)))],
        RepairKind.REBIND),
    "another name for a column that stands there": (
        "code", [AddAlias(**sheet("code", header="Code", alias="Email"))], RepairKind.REBIND),
    "month and day turned round": (
        "due", [SetFormats(**sheet("due", formats=("%m/%d/%Y",)))], RepairKind.FORMAT),
    "decimal point read as thousands": (
        "paid", [SetNumber(**sheet("paid", number=Number(decimal=",", thousands=".")))],
        RepairKind.FORMAT),
    "sign dropped": (
        "paid", [AddTransform(**sheet("paid", transform=Replace(find="-", by="")))],
        RepairKind.CLEAN),
    "pence dropped": (
        "paid", [AddTransform(**sheet("paid", transform=Split(separator=".", part=0)))],
        RepairKind.CLEAN),
    "scaled by a hundred": (
        "paid", [SetNumber(**sheet("paid", number=Number(scale="100")))], RepairKind.FORMAT),
    "valid values mapped away": (
        "stage", [MapValues(**sheet("stage", values={"lost": "won", "lead": "won"}))],
        RepairKind.CLEAN),
    "everything unknown emptied": (
        "stage",
        [SetTransforms(**sheet("stage", transforms=(
            ValueMap(values={"won": "won"}, otherwise="empty"),)))],
        RepairKind.CLEAN),
    "digits cut out of anything": (
        "code", [AddTransform(**sheet("code", transform=RegexExtract(pattern="[0-9]$")))],
        RepairKind.VALUES),
    "bad cells quietly emptied": (
        "code", [SetOnInvalid(**sheet("code", on_invalid=OnInvalid.EMPTY))], RepairKind.POLICY),
}  # fmt: skip


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Repair]:
    folder = tmp_path_factory.mktemp("planted")
    table = staged(folder, [column["from"] for column in COLUMNS], ROWS)
    seen = look(plan(), [table], folder)
    made = [
        Repair(
            id=name, kind=kind, sheet="deals", field=field, changes=tuple(changes), summary=name,
            evidence="planted", confidence=0.999,
        )
        for name, (field, changes, kind) in PLANTED.items()
    ]  # fmt: skip
    found = tried(seen.version, seen.tables, made, folder=folder / "trial")
    return {each.id: each for each in found}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_wrong_repair_is_never_applied_unasked(
    judged: dict[str, Repair], name: str
) -> None:
    if name not in judged:
        return
    repair = judged[name]
    assert heals([repair]) == ()
    assert repair.effect is not None
    told = repair.effect.changed + repair.effect.broken > 0
    assert told or repair.kind in (RepairKind.VALUES, RepairKind.POLICY)


def test_what_makes_rows_invalid_is_dropped_and_not_even_shown(judged: dict[str, Repair]) -> None:
    gone = {"e-mail fed by another column", "sign dropped", "pence dropped",
            "month and day turned round", "another name for a column that stands there", "decimal point read as thousands"}  # fmt: skip
    assert gone & set(judged) == set()


def test_the_folder_of_a_trial_may_be_used_again(tmp_path: Path) -> None:
    table = staged(tmp_path, [column["from"] for column in COLUMNS], ROWS)
    first = look(plan(), [table], tmp_path)
    assert look(plan(), [table], tmp_path).repairs == first.repairs
