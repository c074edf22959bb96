"""What nobody can be sure of is asked with both readings, and the answer is how the file is read."""

from pathlib import Path

from engine.pipeline import Attempt, Status, attempt, revise
from engine.proposal import Decision, Verdict
from engine.readings import Earlier
from engine.tables import Box, InputFile, Tables, read
from plans.plan import Plan, Read
from plans.template import Template
from plans.versions import PlanVersion, first_version

TEMPLATE = Template.model_validate(
    {"template": "people", "fields": [{"name": "name"}, {"name": "city"}]}
)
#: A comma and a semicolon cut it equally well.
AMBIGUOUS = "col1,col2\n1;2;3,4;5;6\na;b;c,d;e;f\n"


def plan(first: str | int, second: str | int) -> PlanVersion:
    columns = [{"field": "name", "from": first}, {"field": "city", "from": second}]
    sheets = [{"template": "people", "columns": columns}]
    told = {"plan": "p", "sheets": sheets}
    return first_version(Plan.model_validate(told), (TEMPLATE,), author="test")


def tables(
    folder: Path, version: PlanVersion, data: bytes, earlier: tuple[Earlier, ...] = ()
) -> tuple[Tables, Box]:
    path = folder / "in.csv"
    path.write_bytes(data)
    box = Box(folder=folder, readable=(path,))
    files = [InputFile(name="in.csv", path=path)]
    return read(files, plan=version.plan, given=Read(), box=box, earlier=earlier), box


def answered(made: Attempt, answer: str) -> PlanVersion:
    assert made.proposal is not None
    (question,) = made.proposal.questions
    decision = Decision(
        etag=made.proposal.etag, verdict=Verdict.ANSWER, answers={question.id: answer}
    )
    return revise(made.version, made.proposal, decision)


def test_an_ambiguous_delimiter_is_a_question_with_both_readings(tmp_path: Path) -> None:
    version = plan(0, 1)
    found, box = tables(tmp_path, version, AMBIGUOUS.encode())
    made = attempt(version, found, box=box)
    assert made.status is Status.NEEDS_ATTENTION
    assert made.proposal is not None
    (question,) = made.proposal.questions
    assert question.prompt == "How should in.csv be read?"
    previews = [option.preview for option in question.options]
    assert [each and each.rows[0] for each in previews] == [
        ("1;2;3", "4;5;6"),
        ("1", "2", "3,4", "5", "6"),
    ]
    revised = answered(made, "reading-2")
    assert revised.plan.sheets[0].read == Read(delimiter=";")
    again, box = tables(tmp_path, revised, AMBIGUOUS.encode())
    assert again.reads != found.reads
    assert again.staged[0].width == 5
    assert attempt(revised, again, box=box, seen=made.proposal).status is Status.COMPLETED


def test_names_the_plan_knows_leave_nothing_to_ask(tmp_path: Path) -> None:
    version = plan("col1", "col2")
    found, box = tables(tmp_path, version, AMBIGUOUS.encode())
    assert found.staged[0].source.views == ()
    assert attempt(version, found, box=box).status is Status.COMPLETED


def test_how_the_last_file_was_read_settles_it(tmp_path: Path) -> None:
    last = Earlier(columns=("", "", "", "", ""), encoding="utf-8", delimiter=";", header_rows=())
    found, _ = tables(tmp_path, plan(0, 1), AMBIGUOUS.encode(), (last,))
    assert (found.staged[0].source.delimiter, found.staged[0].source.views) == (";", ())


def test_a_sure_file_that_contradicts_the_last_one_is_a_drift(tmp_path: Path) -> None:
    version = plan("Name", "City")
    last = Earlier(columns=("Name", "City"), encoding="utf-8", delimiter=",", header_rows=(3,))
    found, box = tables(tmp_path, version, b"Name;City\nAnn;Rome\nBob;Oslo\n", (last,))
    made = attempt(version, found, box=box)
    assert made.status is Status.COMPLETED
    assert [(str(each.code), each.expected, each.found) for each in made.drifts] == [
        ("delimiter_changed", ",", ";"),
        ("header_moved", "3", "1"),
    ]


def test_what_the_plan_says_is_held_against_the_file(tmp_path: Path) -> None:
    version = plan("Name", "City")
    sheet = version.plan.sheets[0].model_copy(update={"read": Read(delimiter=";")})
    version = first_version(
        version.plan.model_copy(update={"sheets": (sheet,)}), (TEMPLATE,), author="test"
    )
    found, box = tables(tmp_path, version, b"Name,City\nAnn,Rome\nBob,Oslo\n")
    made = attempt(version, found, box=box)
    assert made.outcome.accounting.valid == 2
    assert [(str(each.code), each.found) for each in made.drifts] == [("delimiter_changed", ",")]


def test_words_that_differ_between_encodings_are_shown(tmp_path: Path) -> None:
    rows = "\n".join(f"{n},Rome" for n in range(50))
    data = f"name,city\n{rows}\nKošice,Tomáš\n".encode("iso8859-2")
    version = plan("name", "city")
    found, box = tables(tmp_path, version, data)
    made = attempt(version, found, box=box)
    assert made.status is Status.NEEDS_ATTENTION
    assert made.proposal is not None
    shown = [option.preview for option in made.proposal.questions[0].options]
    assert all(each and len(each.rows) == 1 for each in shown)
    assert shown[0] != shown[1]
