"""PostgreSQL reads a vendor's page in the order of an index: no sort, no scan of everybody's orders."""

from __future__ import annotations

import pytest

from forecourt.kernel.principal import Door, Principal
from forecourt.security.gate import Gate, Prepared, _Window
from forecourt.store.statements import ReadStatement
from support import contoso as sample
from support.postgres import explain
from support.server import Installation, Person

SIZE = 50


async def plan_of(site: Installation, gate: Gate, person: Person, principal: Principal, door: Door) -> str:
    """How the statement that was compiled last runs for this person's page."""
    prepared = list(gate._plans.values())[-1]
    assert isinstance(prepared, Prepared)
    statement: ReadStatement = prepared.statement
    scope = await gate.scope(principal, door)
    values = _Window(scope.values, SIZE + 1, 0)
    return await explain(site.url, statement, (), values, "force_custom_plan")


@pytest.mark.parametrize("descending", ["", " desc"])
@pytest.mark.parametrize("user", ["v-us-101", "v-de-101", "v-fr-101", "v-us-105", "v-common-1-demf"])
@pytest.mark.parametrize("door", ["data", "web", "api"])
async def test_a_vendors_page_in_order_of_the_number_needs_no_sort(
    contoso: Installation, door: str, user: str, descending: str
) -> None:
    """One of the first vendors has a twentieth of all orders, another 75: the index serves both."""
    surface = sample.case(contoso).surface(door)
    person = await contoso.contact_of(user)
    gate = contoso.forecourt.operations_gate if door == "data" else contoso.forecourt.dataverse_gate
    number = surface.column("PurchaseOrderNumber")
    # A column more or less makes another shape, so that the statement is compiled by this very request.
    gate._plans.clear()
    target = surface.orders(_orderby=number + descending, _select=number)
    answer = await person.get(target, {"prefer": f"odata.maxpagesize={SIZE}"})
    assert len(answer.rows) >= 1
    if door == "data":
        principal = await person.principal(Door.OPERATIONS)
    else:
        principal = await person.principal(Door.PORTAL)
    kind = {"data": Door.OPERATIONS, "web": Door.DATAVERSE, "api": Door.PORTAL_API}[door]
    plan = await plan_of(contoso, gate, person, principal, kind)
    # The tie-breaker of a virtual table is its row id: rows that are equal so far, one each, are sorted as they come.
    allowed = "Incremental Sort" if door != "data" else "no sort"
    assert "Sort  (" not in plan.replace(allowed + "  (", ""), plan
    assert "Seq Scan on purchtable" not in plan, plan
    assert "purchtable_dataareaid_orderaccount_purchid_idx" in plan, plan


@pytest.mark.parametrize("door", ["data", "web"])
async def test_a_row_by_its_key_is_found_by_an_index(contoso: Installation, door: str) -> None:
    case = sample.case(contoso)
    surface, person = case.surface(door), case.person(0)
    gate = contoso.forecourt.operations_gate if door == "data" else contoso.forecourt.dataverse_gate
    gate._plans.clear()
    order = (await case.own(person))[0]
    assert (await person.get(surface.row(order))).status == 200
    prepared = list(gate._plans.values())[-1]
    kind = Door.OPERATIONS if door == "data" else Door.DATAVERSE
    principal = await person.principal(Door.OPERATIONS)
    scope = await gate.scope(principal, kind)
    slots = order.key if door == "data" else (order.recid,)
    plan = await explain(contoso.url, prepared.statement, slots, _Window(scope.values, None, 0), "auto")
    assert "Index Scan" in plan, plan
    assert "Seq Scan on purchtable" not in plan, plan
