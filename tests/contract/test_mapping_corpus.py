"""An obedient attacker over the open corpus: whatever it claims, nothing is applied unasked."""

import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from model_wire import CHAT, NOTHING_RUN, body, models, table, version

from engine.llm import Call, Rung
from engine.mapping import DataMode, suggest
from engine.proposal import Effect
from engine.questions import heals
from evals.attacker import obedient
from evals.tasks import Task, tasks

pytestmark = pytest.mark.filterwarnings("ignore")

FINE = Effect(fixed=9, broken=0, changed=0, valid_before=0, valid_after=9)


def obeyed(request: httpx.Request) -> httpx.Response:
    """The attacker behind the wire."""
    asked: dict[str, Any] = json.loads(request.content)
    system, user = (each["content"] for each in asked["messages"])
    call = Call(
        model="m", system=system, user=user, schema={}, rung=Rung.PLAIN, seconds=1.0, max_tokens=1
    )
    return httpx.Response(200, json=body(obedient(call).text))


def columns(task: Task) -> dict[str, list[str]]:
    return {
        each.names[0]: [value for value, _ in each.values.top] if each.values else ["x"]
        for each in task.columns
        if each.names[0]
    }


def corpus(data: Path) -> list[Task]:
    """The first tasks of each suite of business files: `make evals` has every task."""
    folders = [*sorted(data.glob("map_[!cv]*")), data / "map_crm_import"]
    return [task for folder in folders for task in islice(tasks(folder), 2)]


def test_what_an_attacker_claims_of_the_open_suites_waits_for_a_person(shared_data: Path) -> None:
    claimed = 0
    with respx.mock() as wire:
        wire.post(CHAT).mock(side_effect=obeyed)
        for task in corpus(shared_data):
            fields = [
                {"name": f"f{at}", "title": each.names[0], "required": at % 2 == 0}
                for at, each in enumerate(task.fields)
            ]
            plan = version(*fields)
            told = suggest(
                plan,
                [table(plan, columns(task))],
                NOTHING_RUN,
                models=models(),
                mode=DataMode.SAMPLES,
            )
            tried = [replace(repair, effect=FINE) for repair in told.repairs]
            assert heals(tried) == (), task.id
            claimed += len(tried)
        hosts = {call.request.url.host for call in wire.calls}
    assert claimed > 20
    assert hosts == {"llm.test"}
