"""The small ERP with policies of every kind, in a folder and a database of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import copytree

import asyncpg

from forecourt.store.embedded import EmbeddedServer
from support.server import Installation, cloned, installed
from support.small_erp import ROOT, TEMPLATE, ensure_loaded

SCHEMA = """
create table erp.mine (id int generated always as identity primary key, who text not null, area text not null,
    account text not null, till timestamptz not null default '2999-01-01');
create view erp.openorders as select * from erp.orders where status = 1;
create view erp.everyorder as select * from erp.orders;
"""

ROLES = """
privileges:
  Maintain:
    entities:
      SmallCustomerEntity: {grant: [read, create, update, delete]}
      SmallOrderEntity: {grant: [read, create, update, delete], actions: [reviewed, moved]}
      OpenOrderEntity: {grant: [read]}
      EveryOrderEntity: {grant: [read]}
  NoDeletes: {entities: {SmallOrderEntity: {deny: [delete], fields: {deny_read: [Price], deny_update: [Quantity]}}}}
duties:
  Selling: {privileges: [Maintain]}
  Checking: {privileges: [NoDeletes]}
segregation_of_duties:
  - {name: Sell and check, first: Selling, second: Checking, severity: High, overrides: [{user: careful, reason: Two.}]}
roles:
  Outside: {context: Own, duties: [Selling]}
  Regional: {context: Region, duties: [Selling]}
  Timed: {context: Until, duties: [Selling]}
  Excluded: {context: Not, duties: [Selling]}
  Free: {duties: [Selling]}
  Careful: {duties: [Checking]}
  Reader: {}
users:
  - {id: admin, roles: ['-SYSADMIN-'], company: usmf}
  - {id: ann, roles: [Outside, SystemExternalUser], company: usmf}
  - {id: lone, roles: [Free, SystemExternalUser], company: usmf}
  - {id: region, roles: [Regional], company: usmf, email: region@example.com}
  - {id: timed, roles: [Timed], company: usmf}
  - {id: excluded, roles: [Excluded], company: usmf}
  - {id: unknown, roles: [Excluded], company: ''}
  - {id: free, roles: [Free], company: usmf}
  - {id: careful, roles: [Free, Careful], company: usmf}
  - {id: partly, roles: {Free: [], Careful: [demf]}, company: usmf}
  - {id: bypassing, roles: [Regional, XDSDataAccessPolicyBypassRole], company: usmf}
  - {id: outsider, roles: [Free, SystemExternalUser, XDSDataAccessPolicyBypassRole], company: usmf}
"""

FILES = {
    "constructs/MyAccounts.yaml": """
name: MyAccounts
table: erp.mine
keys: {area: area, account: account}
query: {ranges: [{column: who, equals: $user.id}]}
""",
    "policies/Own.yaml": """
name: Own
context: {type: RoleProperty, value: Own}
primary_table: erp.cust
alias: Cust
query: {joins: [{construct: MyAccounts, on: {area: dataareaid, account: accountnum}}]}
constrained_tables:
  - table: erp.orders
    alias: Orders
    expression: Orders.dataareaid = Cust.dataareaid && (Orders.account = Cust.accountnum)
  - {table: erp.openorders, relation: {dataareaid: dataareaid, account: accountnum}}
""",
    "policies/Region.yaml": """
name: Region
context: {type: RoleProperty, value: Region}
primary_table: erp.orders
query: {ranges: [{column: dataareaid, equals: $user.company}, {column: quantity, lt: 100}]}
""",
    "policies/Until.yaml": """
name: Until
context: {type: RoleProperty, value: Until}
primary_table: erp.mine
constrain_primary: false
query: {ranges: [{column: who, equals: $user.id}, {column: till, gt: $now}]}
constrained_tables:
  - {table: erp.orders, relation: {dataareaid: area, account: account}}
""",
    "policies/Not.yaml": """
name: Not
context: {type: RoleProperty, value: Not}
primary_table: erp.orders
not_exists: true
query: {ranges: [{column: dataareaid, equals: $user.company}]}
""",
    "policies/Reviewing.yaml": """
name: Reviewing
context: {type: ContextString, value: Reviewing}
primary_table: erp.orders
operation: Select
query: {ranges: [{column: status, equals: 3}]}
""",
    "policies/Parties.yaml": """
name: Parties
context: {type: RoleName, role: Reader}
primary_table: erp.custnote
query: {ranges: [{column: note, like: 'public*'}]}
""",
    "review.py": '''
from forecourt.operations.actions import Called
from forecourt.operations.hooks import action, context

ORDER = "SmallOrderEntity"


@action(ORDER, bound=False)
async def reviewed(called: Called, *, Fail: bool = False) -> list[str]:
    """The orders that the caller sees while reviewing, and those before and after."""
    before = len(await called.asker.select(ORDER, {}))
    try:
        with context("Reviewing"):
            found = await called.asker.select(ORDER, {}, ("SalesOrderNumber",))
            if Fail:
                raise ValueError("on the way")
    except ValueError:
        found = []
    after = len(await called.asker.select(ORDER, {}))
    return [str(before), *(str(row["SalesOrderNumber"]) for row in found), str(after)]


@action(ORDER)
async def moved(order: Called, *, Account: str) -> None:
    key = {"dataAreaId": order["dataAreaId"], "SalesOrderNumber": order["SalesOrderNumber"]}
    await order.asker.update(ORDER, key, {"Account": Account})
''',
}

ENTITY = """
name: {name}OrderEntity
public_name: {name}Order
collection: {name}Orders
root: {{table: erp.{table}}}
company: dataAreaId
key: [dataAreaId, SalesOrderNumber]
fields:
  dataAreaId: {{column: dataareaid, length: 4}}
  SalesOrderNumber: {{column: salesid, length: 20}}
  Account: {{column: account}}
"""


def written(folder: Path) -> Path:
    """The solution's folder."""
    root = folder / "solution"
    copytree(ROOT, root)
    (root / "operations" / "orders.py").unlink()
    (root / "dataverse" / "roles.yaml").write_text("roles: {}\n")
    (root / "operations" / "roles.yaml").write_text(ROLES)
    for name, text in FILES.items():
        path = root / "operations" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for name in ("Open", "Every"):
        text = ENTITY.format(name=name, table=f"{name.lower()}order" + "s" * (name == "Open"))
        (root / "operations" / "entities" / f"{name}.yaml").write_text(text)
    return root


@asynccontextmanager
async def policied_erp(server: EmbeddedServer, folder: Path) -> AsyncIterator[Installation]:
    """The solution over a database with two customers and their orders in each of two legal entities."""
    await ensure_loaded(server)
    async with cloned(server, TEMPLATE) as address:
        connection = await asyncpg.connect(address)
        try:
            await connection.execute(SCHEMA)
        finally:
            await connection.close()
        os.environ["SMALL_ERP"] = address
        async with installed(written(folder), address) as site:
            yield site


async def filled(site: Installation) -> None:
    """The rows as they are at the start of a test: accounts A and B in usmf and demf, an open and an invoiced order
    of each. Ann's are the A in usmf."""
    await site.sql("truncate erp.mine, erp.cust, erp.custnote, erp.party, erp.orders, erp.log restart identity")
    await site.sql("insert into erp.party (name) values ('One')")
    await site.sql(
        "insert into erp.cust (dataareaid, accountnum, party) "
        "select area, account, 1 from unnest(array['usmf', 'demf']) area, unnest(array['A', 'B']) account"
    )
    await site.sql("insert into erp.custnote select recid, 'public ' || accountnum from erp.cust")
    await site.sql(
        "insert into erp.orders (dataareaid, salesid, account, quantity, status) "
        "select dataareaid, accountnum || status, accountnum, 5, status from erp.cust, unnest(array[1, 3]) status"
    )
    await site.sql("insert into erp.mine (who, area, account) values ('ann', 'usmf', 'A'), ('timed', 'usmf', 'A')")
    site.observed.clear()
