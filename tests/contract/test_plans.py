"""PostgreSQL reads a vendor's page in the order of an index: no sort, no scan of everybody's orders."""

from __future__ import annotations

import re

import asyncpg
import pytest

from forecourt.cli.benching.pgbench import Sent
from forecourt.cli.benching.subject import recorded
from forecourt.kernel.principal import Door, Principal
from forecourt.security.gate import Gate, Prepared, _Window
from forecourt.store.statements import ReadStatement
from support import contoso as sample
from support.postgres import explain
from support.server import Installation, Person, Surface, url

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


#: Tables that grow with the business; a page or a row of somebody's own must not read all of one.
GROWING = ("purchtable", "purchline", "salestable", "salesline")

#: Pages read by a plan that was made for any values, beyond those by a plan that was made for the very ones.
SLACK = 60


async def pages_read(url: str, statement: Sent, mode: str) -> tuple[int, str]:
    """How many pages of 8 KB a statement reads under a ``plan_cache_mode``, and the plan's text."""
    connection = await asyncpg.connect(url, server_settings={"plan_cache_mode": mode, "jit": "off"})
    try:
        text = f"explain (analyze, buffers, timing off, summary off) {statement.sql}"
        plan = "\n".join(row[0] for row in await connection.fetch(text, *statement.values))
    finally:
        await connection.close()
    found = re.search(r"Buffers: shared hit=(\d+)(?: read=(\d+))?", plan)
    assert found is not None, plan
    return int(found[1]) + int(found[2] or 0), plan


def shapes(surface: Surface, orders: str, lines: str, key: str, number: str) -> dict[str, str]:
    """Paths of one person's questions about orders and their lines, each another plan."""
    column, of_line = surface.column(number), surface.column("LineNumber")
    rows, below = surface.set(orders), surface.set(lines)
    options = surface.options
    return {
        "a page": url(rows, _top=20, **options),
        "a page in order": url(rows, _orderby=f"{column} desc", _top=20, **options),
        "a filtered page": url(rows, _filter=f"{column} gt '{key[:3]}'", _orderby=column, _top=20, **options),
        "a page of lines": url(below, _top=20, **options),
        "lines in order": url(below, _orderby=f"{column},{of_line}", _top=20, **options),
        "one order's lines": url(below, _filter=f"{column} eq '{key}'", _top=20, **options),
    }


@pytest.mark.parametrize("door", ["data", "web", "api"])
@pytest.mark.parametrize("kind", ["Vendors", "Customer representatives"])
async def test_no_plan_under_a_policy_reads_a_growing_table_whole_whatever_values_it_was_made_for(
    contoso: Installation, door: str, kind: str
) -> None:
    """Every statement that a page sends, under the setting of its lane; on the lane that may come to a generic plan,
    under one as well."""
    surface, person = sample.case(contoso).surface(door), contoso.in_role(kind)
    orders, lines, number = {
        "Vendors": ("PurchPurchaseOrderHeaderV2Entity", "PurchPurchaseOrderLineV2Entity", "PurchaseOrderNumber"),
        "Customer representatives": ("SalesOrderHeaderV2Entity", "SalesOrderLineEntity", "SalesOrderNumber"),
    }[kind]
    first = (await person.get(url(surface.set(orders), _top=1, **surface.options))).rows[0]
    key = str(first[surface.column(number)])
    for name, target in shapes(surface, orders, lines, key, number).items():
        with recorded(contoso.forecourt.databases.operations) as log:
            answer = await person.get(target)
            assert answer.status == 200, (name, answer.text)
        assert log, name
        for statement in log:
            modes = {"list": ("force_custom_plan",)}.get(statement.lane, ("force_custom_plan", "force_generic_plan"))
            read = {mode: await pages_read(contoso.url, statement, mode) for mode in modes}
            for mode, (_, plan) in read.items():
                for table in GROWING:
                    assert f"Seq Scan on {table}" not in plan, (name, mode, plan)
            least = read["force_custom_plan"][0]
            worst, plan = max(read.values())
            assert worst <= 2 * least + SLACK, (name, least, worst, plan)
