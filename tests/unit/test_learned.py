"""Memory: what other files' confirmed mappings say about a header."""

from dataclasses import replace
from pathlib import Path

from tables import staged

from engine.binding import Memory, Pass, Remembered, Scope, Trust, bind, shape
from engine.binding.learned import learn, support
from engine.profile import profile
from plans.plan import SheetPlan
from plans.template import Template

PEOPLE = Template.model_validate(
    {"template": "people", "fields": [{"name": "name"}, {"name": "area"}, {"name": "grade"}]}
)
PLAN = SheetPlan.model_validate(
    {
        "template": "people",
        "columns": [
            {"field": "name", "from": "Name"},
            {"field": "area", "from": "Area"},
            {"field": "grade", "from": "Grade"},
        ],
    }
)


def said(field: str, header: str, *, trust: Trust = Trust.HUMAN, count: int = 3) -> Remembered:
    return Remembered(
        template="people",
        field=field,
        headers=(header,),
        shape="other",
        scope=Scope.SOURCE,
        trust=trust,
        count=count,
    )


MEMORY: Memory = (
    said("area", "ZONE_CD"),
    said("area", "ZONE_NM"),
    said("grade", "LVL_CD"),
    said("name", "Full name"),
)


def test_a_header_confirmed_elsewhere_binds_where_no_name_is_alike(tmp_path: Path) -> None:
    table = staged(tmp_path, ["Name", "ZONE_CD", "LVL_CD"], [["a", "b", "c"]])
    binding = bind(PLAN, PEOPLE, table.source, profile(table), memory=MEMORY)
    assert binding.columns("area") == (1,)
    assert binding.columns("grade") == (2,)
    assert {each.by for each in binding.bounds} == {Pass.EXACT, Pass.REMEMBERED}
    without = bind(PLAN, PEOPLE, table.source, profile(table))
    assert without.missing == ("area", "grade")


def test_the_words_of_confirmed_headers_speak_for_new_ones() -> None:
    told = support(learn(MEMORY, template="people"), "zone id")
    assert told["area"].words > 0.4 > told["grade"].words
    assert told["area"].header == 0


def test_a_header_confirmed_for_another_field_speaks_against() -> None:
    told = support(learn(MEMORY, template="people"), "zone_cd")
    assert told["area"].header > 0.8
    assert told["name"].against > 0.8


def test_a_persons_word_weighs_more_than_a_heal() -> None:
    memory = (said("area", "X", trust=Trust.HUMAN), said("grade", "X", trust=Trust.HEALED))
    told = support(learn(memory, template="people"), "X")
    assert told["area"].header > told["grade"].header


def test_another_templates_memory_says_nothing() -> None:
    assert support(learn(MEMORY, template="cars"), "ZONE_CD") == {}


def test_memory_says_nothing_of_a_column_without_a_header(tmp_path: Path) -> None:
    table = staged(tmp_path, ["", "", ""], [["a", "b", "c"]])
    seen = [replace(said(f, ""), shape=shape(table.source)) for f in ("grade", "name", "area")]
    plan = SheetPlan.model_validate(
        {
            "template": "people",
            "columns": [{"field": "name", "from": 1}, {"field": "area", "from": 2}],
        }
    )
    binding = bind(plan, PEOPLE, table.source, profile(table), memory=tuple(seen))
    assert (binding.columns("name"), binding.columns("area")) == ((1,), (2,))
    assert support(learn(seen, template="people"), "") == {}
