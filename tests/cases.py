"""The folders of fixtures/: what a case holds and what is expected of it. No engine in here."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from plans import library
from plans.document import Document, load
from plans.plan import Plan
from plans.template import Template
from plans.versions import PlanVersion, first_version

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASES = tuple(sorted(each.parent.name for each in FIXTURES.glob("*/expected.yaml")))

#: read, valid, invalid, duplicate, skipped
Rows = tuple[int, int, int, int, int]
#: file (where a step has several), source row, field ("" for the whole row), code
Cell = tuple[str, int, str, str]


def _spread(cells: Any) -> Any:
    """`[5, email, invalid_type]` has no file; `[2-43, …]` stands for each of these rows."""
    if not isinstance(cells, list):
        return cells
    whole = [cell if len(cell) == 4 else ["", *cell] for cell in cells]
    return [(file, row, *rest) for file, rows, *rest in whole for row in _rows(rows)]


def _rows(rows: int | str) -> range:
    first, _, last = str(rows).partition("-")
    return range(int(first), int(last or first) + 1)


Cells = Annotated[tuple[Cell, ...], BeforeValidator(_spread)]


class Ask(Document):
    """A question: about which field (and value), how many cells, and the answer to give.

    The answer is an option's id, words of its label, or free text where the question allows it.
    """

    field: str
    value: str | None = None
    affected: int
    answer: str


class End(Document):
    """How an attempt ended."""

    status: str
    sheets: dict[str, Rows]
    cells: Cells = ()
    warnings: Cells = ()


class Step(End):
    """One file (or folder of files) in the order they come; `then` after the questions' answers."""

    rebound: dict[str, str] = Field(default_factory=dict)
    healed: tuple[str, ...] = ()
    proposed: tuple[str, ...] = ()
    asked: tuple[Ask, ...] = ()
    unused: int = 0
    then: End | None = None


class Expected(Document):
    """Every step of a case by the stem of its files: day1 first."""

    plan: str = "plan.yaml"
    steps: dict[str, Step]


def expected(case: str) -> Expected:
    """What a case expects."""
    text = (FIXTURES / case / "expected.yaml").read_text(encoding="utf-8")
    return load(Expected, text, name=f"{case}/expected.yaml")


def version(case: str) -> PlanVersion:
    """The case's plan, with its own templates before the library's."""
    folder, name = FIXTURES / case, expected(case).plan
    if name in library.plans():
        return library.version(name)
    shipped = map(library.template, library.templates())
    own = [
        load(Template, path.read_text(encoding="utf-8"), name=path.name)
        for path in sorted(folder.glob("*.yaml"))
        if path.name not in (name, "expected.yaml")
    ]
    plan = load(Plan, (folder / name).read_text(encoding="utf-8"), name=name)
    return first_version(plan, (*shipped, *own))


def files(case: str, step: str) -> tuple[Path, ...]:
    """The files of a step, in the order a person would drop them."""
    folder = FIXTURES / case / step
    if folder.is_dir():
        return tuple(sorted(folder.iterdir()))
    return tuple(sorted((FIXTURES / case).glob(f"{step}.*")))
