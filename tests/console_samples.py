"""Every page of the console with values that look like a real import, for tests and design work."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from api.console.account_views import (
    PlanRow,
    VersionRow,
)
from api.console.views import (
    CellRow,
    CompanyRow,
    DriftRow,
    ExchangeRow,
    FileCounts,
    GroupRow,
    Moment,
    OptionRow,
    QuestionRow,
    RepairRow,
    RunRow,
    SheetCounts,
    Shell,
)
from engine.accounting import Accounting
from engine.model import Artifact, Progress, RunStatus, Scope
from engine.proposal import Effect, Preview
from plans.versions import Difference

NOW = datetime(2026, 11, 22, 9, 41, 12, tzinfo=UTC)
COUNTS = Accounting(read=48_211, valid=46_902, invalid=1_104, duplicate=187, skipped=18)


def run_row(status: RunStatus, **changes: object) -> RunRow:
    row = RunRow(
        id="run_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
        company="co_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
        company_name="Möbelhaus Schröder GmbH",
        status=status,
        accounting=COUNTS,
        progress=Progress(phase="validate", done=31_000, total=48_211),
        plan="plan_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
        plan_name="hubspot",
        plan_version=4,
        files=("contacts-2026-11.csv", "companies.xlsx"),
        dry_run=False,
        waits=False,
        created_at=NOW - timedelta(minutes=7),
        finished_at=None,
    )
    return replace(row, **changes)


EFFECT = Effect(
    fixed=812,
    broken=0,
    changed=0,
    valid_before=46_902,
    valid_after=47_703,
    samples=(
        (17, "03/11/2026 ", None, "2026-11-03"),
        (284, "14/02/2026", None, "2026-02-14"),
        (1_920, "31/12/2025", None, "2025-12-31"),
    ),
)
DIFFS = (
    Difference(
        path="sheets.contacts.columns.created_on.transforms",
        before="[{op: date, formats: [%Y-%m-%d]}]",
        after="[{op: date, formats: [%Y-%m-%d, %d/%m/%Y]}]",
    ),
    Difference(
        path="sheets.contacts.columns.status.transforms.value_map.Klant",
        before=None,
        after="customer",
    ),
)
REPAIR = RepairRow(
    id="r1",
    kind="format",
    sheet="contacts",
    field="created_on",
    summary="Read Created On as day/month/year",
    evidence="Of 46,019 filled values 18,377 have a first part above 12; none has a second part above 12.",
    confidence=0.998,
    by="data",
    effect=EFFECT,
    changes=DIFFS[:1],
)
HEAL = replace(
    REPAIR,
    kind="rebind",
    field="email",
    by="model",
    confidence=0.99,
    summary="“E-Mail-Adresse” feeds email now",
    evidence="98.7 % of its values are e-mail addresses; no other column comes close (next: 0.4 %).",
)
GROUPS = (
    GroupRow(
        sheet="contacts",
        field="status",
        column="Lifecycle Stage",
        code="not_allowed",
        message="is not one of the allowed values",
        warning=False,
        cells=812,
        rows=812,
        values=(("Klant", 611), ("Interessent ", 150), ("prospect", 49), ("", 2)),
        distinct=9,
    ),
    GroupRow(
        sheet="contacts",
        field="created_on",
        column="Created On",
        code="not_a_date",
        message="is not a date in any of the plan's formats",
        warning=False,
        cells=301,
        rows=292,
        values=(("31.04.2026", 12), ("soon", 3)),
        distinct=41,
    ),
)
QUESTIONS = (
    QuestionRow(
        id="q1",
        prompt="What should “Klant” and 8 other values of Lifecycle Stage become?",
        context="The template allows: lead, customer, partner, former.",
        sheet="contacts",
        field="status",
        column="Lifecycle Stage",
        affected=812,
        samples=("Klant", "Interessent ", "prospect", "Kunde\u202e", "N/A", "=cmd()"),
        error="Not one of the allowed values",
        options=(
            OptionRow(
                id="map",
                label="Klant → customer, Interessent → lead, prospect → lead",
                effect=EFFECT,
                changes=DIFFS[1:],
                recommended=True,
            ),
            OptionRow(
                id="empty",
                label="Leave these cells empty",
                effect=replace(EFFECT, fixed=812, changed=812),
                changes=(),
                recommended=False,
            ),
            OptionRow(
                id="leave", label="Leave the rows out", effect=None, changes=(), recommended=False
            ),
        ),
        allow_custom=True,
        custom_hint="One value for all of them",
    ),
    QuestionRow(
        id="q2",
        prompt="Is 03/04/2026 in Created On the 3rd of April or the 4th of March?",
        context="No value in the column has a part above 12, so the data alone cannot tell.",
        sheet="contacts",
        field="created_on",
        column="Created On",
        affected=292,
        samples=("03/04/2026", "01/02/2026"),
        error="Two readings fit every value",
        options=(
            OptionRow(
                id="dmy",
                label="3rd of April: day first",
                effect=replace(EFFECT, valid_after=47_194, fixed=292),
                changes=DIFFS[:1],
                recommended=False,
            ),
            OptionRow(
                id="mdy",
                label="4th of March: month first",
                effect=replace(EFFECT, valid_after=47_194, fixed=292, broken=3),
                changes=DIFFS[:1],
                recommended=False,
            ),
        ),
        allow_custom=False,
        custom_hint="",
    ),
    QuestionRow(
        id="q3",
        prompt="How should contacts.csv be read?",
        context="These are its rows under either reading; nothing is checked before you say which.",
        sheet="contacts",
        field=None,
        column=None,
        affected=41,
        samples=(),
        error="only 51% sure how the file is meant",
        options=tuple(
            OptionRow(
                id=id,
                label=f"{mark!r} separates the columns",
                effect=None,
                changes=(),
                recommended=mark == ",",
                preview=Preview(columns=columns, rows=(row, row)),
            )
            for id, mark, columns, row in (
                ("reading-1", ",", ("name", "city"), ("Ann;3", "Rome;4")),
                ("reading-2", ";", ("name,city", ""), ("Ann", "3,Rome", "4")),
            )
        ),
        allow_custom=False,
        custom_hint="",
        headers=(),
    ),
)
EXCHANGE = ExchangeRow(
    model="a-provider/a-model",
    status="answered",
    prompt='{"columns": [{"index": 3, "header": "E-Mail-Adresse", "shape": "a@a.a"}]}',
    digest="9b1f04c3a7e2" * 5,
    prompt_tokens=412,
    output_tokens=38,
    cost=0.00021,
)
MOMENTS = (
    Moment(at=NOW, icon="hand", tone="warn", title="Waits for a decision", detail="2 questions", actor=""),
    Moment(at=NOW, icon="heal", tone="good", title="1 heal", detail="“E-Mail-Adresse” feeds email now", actor=""),
    Moment(at=NOW - timedelta(minutes=6), icon="loop", tone="busy", title="Running", detail="worker 1", actor=""),
    Moment(at=NOW - timedelta(minutes=7), icon="clock", tone="", title="Queued", detail="", actor="key Provisioning"),
)  # fmt: skip
DRIFTS = (
    DriftRow(
        code="column_renamed",
        sheet="contacts",
        message="The column of email was renamed",
        expected="Email",
        found="E-Mail-Adresse",
        count=1,
        used=True,
    ),
    DriftRow(
        code="column_extra",
        sheet="contacts",
        message="A column the plan does not know",
        expected=None,
        found="Newsletter (ja/nein)",
        count=1,
        used=False,
    ),
)
FILES = tuple(
    Artifact(name=name, key="", media_type="", size=size, digest="", records=records)
    for name, size, records in (
        ("contacts/rejected-rows.xlsx", 91_022, 1_104),
        ("contacts/rejected-rows.csv", 78_411, 1_104),
        ("contacts/invalid-cells.csv", 121_900, 1_113),
        ("report.json", 8_311, 0),
    )
)
SHEETS = (
    SheetCounts(
        sheet="contacts",
        accounting=replace(COUNTS, read=47_000, valid=45_691),
        files=(
            FileCounts(
                file="contacts-2026-11.csv", accounting=replace(COUNTS, read=47_000, valid=45_691)
            ),
        ),
    ),
    SheetCounts(
        sheet="companies",
        accounting=Accounting(read=1_211, valid=1_211),
        files=(FileCounts(file="companies.xlsx", accounting=Accounting(read=1_211, valid=1_211)),),
    ),
)
WAITING = run_row(RunStatus.NEEDS_ATTENTION)
RUNS = (
    WAITING,
    run_row(RunStatus.RUNNING, company_name="Bakkerij de Vries", accounting=Accounting()),
    run_row(
        RunStatus.COMPLETED,
        company_name="Ateliers Lefèvre",
        files=(),
        accounting=Accounting(read=930, valid=930),
    ),
    run_row(
        RunStatus.FAILED,
        company_name="Northwind Traders",
        accounting=Accounting(read=12_000, valid=2_000, invalid=10_000),
        files=("export (3).csv",),
    ),
    run_row(
        RunStatus.CANCELED,
        company_name="Ōsaka Precision Tools",
        accounting=Accounting(),
        dry_run=True,
    ),
)
COMPANY = CompanyRow(
    id=WAITING.company,
    name=WAITING.company_name,
    external_id="crm-20417",
    source="HubSpot",
    archived=False,
    created_at=NOW - timedelta(days=9),
    last=WAITING,
)
PLAN = PlanRow(
    id=WAITING.plan,
    name="hubspot",
    source="HubSpot",
    company=None,
    published=4,
    latest=4,
    created_at=NOW - timedelta(days=40),
)
VERSIONS = tuple(
    VersionRow(
        number=number,
        digest="9b1f04c3a7e2" * 5,
        author=author,
        reason=reason,
        run=WAITING.id if number == 3 else None,
        published=number == 4,
        created_at=NOW - timedelta(days=12 - number),
    )
    for number, author, reason in (
        (4, "ana@partner.example", "Dutch stage names"),
        (3, "reknit", "Healed: E-Mail-Adresse feeds email"),
        (2, "ana@partner.example", "Phones get +49"),
        (1, "ana@partner.example", "First draft from the sample export"),
    )
)
SHELL = Shell(
    partner="Acme CRM",
    section="runs",
    csrf="c" * 43,
    waiting=2,
    scopes=frozenset(str(scope) for scope in Scope),
)
CELLS = tuple(
    CellRow(
        file="contacts-2026-11.csv",
        sheet="contacts",
        row=number,
        column=column,
        field=field,
        code=code,
        message=message,
        value=raw,
    )
    for number, column, field, code, message, raw in (
        (17, "Lifecycle Stage", "status", "not_allowed", "is not one of: lead, customer", "Klant"),
        (44, "Lifecycle Stage", "status", "not_allowed", "is not one of: lead, customer", " Interessent\t"),
        (131, "Created On", "created_on", "not_a_date", "is not a date", "31.04.2026"),
        (209, None, None, "broken_row", "has 3 cells where 14 are expected", "Zürich;\"Meier;x"),
    )
)  # fmt: skip
