"""The sample company in a database of the test run, and what is true of it by plain SQL.

The hand-written queries here are the measure: they know the tables, and nothing of policies or permissions.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from forecourt.app import Databases, build, prepare, read_header
from forecourt.cli.credentials import ensure_applications, ensure_credentials, read_credentials
from forecourt.cli.workspace import load_sample
from forecourt.settings import Settings
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.server import SETTINGS, Case, Installation, Person, cloned, ensure_template, installed, run_folder

ROOT = Path(__file__).resolve().parents[2] / "examples" / "contoso"
TEMPLATE, COPIED = "contoso_template", "contoso_copied_template"

ORDERS = "mserp_purchpurchaseorderheaderv2entity"
LINES = "mserp_purchpurchaseorderlinev2entity"
VENDORS = "mserp_vendvendorv2entity"

#: A user's purchase orders, by the links that the ERP keeps: user, person, contact person, vendor.
OWN_ORDERS = """
select o.dataareaid, o.purchid, o.recid
from erp.purchtable o
join erp.vendtable v on v.accountnum = o.orderaccount and v.dataareaid = o.dataareaid
join erp.contactperson c on c.contactforparty = v.party and c.dataareaid = v.dataareaid and c.inactive = 0
join erp.dirpersonuser u on u.personparty = c.party
where u.user_ = $1
order by 1, 2
"""

#: Orders of other vendors; first those of an account with the same number in another legal entity, then those whose
#: own number is that of an order of the vendor's, in another legal entity.
OTHERS_ORDERS = """
with mine as (
    select v.accountnum, v.dataareaid from erp.vendtable v
    join erp.contactperson c on c.contactforparty = v.party and c.dataareaid = v.dataareaid
    join erp.dirpersonuser u on u.personparty = c.party
    where u.user_ = $1)
select o.dataareaid, o.purchid, o.recid from erp.purchtable o
where not exists (select from mine m where m.accountnum = o.orderaccount and m.dataareaid = o.dataareaid)
order by
    not exists (select from mine m where m.accountnum = o.orderaccount),
    not exists (
        select from erp.purchtable p join mine m on m.accountnum = p.orderaccount and m.dataareaid = p.dataareaid
        where p.purchid = o.purchid),
    o.purchid, o.dataareaid
limit $2
"""


def generator() -> Any:
    """The sample's generator module."""
    name = "forecourt_solution_generate"
    if name not in sys.modules:
        spec = spec_from_file_location(name, ROOT / "sample" / "generate.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


async def fresh_vendor(site: Installation, taken: list[str] = []) -> Person:  # noqa: B006 - remembered on purpose
    """The contact of a small vendor that no other test of this worker has: rows and roles may be changed."""
    rows = await site.sql(
        """
        select u.user_ from erp.dirpersonuser u
        join erp.contactperson c on c.party = u.personparty
        join erp.vendtable v on v.party = c.contactforparty and v.dataareaid = c.dataareaid
        where v.accountnum like '%-1%' and v.accountnum not like 'V-COMMON%' and v.recid > 5637144606
            and u.user_ not like '%!' and not (u.user_ = any($1))
        order by v.recid limit 1
        """,
        taken,
    )
    user = str(rows[0][0])
    taken.append(user)
    return await site.contact_of(user)


async def ensure_loaded(server: EmbeddedServer) -> None:
    """The template, loaded as the product loads it at its first start."""

    async def load(address: str) -> None:
        header = read_header(ROOT)
        assert header.sample is not None
        database = await Database.open(address, lane_size=2)
        databases = Databases(database, database, None)
        try:
            await prepare(ROOT, databases)
            await load_sample(ROOT, header.name, header.sample, databases, 1)
            forecourt = await build(ROOT, databases, SETTINGS)
            folder = run_folder(TEMPLATE)
            folder.mkdir(parents=True, exist_ok=True)
            await ensure_credentials(forecourt, generator().people(), folder)
            await ensure_applications(forecourt, ROOT, folder)
            await database.script("statistics for the planner", "analyze")
        finally:
            await databases.close()

    await ensure_template(server, TEMPLATE, load)


def credentials() -> list[dict[str, Any]]:
    """The sign-ins of the sample, each with the id of its contact."""
    contacts = {person["username"]: person["contactid"] for person in generator().people()}
    return [{**entry, "contactid": contacts[entry["username"]]} for entry in read_credentials(run_folder(TEMPLATE))]


@asynccontextmanager
async def contoso_site(
    server: EmbeddedServer, root: Path = ROOT, settings: Settings = SETTINGS
) -> AsyncIterator[Installation]:
    """The sample company (or a changed copy of its solution) over a database of its own."""
    await ensure_loaded(server)
    async with cloned(server, TEMPLATE) as address, installed(root, address, "", credentials(), settings) as site:
        yield site


async def ensure_copied(server: EmbeddedServer) -> None:
    """The template with its table maps started."""
    await ensure_loaded(server)

    async def start(address: str) -> None:
        async with installed(ROOT, address) as site:
            await site.forecourt.dual_write.start((), "test")
            await site.forecourt.databases.dataverse.script("statistics for the planner", "analyze")

    await ensure_template(server, COPIED, start, TEMPLATE)


@asynccontextmanager
async def copied_site(
    server: EmbeddedServer, root: Path = ROOT, settings: Settings = SETTINGS
) -> AsyncIterator[Installation]:
    """The same with its table maps started. The queue is worked by whoever asks for it (:func:`drain`)."""
    await ensure_copied(server)
    async with cloned(server, COPIED) as address, installed(root, address, "", credentials(), settings) as site:
        yield site


async def drain(site: Installation, *maps: str) -> int:
    """Works off what waits for maps (all by default); how many rows that were."""
    dual_write = site.forecourt.dual_write
    return sum([await dual_write.queue.drain(item) for item in dual_write.named(maps)])


async def differences(site: Installation, *maps: str) -> list[str]:
    """What ``sync verify`` says of maps (all by default)."""
    found = []
    for item in site.forecourt.dual_write.named(maps):
        for comparison in await site.forecourt.verifier.compare(item):
            found += [f"{item.name} {each.key}: {each.kind} {each.columns}" for each in comparison.differences]
    return found


def case(site: Installation) -> Case:
    """The sample company's purchase orders."""
    usernames = ("anna.berg@northwind-parts.example", "jonas.weber@rheintal-metallbau.example")
    return Case(
        site=site,
        orders="PurchPurchaseOrderHeaderV2Entity",
        lines="PurchPurchaseOrderLineV2Entity",
        vendor="VendVendorV2Entity",
        key=("dataAreaId", "PurchaseOrderNumber"),
        account="OrderVendorAccountNumber",
        to_lines="PurchaseOrderLinesV2",
        to_vendor="VendorV2",
        to_order="PurchaseOrderHeaderV2",
        to_orders="PurchaseOrderHeadersV2",
        hidden="CreditRating",
        writable="ConfirmedDeliveryDate",
        value="2026-12-24",
        closed="DeliveryAddressName",
        closed_value="Elsewhere",
        table="erp.purchtable",
        record="recid",
        column="confirmeddlv",
        usernames=(*usernames, "lena.vogt@elbe-spedition.example"),
        own_sql=OWN_ORDERS,
        others_sql=OTHERS_ORDERS,
        list_path="/purchase-orders/?view=all-purchase-orders",
    )
