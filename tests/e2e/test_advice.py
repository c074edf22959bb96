"""A run with a model: what it chose is tried and asked about, and the report says what it saw."""

from pathlib import Path

import pytest
import respx
from model_wire import CHAT, body, models

from engine.mapping import Adviser, Budget, DataMode
from engine.pipeline import Status, attempt
from engine.results import summary
from engine.tables import Box, InputFile, read
from plans.plan import Plan, Read
from plans.template import Template
from plans.versions import first_version

pytestmark = pytest.mark.filterwarnings("ignore")

CONTACTS = Template.model_validate(
    {"template": "contacts", "fields": [{"name": "name"}, {"name": "code", "required": True}]}
)
PLAN = Plan.model_validate(
    {
        "plan": "p",
        "sheets": [
            {
                "template": "contacts",
                "columns": [{"field": "name", "from": "Name"}, {"field": "code", "from": "Code"}],
            }
        ],
    }
)


def test_what_a_model_chose_waits_for_a_person_and_the_report_tells_what_it_saw(
    tmp_path: Path,
) -> None:
    file = tmp_path / "people.csv"
    file.write_text("Name,Zzz\nAnn,secret-1\nBob,secret-2\n")
    box = Box(folder=tmp_path / "run", readable=(file,))
    box.folder.mkdir()
    tables = read([InputFile(name=file.name, path=file)], plan=PLAN, given=Read(), box=box)
    with respx.mock() as wire:
        answer = body({"matches": [{"field": "code", "column": 1}], "meanings": []})
        wire.post(CHAT).respond(json=answer)
        helper = Adviser(models=models(), mode=DataMode.SHAPES, budget=Budget(seconds=60))
        made = attempt(first_version(PLAN, (CONTACTS,)), tables, box=box, adviser=helper)
    assert made.status is Status.NEEDS_ATTENTION
    assert made.proposal is not None
    chosen = [*made.proposal.repairs, *(o for q in made.proposal.questions for o in q.options)]
    (fed,) = (each for each in chosen if each.id == "contacts.code.column-1")
    assert fed.effect is not None
    assert fed.effect.valid_after == 2
    told = summary(made, tables)["model"]
    assert isinstance(told, dict)
    assert told["status"] == "answered"
    assert "Zzz" in str(told["exchanges"])
    assert "secret" not in str(told["exchanges"])
