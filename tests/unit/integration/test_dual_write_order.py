"""Maps are filled parents first; what leads round in a circle is filled in two passes."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from forecourt.app import load_definitions
from forecourt.integration.dual_write.order import Step, first_pass, order, second_pass
from forecourt.kernel.sync import Side
from support.small_maps import CUSTOMERS, LINES, ORDERS, PERSONS, WORKERS, loaded

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def names(steps: tuple[Step, ...]) -> list[list[str]]:
    return [[item.name for item in step.maps] for step in steps]


def test_parents_come_first_in_whatever_order_the_maps_are_given() -> None:
    for files in permutations((CUSTOMERS, PERSONS, ORDERS, LINES)):
        assert names(order(loaded(*files).by_name.values())) == [["customers", "persons"], ["orders"], ["lines"]]


def test_a_circle_is_one_step_of_two_passes() -> None:
    step, *rest = loaded(CUSTOMERS, PERSONS, ORDERS, LINES, WORKERS).steps
    assert step.passes == 2 and [other.passes for other in rest] == [1, 1, 1]
    assert step.late == {"customers": ("_cts_invoice_value", "_cts_contact_value")}


def test_a_table_that_looks_up_itself_needs_two_passes() -> None:
    alone = CUSTOMERS.replace("  Contact: cts_contact.cts_number\n", "")
    (step,) = loaded(alone).steps
    assert step.passes == 2 and step.late == {"customers": ("_cts_invoice_value",)}


def test_the_passes_of_a_leg_hold_every_column_between_them() -> None:
    (step,) = loaded(CUSTOMERS, PERSONS).steps
    for leg in step.maps[0].legs.values():
        late = step.late["customers"]
        first, second = first_pass(leg, late), second_pass(leg, late)
        assert first.key == second.key == leg.key
        assert all(column in first.columns or column in second.columns for column in leg.columns)
        assert [column for column in first.columns if column in second.columns] == list(leg.key)
        assert len(second.columns) == len(leg.key) + 2


def test_a_map_comes_after_those_that_it_names() -> None:
    assert names(loaded(WORKERS, ORDERS).steps) == [["orders"], ["workers"]]
    assert names(loaded(WORKERS, ORDERS + "depends_on: [workers]\n").steps) == [["workers"], ["orders"]]


def test_the_order_of_the_file_decides_among_strangers() -> None:
    assert names(loaded(WORKERS + "initial: {order: -1}\n", ORDERS).steps) == [["workers"], ["orders"]]


def test_a_key_waits_for_the_rows_that_it_names() -> None:
    maps = loaded(
        LINES.replace("name: lines", "name: a-lines"), ORDERS, "name: people" + PERSONS[len("\nname: persons") :]
    )
    assert names(maps.steps) == [["orders"], ["a-lines"], ["people"]]


@pytest.mark.parametrize("example", ["contoso", "adventureworks"])
def test_the_lookups_of_the_examples_lead_to_what_is_there(example: str) -> None:
    maps = load_definitions(EXAMPLES / example).maps
    copied = {item.table.name for item in maps.by_name.values()}
    filled: set[str] = set()
    for step in maps.steps:
        for place, item in enumerate(step.maps):
            leg = item.legs[Side.OPERATIONS]
            waiting = {other.table.name for other in step.maps[place:]}
            late = step.late.get(item.name, ())
            for column in first_pass(leg, late).columns:
                if column.target_reference is not None and column.target_reference.entity.name in copied:
                    led = column.target_reference.entity.name
                    assert led in filled and led not in waiting - filled, (item.name, column.target)
            filled.add(item.table.name)
