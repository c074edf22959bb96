"""Every page of the console with the values of console_samples: no browser, no database."""

from dataclasses import replace
from datetime import timedelta

from console_mapping import MAPPING
from console_samples import (
    CELLS,
    COMPANY,
    DIFFS,
    DRIFTS,
    EXCHANGE,
    FILES,
    GROUPS,
    HEAL,
    MOMENTS,
    NOW,
    PLAN,
    QUESTIONS,
    REPAIR,
    RUNS,
    SHEETS,
    SHELL,
    VERSIONS,
    WAITING,
    run_row,
)

from api.console.account_views import (
    AuditPage,
    AuditRow,
    DeliveryRow,
    EndpointRow,
    KeyRow,
    KeysPage,
    PlanPage,
    PublicationRow,
    ReplayRow,
    VersionPage,
    WebhooksPage,
)
from api.console.look import render
from api.console.views import (
    CellsPage,
    CompaniesPage,
    CompanyPage,
    ContextPage,
    FileRow,
    ReviewPage,
    RowsDeliveryRow,
    RunPage,
    RunsPage,
    SheetRow,
    Shell,
)
from engine.model import RunStatus, Scope


def shell(section: str) -> Shell:
    return replace(SHELL, section=section)


def pages() -> dict[str, str]:
    """Name → HTML of every page."""
    run_page = RunPage(
        run=WAITING,
        sheets=SHEETS,
        drifts=DRIFTS,
        heals=(HEAL,),
        groups=GROUPS,
        moments=MOMENTS,
        downloads=FILES,
        questions=2,
        summary="1,104 of 48,211 rows need a decision",
        error=None,
        sequence=9,
        can_cancel=True,
        exchanges=(EXCHANGE,),
    )
    completed = replace(
        run_page, run=run_row(RunStatus.COMPLETED, finished_at=NOW), questions=0, can_cancel=False
    )
    running = replace(
        run_page,
        run=RUNS[1],
        sheets=(),
        drifts=(),
        heals=(),
        groups=(),
        downloads=(),
        questions=0,
        summary="",
        moments=MOMENTS[2:],
    )
    failed = replace(
        run_page,
        run=RUNS[3],
        error="The file “export (3).csv” is encrypted. Save it without a password and send it again.",
        questions=0,
        can_cancel=False,
    )
    review = ReviewPage(
        run=WAITING,
        proposal="prop_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
        etag="e" * 64,
        summary="1,104 of 48,211 rows need a decision",
        repairs=(REPAIR,),
        questions=QUESTIONS,
        changes=DIFFS,
        valid_after=47_995,
        parts=3,
        source="HubSpot",
        can_decide=True,
        can_widen=True,
        exchanges=(EXCHANGE,),
    )
    return {
        "sign-in": render("sign_in.html", error="This key opens nothing.", csrf="c", next=""),
        "runs": render(
            "runs.html",
            shell=SHELL,
            page=RunsPage(runs=RUNS, status="", counts={"needs_attention": 2}, older="?before=x"),
        ),
        "runs-empty": render(
            "runs.html", shell=SHELL, page=RunsPage(runs=(), status="", counts={}, older=None)
        ),
        "run": render("run.html", shell=SHELL, page=run_page),
        "run-completed": render("run.html", shell=SHELL, page=completed),
        "run-running": render("run.html", shell=SHELL, page=running),
        "run-failed": render("run.html", shell=SHELL, page=failed),
        "review": render("review.html", shell=SHELL, page=review),
        "cells": render(
            "cells.html",
            shell=SHELL,
            page=CellsPage(
                run=WAITING,
                cells=CELLS,
                groups=GROUPS,
                chosen={"field": "status"},
                total=1_113,
                next="?place=0:99",
                back=None,
            ),
        ),
        "row": render(
            "context.html",
            shell=SHELL,
            page=ContextPage(
                run=WAITING,
                file="contacts-2026-11.csv",
                sheet="contacts",
                row=17,
                columns=(
                    "First Name",
                    "Last Name",
                    "E-Mail-Adresse",
                    "Lifecycle Stage",
                    "Created On",
                ),
                rows=tuple(
                    (
                        number,
                        (
                            "Jürgen",
                            "Groß",
                            "j.gross@moebel-schroeder.example",
                            "Klant" if number == 17 else "customer",
                            "2026-11-03",
                        ),
                    )
                    for number in range(14, 21)
                ),
                cells=CELLS[:1],
                bad=frozenset({3}),
            ),
        ),
        "mapping": render(
            "mapping.html",
            shell=SHELL,
            page=MAPPING,
        ),
        "companies": render(
            "companies.html",
            shell=shell("companies"),
            page=CompaniesPage(
                companies=(
                    COMPANY,
                    replace(COMPANY, name="Bakkerij de Vries", last=None, external_id=None),
                ),
                archived=False,
                older=None,
            ),
        ),
        "company": render(
            "company.html",
            shell=shell("companies"),
            page=CompanyPage(
                company=COMPANY,
                workbook="wb_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                sheets=(
                    SheetRow(
                        id="sh_1",
                        name="contacts",
                        template="contacts",
                        rows=46_902,
                        run="run_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                        changed_at=NOW,
                    ),
                    SheetRow(id="sh_2", name="companies", template="companies"),
                ),
                runs=RUNS[:1] + RUNS[2:3],
                uploads=(
                    FileRow(
                        id="up_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                        name="contacts-2026-11.csv",
                        size=5_211_008,
                        status="stored",
                        created_at=NOW,
                    ),
                ),
                link="https://import.example/m/ptn_01.co_01.0.1790000000.k1.AZ4kq0Xv1",
                link_until=NOW + timedelta(days=30),
                active=WAITING,
                deliveries=(
                    RowsDeliveryRow(
                        id="dlv_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                        destination="our-product",
                        status="completed",
                        done=46_902,
                        total=46_902,
                        refused=3,
                        error=None,
                        created_at=NOW,
                    ),
                ),
            ),
        ),
        "plans": render(
            "plans.html",
            shell=shell("plans"),
            plans=(PLAN, replace(PLAN, company="Bakkerij de Vries", published=None)),
        ),
        "plan": render(
            "plan.html",
            shell=shell("plans"),
            page=PlanPage(
                plan=PLAN,
                versions=VERSIONS,
                publications=(
                    PublicationRow(
                        number=4, actor="ana@partner.example", reason="Dutch stage names", at=NOW
                    ),
                    PublicationRow(
                        number=2, actor="ana@partner.example", reason="", at=NOW - timedelta(days=9)
                    ),
                ),
                can_publish=True,
            ),
        ),
        "version": render(
            "version.html",
            shell=shell("plans"),
            page=VersionPage(
                plan=PLAN,
                version=VERSIONS[1],
                against=2,
                changes=DIFFS,
                document="reknit: 1\nplan: hubspot\nsheets:\n  - template: contacts\n",
                replays=tuple(
                    ReplayRow(
                        run=WAITING.id,
                        company=name,
                        before=46_902,
                        after=after,
                        fixed=fixed,
                        broken=broken,
                        note=note,
                    )
                    for name, after, fixed, broken, note in (
                        ("Möbelhaus Schröder GmbH", 47_703, 801, 0, ""),
                        ("Ateliers Lefèvre", 46_902, 0, 0, ""),
                        ("Bakkerij de Vries", 46_900, 1, 3, ""),
                        ("Northwind Traders", 0, 0, 0, "too large"),
                    )
                ),
                replayed=True,
                can_publish=True,
                can_replay=True,
            ),
        ),
        "webhooks": render(
            "webhooks.html",
            shell=shell("webhooks"),
            page=WebhooksPage(
                endpoints=(
                    EndpointRow(
                        id="whe_1",
                        url="https://hooks.acme.example/reknit",
                        types=(),
                        disabled="",
                        created_at=NOW,
                    ),
                ),
                chosen=EndpointRow(
                    id="whe_1",
                    url="https://hooks.acme.example/reknit",
                    types=(),
                    disabled="",
                    created_at=NOW,
                ),
                deliveries=tuple(
                    DeliveryRow(
                        id=f"whd_{state}",
                        event="evt_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                        type="run.needs_attention",
                        state=state,
                        attempts=((NOW.isoformat(), "HTTP 503"), (NOW.isoformat(), "HTTP 200")),
                        due_at=NOW,
                        created_at=NOW,
                    )
                    for state in ("delivered", "waiting", "given up")
                ),
                older=None,
                can_write=True,
            ),
        ),
        "keys": render(
            "keys.html",
            shell=shell("keys"),
            page=KeysPage(
                keys=(
                    KeyRow(
                        id="key_1",
                        name="Ana",
                        prefix="rk_live_8fK2",
                        scopes=tuple(sorted(SHELL.scopes)),
                        live=True,
                        mine=True,
                        created_at=NOW,
                        expires_at=NOW + timedelta(days=300),
                        last_used_at=NOW,
                    ),
                    KeyRow(
                        id="key_2",
                        name="Provisioning",
                        prefix="rk_live_Qz71",
                        scopes=("companies:write", "imports:write"),
                        live=False,
                        mine=False,
                        created_at=NOW,
                        expires_at=None,
                        last_used_at=None,
                    ),
                ),
                scopes=tuple(str(scope) for scope in Scope),
                fresh="rk_live_" + "0" * 39,
                sign_in=None,
                can_write=True,
            ),
        ),
        "audit": render(
            "audit.html",
            shell=shell("audit"),
            page=AuditPage(
                entries=(
                    AuditRow(
                        sequence=41,
                        actor="key Ana",
                        action="proposal.accept",
                        target="prop_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                        request="req_1",
                        data='{"etag": "9b1f04c3"}',
                        at=NOW,
                    ),
                    AuditRow(
                        sequence=40,
                        actor="key Provisioning",
                        action="company.create",
                        target="co_01JD4F8QZ7V0R8N5Y2M3K4P6W9",
                        request="req_2",
                        data="",
                        at=NOW,
                    ),
                ),
                broken_at=None,
                older=None,
            ),
        ),
        "problem": render(
            "problem.html",
            heading="Not found",
            detail="There is no run run_123.",
            ways=(("Runs", "/console/runs"),),
            request_id="req_7b1e9f0c2a",
        ),
    }
