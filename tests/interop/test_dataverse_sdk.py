"""Microsoft's Dataverse SDK for Python as a client, over TLS: what its users do with rows works here."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import requests
from azure.core.credentials import AccessToken
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col

from forecourt.settings import Settings
from forecourt.store.embedded import EmbeddedServer
from support import contoso as sample
from support.server import Installation, serving


@dataclass
class Grant:
    """Gets tokens of the served company, as azure-identity's credentials do. ``scopes``: what was asked for."""

    address: str
    username: str
    password: str
    scopes: list[tuple[str, ...]] = field(default_factory=list)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes.append(scopes)
        answer = requests.post(
            f"{self.address}/contoso/oauth2/v2.0/token",
            data={
                "grant_type": "password",
                "client_id": "forecourt-cli",
                "username": self.username,
                "password": self.password,
            },
            timeout=30,
        )
        answer.raise_for_status()
        found = answer.json()
        return AccessToken(found["access_token"], int(time.time()) + int(found["expires_in"]))


@dataclass
class World:
    """The served company with somebody inside. ``database``: its address, for plain SQL."""

    client: DataverseClient
    grant: Grant
    database: str

    def sql(self, statement: str, *values: object) -> list[asyncpg.Record]:
        async def run() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.database)
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(run())


def certify(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture(scope="module")
def world(postgres: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    certificate = certify(tmp_path_factory.mktemp("tls"))
    inside: dict[str, str] = {}

    @asynccontextmanager
    async def start(settings: Settings) -> AsyncIterator[Installation]:
        async with sample.copied_site(postgres, settings=settings) as site:
            admin = await site.operations_user("admin")
            inside.update(username=admin.username, password=admin.password, database=site.url)
            yield site

    before = {name: os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")}
    os.environ.update(dict.fromkeys(before, str(certificate[0])))
    try:
        with serving(start, certificate) as address:
            grant = Grant(address, inside["username"], inside["password"])
            with DataverseClient(address, grant) as client:
                yield World(client, grant, inside["database"])
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@pytest.fixture
def client(world: World) -> DataverseClient:
    return world.client


def names(rows: Any) -> list[str]:
    return [row["name"] for row in rows]


# ---------------------------------------------------------------------------------------------- single rows


def test_a_row_is_created_read_changed_and_deleted(world: World, client: DataverseClient) -> None:
    key = client.records.create("account", {"name": "SDK one", "telephone1": "555-0100", "creditlimit": 12.5})
    assert uuid.UUID(key)
    row = client.records.retrieve("account", key, select=["name", "telephone1", "creditlimit"])
    assert row is not None
    assert (row["name"], row["telephone1"], row["creditlimit"]) == ("SDK one", "555-0100", 12.5)
    client.records.update("account", key, {"telephone1": "555-0199"})
    assert (
        world.sql("select telephone1 from dataverse.account where accountid = $1", uuid.UUID(key))[0][0] == "555-0199"
    )
    client.records.delete("account", key)
    assert client.records.retrieve("account", key, select=["name"]) is None
    assert world.grant.scopes[0] == (f"{world.grant.address}/.default",)


def test_a_label_of_a_choice_is_written_as_its_value(world: World, client: DataverseClient) -> None:
    key = client.records.create("account", {"name": "labelled", "customertypecode": "Vendor"})
    stored = world.sql("select customertypecode from dataverse.account where accountid = $1", uuid.UUID(key))[0][0]
    assert stored == 11
    row = client.records.retrieve("account", key, select=["customertypecode"], include_annotations="*")
    assert row is not None
    assert row["customertypecode@OData.Community.Display.V1.FormattedValue"] == "Vendor"


def test_a_lookup_is_bound_and_expanded(client: DataverseClient) -> None:
    account = client.records.create("account", {"name": "with a contact"})
    contact = client.records.create(
        "contact", {"lastname": "Bound", "parentcustomerid_account@odata.bind": f"/accounts({account})"}
    )
    row = client.records.retrieve(
        "contact", contact, select=["lastname"], expand=["parentcustomerid_account($select=name)"]
    )
    assert row is not None and row["parentcustomerid_account"]["name"] == "with a contact"
    found = client.records.list("contact", filter=f"_parentcustomerid_value eq {account}", select=["lastname"])
    assert [item["lastname"] for item in found] == ["Bound"]


# -------------------------------------------------------------------------------------------------- lists


def test_lists_are_filtered_sorted_paged_and_counted(client: DataverseClient) -> None:
    client.records.create("account", [{"name": f"Listed {n:02}", "numberofemployees": n} for n in range(12)])
    wanted = "startswith(name,'Listed')"
    rows = client.records.list(
        "account", filter=wanted, select=["name"], orderby=["name desc"], page_size=5, count=True
    )
    assert names(rows) == [f"Listed {n:02}" for n in reversed(range(12))]
    pages = list(client.records.list_pages("account", filter=wanted, select=["name"], orderby=["name"], page_size=5))
    assert [len(list(page)) for page in pages] == [5, 5, 2]
    assert names(client.records.list("account", filter=wanted, select=["name"], orderby=["name"], top=2)) == [
        "Listed 00",
        "Listed 01",
    ]
    more = client.records.list(
        "account", filter=f"{wanted} and numberofemployees ge 10", select=["name"], orderby=["name"]
    )
    assert names(more) == ["Listed 10", "Listed 11"]


def test_the_query_builder_speaks_what_the_server_understands(client: DataverseClient) -> None:
    client.records.create("account", [{"name": f"Built {n}", "numberofemployees": n} for n in range(5)])
    rows = (
        client.query.builder("account")
        .select("name", "numberofemployees")
        .where(col("name").startswith("Built"))
        .order_by("numberofemployees", descending=True)
        .top(3)
        .execute()
    )
    assert names(rows) == ["Built 4", "Built 3", "Built 2"]


# ------------------------------------------------------------------------------------------- many at once


def test_many_rows_are_created_and_changed_in_one_call(world: World, client: DataverseClient) -> None:
    keys = client.records.create("account", [{"name": f"Bulk {n}"} for n in range(20)])
    assert len({*keys}) == 20
    client.records.update("account", keys, {"description": "the same for all"})
    client.records.update("account", keys[:2], [{"name": "Bulk first"}, {"name": "Bulk second"}])
    found = world.sql(
        "select name, description from dataverse.account where accountid = any($1) order by name",
        [uuid.UUID(key) for key in keys],
    )
    assert {row["description"] for row in found} == {"the same for all"}
    assert [row["name"] for row in found if not row["name"][-1].isdigit()] == ["Bulk first", "Bulk second"]


def test_a_bulk_call_with_one_bad_row_changes_nothing(world: World, client: DataverseClient) -> None:
    keys = client.records.create("account", [{"name": "Whole 1"}, {"name": "Whole 2"}])
    with pytest.raises(HttpError):
        client.records.update("account", [keys[0], str(uuid.uuid4())], {"name": "changed"})
    with pytest.raises(HttpError):
        client.records.create("account", [{"name": "Never"}, {"nonsense": 1}])
    assert world.sql("select 1 from dataverse.account where name in ('changed', 'Never')") == []


def test_rows_are_upserted_by_an_alternate_key(world: World, client: DataverseClient) -> None:
    company = str(world.sql("select cdm_companyid from dataverse.cdm_company where cdm_companycode = 'usmf'")[0][0])

    def item(number: str, name: str) -> dict[str, Any]:
        return {"alternate_key": {"productnumber": number, "_msdyn_company_value": company}, "record": {"name": name}}

    client.records.upsert("product", [item("SDK-1", "made")])
    client.records.upsert("product", [item("SDK-1", "changed")])
    client.records.upsert("product", [item("SDK-1", "changed again"), item("SDK-2", "made")])
    found = world.sql("select productnumber, name from dataverse.product where productnumber like 'SDK-%' order by 1")
    assert [tuple(row) for row in found] == [("SDK-1", "changed again"), ("SDK-2", "made")]


@pytest.mark.parametrize("bulk", [False, True])
def test_many_rows_are_deleted(world: World, client: DataverseClient, bulk: bool) -> None:
    keys = client.records.create("account", [{"name": f"Doomed {n}"} for n in range(3)])
    client.records.delete("account", keys[0])
    job = client.records.delete("account", keys if bulk else keys[1:], use_bulk_delete=bulk)
    assert (job is not None) is bulk
    assert world.sql("select 1 from dataverse.account where name like 'Doomed%'") == []


# ------------------------------------------------------------------------------------------------- batches


def test_a_batch_with_a_change_set_is_answered_in_order(world: World, client: DataverseClient) -> None:
    batch = client.batch.new()
    with batch.changeset() as changes:
        account = changes.records.create("account", {"name": "Batched"})
        changes.records.create("contact", {"lastname": "Batched", "parentcustomerid_account@odata.bind": account})
    batch.records.list("account", filter="name eq 'Batched'", select=["name"])
    result = batch.execute()
    assert [item.status_code for item in result.responses] == [204, 204, 200], result
    assert not result.has_errors
    (row,) = world.sql(
        "select a.name from dataverse.contact c join dataverse.account a on a.accountid = c.parentcustomerid "
        "where c.lastname = 'Batched'"
    )
    assert row[0] == "Batched"


def test_a_change_set_that_fails_leaves_nothing(world: World, client: DataverseClient) -> None:
    batch = client.batch.new()
    with batch.changeset() as changes:
        changes.records.create("account", {"name": "Undone"})
        changes.records.update("account", str(uuid.uuid4()), {"name": "Undone"})
    result = batch.execute(continue_on_error=True)
    assert result.has_errors
    assert world.sql("select 1 from dataverse.account where name = 'Undone'") == []


# -------------------------------------------------------------------------------------------------- errors


def test_refusals_arrive_as_the_clients_own_errors(client: DataverseClient) -> None:
    with pytest.raises(HttpError) as missing:
        client.records.update("account", str(uuid.uuid4()), {"name": "x"})
    assert (missing.value.status_code, missing.value.details["service_error_code"]) == (404, "0x80040217")
    with pytest.raises(HttpError) as unknown:
        client.records.list("account", select=["nonsense"])
    assert unknown.value.status_code == 400
    with pytest.raises(HttpError) as typed:
        client.records.create("account", {"numberofemployees": "many"})
    assert typed.value.status_code == 400


# -------------------------------------------------------------------------------------------------- copies


def test_an_order_of_the_sdk_is_in_the_erp_in_the_same_call(world: World, client: DataverseClient) -> None:
    account, number, company = world.sql(
        "select a.accountid, a.accountnumber, c.cdm_companycode from dataverse.account a "
        "join dataverse.cdm_company c on c.cdm_companyid = a.msdyn_company order by a.accountnumber limit 1"
    )[0]
    item = world.sql("select itemid from erp.inventtable where dataareaid = $1 and salesprice > 0 limit 1", company)[0][
        0
    ]
    order = client.records.create(
        "salesorder", {"customerid_account@odata.bind": f"/accounts({account})", "name": "by the SDK"}
    )
    client.records.create(
        "salesorderdetail",
        {"salesorderid@odata.bind": f"/salesorders({order})", "msdyn_itemnumber": item, "quantity": 2},
    )
    row = client.records.retrieve("salesorder", order, select=["msdyn_salesordernumber", "totalamount"])
    assert row is not None and row["totalamount"] > 0
    (stored,) = world.sql(
        "select custaccount, salesname, ordertotalamount from erp.salestable where salesid = $1",
        row["msdyn_salesordernumber"],
    )
    assert (stored[0], stored[1], float(stored[2])) == (number, "by the SDK", row["totalamount"])
    with pytest.raises(HttpError) as refused:
        client.records.create(
            "salesorderdetail",
            {"salesorderid@odata.bind": f"/salesorders({order})", "msdyn_itemnumber": item, "quantity": 0},
        )
    assert "The quantity must be more than zero." in str(refused.value)
