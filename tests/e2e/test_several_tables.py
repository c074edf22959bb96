"""Tables below each other in one file each feed the sheet that wants them; nothing is uncounted."""

from pathlib import Path

from engine.pipeline import Attempt, Status, attempt
from engine.tables import Box, InputFile, Tables, read
from plans.plan import Plan, Read
from plans.template import Template
from plans.versions import PlanVersion, first_version

FILE = (
    "name,age,mail\nAnn,31,a@x.example\nBob,42,b@x.example\n\n"
    "Towns\n\ntown,zip,km\nBonn,53111,3\nKiel,24103,4\nUlm,89073,5\n\n"
    "rate,from,to,note\n0.19,1,5,x\n0.07,6,9,y\n"
)


def template(name: str, *fields: str) -> Template:
    return Template.model_validate({"template": name, "fields": [{"name": f} for f in fields]})


def test_a_files_name_does_not_make_every_table_in_it_wanted(tmp_path: Path) -> None:
    columns = [{"field": f, "from": f} for f in ("name", "age", "mail")]
    sheet = {"template": "people", "files": ["all*.csv"], "columns": columns}
    plan = Plan.model_validate({"plan": "p", "sheets": [sheet]})
    version = first_version(plan, (template("people", "name", "age", "mail"),))
    made, tables = tried(tmp_path, version)
    assert made.outcome.accounting.read == 3
    assert [tables.staged[n].source.columns[0] for n in made.unused] == ["town", "rate"]


def tried(folder: Path, version: PlanVersion) -> tuple[Attempt, Tables]:
    path = folder / "all.csv"
    path.write_text(FILE)
    box = Box(folder=folder / "run", readable=(path,))
    tables = read([InputFile(name="all.csv", path=path)], plan=version.plan, given=Read(), box=box)
    return attempt(version, tables, box=box), tables


def test_each_table_of_a_file_feeds_its_sheet_and_the_rest_is_listed(tmp_path: Path) -> None:
    sheets = {"people": ("name", "age", "mail"), "towns": ("town", "zip")}
    plan = Plan.model_validate(
        {
            "plan": "p",
            "sheets": [
                {"template": name, "columns": [{"field": f, "from": f} for f in fields]}
                for name, fields in sheets.items()
            ],
        }
    )
    templates = tuple(template(name, *fields) for name, fields in sheets.items())
    made, tables = tried(tmp_path, first_version(plan, templates))
    assert made.status is Status.COMPLETED
    assert {each.sheet: each.accounting.valid for each in made.outcome.sheets} == {
        "people": 2,
        "towns": 3,
    }
    assert [tables.staged[n].source.columns[0] for n in made.unused] == ["rate"]
    last = tables.staged[-1].source
    assert last.header_rows[-1] + last.read == FILE.count("\n")
