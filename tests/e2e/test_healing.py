"""Drift → change, on real rows: what is healed, what is asked, what is blocked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from healing import Healed, look, version_of, with_repairs
from tables import staged

from engine.proposal import Repair, RepairKind
from plans.changes import AddFormats, MapValues, SetFormats, SetNumber

DAY_FIRST = {"transforms": [{"op": "date", "formats": ["%d/%m/%Y"]}]}
STAGE = {"type": "enum", "values": ["New Lead", "Won", "Lost"]}


def healed(
    folder: Path, field: dict[str, Any], cells: Sequence[str], mapping: dict[str, Any] | None = None
) -> Healed:
    rows = [[str(at), cell] for at, cell in enumerate(cells)]
    return look(version_of(field, mapping or {}), [staged(folder, ["N", "X"], rows)], folder)


def kinds(repairs: Sequence[Repair]) -> list[str]:
    return [each.kind.value for each in repairs if each.kind is not RepairKind.POLICY]


@pytest.mark.parametrize(
    ("type_", "cells"),
    [
        ("date", ["31.12.2024", "01.02.2024", ""]),
        ("date", ["Dec 31, 2024", "Feb 1, 2024"]),
        ("date", ["31/12/2024", "1.2.2024", "31.1.2024", "25/1/2024"]),
        ("datetime", ["12/31/2024 5:30 PM", "1/2/2024 11:00 AM"]),
        ("decimal", ["1.234,50", "12,75", "7"]),
        ("decimal", ["$1,234.50", "($12.00)", "7"]),
        ("decimal", ["1 234,50 €", "12,75 €"]),
        ("integer", ["n/a", "-", "5"]),
        ("boolean", ["Ja", "Nein", "yes"]),
        ("email", ["Ann <ann@example.org>", "mailto:x@example.de", "a@b.co"]),
        ("country", ["Germany", "FR", "Frankreich"]),
        ("phone", ["+1 (212) 736-5000", "0049 30 1234567"]),
    ],
)
def test_what_the_whole_column_proves_is_healed(
    tmp_path: Path, type_: str, cells: list[str]
) -> None:
    first = healed(tmp_path, {"type": type_}, cells)
    assert len(first.safe) == 1
    assert first.safe[0].effect is not None
    again = look(
        with_repairs(first.version, first.safe),
        [each.staged for each in first.tables],
        tmp_path,
    )
    assert again.outcome.accounting.invalid == 0


@pytest.mark.parametrize(
    ("type_", "cells"),
    [
        ("date", ["01/02/2024", "03/04/2024"]),
        ("date", ["24-12-31", "23-01-15"]),
        ("decimal", ["1,234", "2,345"]),
        ("decimal", ["12 %", "7 %"]),
        ("boolean", ["aktiv", "passiv"] * 2),
    ],
)
def test_what_can_be_read_in_two_ways_is_asked(
    tmp_path: Path, type_: str, cells: list[str]
) -> None:
    found = healed(tmp_path, {"type": type_}, cells)
    assert found.safe == ()
    assert kinds(found.repairs) == ["ambiguous_format", "ambiguous_format"]


def test_a_turned_date_order_is_proposed_and_never_healed(tmp_path: Path) -> None:
    found = healed(tmp_path, {"type": "date"}, ["01/02/2024", "03/14/2024"], DAY_FIRST)
    assert found.safe == ()
    (turned,) = (each for each in found.repairs if each.kind is RepairKind.FORMAT)
    assert isinstance(turned.changes[0], SetFormats)
    assert turned.changes[0].formats == ("%m/%d/%Y",)
    assert turned.effect is not None
    assert (turned.effect.fixed, turned.effect.changed) == (1, 1)


def test_two_date_orders_in_one_column_are_never_settled_by_the_engine(tmp_path: Path) -> None:
    cells = ["01/02/2024", "03/14/2024", "31/12/2024"]
    found = healed(tmp_path, {"type": "date"}, cells, DAY_FIRST)
    assert found.safe == ()
    assert kinds(found.repairs) == ["ambiguous_format"]


def test_cells_read_today_say_which_order_is_meant(tmp_path: Path) -> None:
    """A dotted format comes in beside slashes; nothing read today changes."""
    found = healed(tmp_path, {"type": "date"}, ["31/12/2024", "24.12.2024"], DAY_FIRST)
    (heal,) = found.safe
    assert isinstance(heal.changes[0], AddFormats)
    assert heal.changes[0].formats == ("%d.%m.%Y",)


def test_a_decimal_mark_that_would_change_read_values_is_not_healed(tmp_path: Path) -> None:
    found = healed(tmp_path, {"type": "decimal"}, ["1.000", "1.234,50"])
    assert found.safe == ()
    (number,) = (each for each in found.repairs if each.kind is RepairKind.FORMAT)
    assert isinstance(number.changes[0], SetNumber)
    assert number.effect is not None
    assert number.effect.changed == 1


def test_spellings_are_healed_and_near_misses_asked(tmp_path: Path) -> None:
    found = healed(tmp_path, STAGE, ["new lead", "WON ", "New Leed", "Closed"])
    (heal,) = found.safe
    assert isinstance(heal.changes[0], MapValues)
    assert heal.changes[0].values == {"new lead": "New Lead", "WON ": "Won"}
    (near,) = (each for each in found.repairs if each.kind is RepairKind.VALUES)
    assert isinstance(near.changes[0], MapValues)
    assert near.changes[0].values == {"New Leed": "New Lead"}


def test_a_national_phone_number_needs_a_person_to_name_the_country(tmp_path: Path) -> None:
    found = healed(tmp_path, {"type": "phone"}, ["(212) 736-5000", "212-736-5001"])
    assert found.safe == ()
    assert set(kinds(found.repairs)) == {"ambiguous_format"}


def test_a_placeholder_in_a_required_field_stays_invalid(tmp_path: Path) -> None:
    found = healed(tmp_path, {"type": "integer", "required": True}, ["n/a", "5"])
    assert found.repairs == ()


def test_a_renamed_column_is_remembered_by_an_alias(tmp_path: Path) -> None:
    version = version_of({}, {"from": "E-mail"})
    first = look(version, [staged(tmp_path, ["N", "Email"], [["1", "a"]])], tmp_path)
    (heal,) = first.safe
    assert heal.kind is RepairKind.REBIND
    revised = with_repairs(version, first.safe)
    again = look(revised, [staged(tmp_path, ["N", "Email"], [["1", "a"]])], tmp_path)
    assert again.repairs == ()
    day_1 = look(revised, [staged(tmp_path, ["N", "E-mail"], [["1", "a"]])], tmp_path)
    assert day_1.outcome.accounting.valid == 1
