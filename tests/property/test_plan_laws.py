"""Laws of plan documents that hold for any text a person or a file brings."""

from hypothesis import given
from hypothesis import strategies as st

from plans.changes import AddAlias, MapValues, apply
from plans.document import dump, load
from plans.plan import Column, Mapping, Plan, SheetPlan
from plans.transforms import Constant, Replace, Trim, ValueMap
from plans.versions import canonical, diff, digest

texts = st.text(max_size=30)
words = st.dictionaries(texts, texts, min_size=1, max_size=5)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    transforms = draw(
        st.lists(
            st.one_of(
                st.just(Trim()),
                st.builds(ValueMap, values=words),
                st.builds(Constant, value=texts),
                st.builds(Replace, find=texts.filter(bool), by=texts),
            ),
            max_size=3,
        )
    )
    column = Column(header=draw(texts), aliases=tuple(draw(st.lists(texts, max_size=3))))
    mapping = Mapping(field="a", columns=(column,), transforms=tuple(transforms))
    return Plan(plan="p", title=draw(texts), sheets=(SheetPlan(template="t", mappings=(mapping,)),))


@given(plans())
def test_yaml_gives_back_what_was_dumped(plan):
    assert load(Plan, dump(plan), name="again") == plan


@given(plans())
def test_canonical_json_is_a_document_of_its_own(plan):
    assert load(Plan, canonical(plan), name="again") == plan


@given(plans(), texts, words)
def test_a_change_gives_the_same_digest_every_time(plan, alias, values):
    header = plan.sheets[0].mappings[0].columns[0].header
    changes = (
        AddAlias(sheet="t", field="a", header=header, alias=alias),
        MapValues(sheet="t", field="a", values=values),
    )

    assert digest(apply(plan, *changes), ()) == digest(apply(plan, *changes), ())


@given(plans(), plans())
def test_a_diff_is_empty_only_between_equals(left, right):
    assert (diff(left, right) == ()) == (left == right)
