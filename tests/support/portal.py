"""A portal over rows in memory: for unit tests of pages, and to look at pages without a database.

``python tests/support/portal.py [PORT]`` serves the sample company's site with made-up rows; sign in as ``vendor``,
``customer`` or ``worker``, password ``demo``. Rows are filtered by the view, not by any permission: these are fakes.
"""

from __future__ import annotations

import datetime as dt
import random
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from forecourt.app import Definitions, load_definitions
from forecourt.dataverse.rows import Beneath, Found, GroupQuery, Groups, Page, Query, Row, SearchQuery
from forecourt.dataverse.tables import Tables
from forecourt.identity.accounts import Credential
from forecourt.identity.sessions import Session
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.observe import Fault, Observation
from forecourt.kernel.predicate import And, Bool, Compare, Field, In, IsNull, Match, Not, Or, Predicate, Slot
from forecourt.kernel.principal import Contact, Door, Principal
from forecourt.kernel.types import Kind
from forecourt.odata.fetchxml.filters import table
from forecourt.odata.fetchxml.markup import entity_of as root_of
from forecourt.odata.fetchxml.query import plan, wish
from forecourt.odata.fetchxml.values import Asker
from forecourt.pages.application import Portal
from forecourt.pages.options import PortalOptions
from forecourt.pages.site import Site
from forecourt.security.fetches import FetchedPage

CONTOSO = Path(__file__).resolve().parents[2] / "examples" / "contoso"
NAMESPACE = UUID("00000000-0000-0000-0000-00000000f0c0")

ORDERS = "mserp_purchpurchaseorderheaderv2entity"
LINES = "mserp_purchpurchaseorderlinev2entity"


def row_id(table: str, number: int) -> UUID:
    return uuid5(NAMESPACE, f"{table}/{number}")


class MemoryRows:
    """Rows by table. ``refused``: tables that nobody may read; ``denied``: tables that nobody may write; ``closed``:
    columns that nobody may read or write, by (table, right)."""

    def __init__(self, tables: Tables, rows: Mapping[str, list[Row]]) -> None:
        self.tables = tables
        self.rows = {name: list(items) for name, items in rows.items()}
        self.refused: set[str] = set()
        self.denied: set[str] = set()
        self.closed: dict[tuple[str, str], frozenset[str]] = {}
        self.marks: dict[bytes, UUID] = {}
        self.fails: Exception | None = None
        self.refuses: Refusal | None = None

    async def page(self, principal: Principal, query: Query, door: Door = Door.PORTAL) -> Page:
        self._check(query.table)
        found = [row for row in self.rows.get(query.table, []) if self._holds(query.filter, query, row)]
        if query.key is not None:
            found = [row for row in found if row.id == query.key]
        if query.related is not None:
            found = [row for row in found if self._below(row, query)]
        for order in reversed(query.order):
            found.sort(key=lambda row: _key(row.values.get(order.path[0])), reverse=order.descending)
        start = query.skip
        if query.cursor is not None:
            if not query.cursor.isdigit():
                raise Refusal("FC1007", "The paging token does not belong to this list.")
            start = int(query.cursor)
        end = start + query.size
        total = len(found) if query.total else None
        shown = found[start:end]
        if query.rights:
            may = {"update": "write", "delete": "delete"}
            rights = frozenset(right for right in query.rights if self.may(principal, query.table, may[right]))
            shown = [replace(row, rights=rights) for row in shown]
        return Page(tuple(shown), total, str(end) if end < len(found) else None)

    async def search(self, principal: Principal, query: SearchQuery, door: Door = Door.PORTAL) -> Found:
        self._check(query.table)
        plain = [word.strip("':*").casefold() for word in query.words]
        found = []
        for row in self.rows.get(query.table, []):
            text = " ".join(str(row.values.get(name) or "") for name in query.columns).casefold()
            if all(word in text for word in plain):
                found.append((row, 1.0))
        return Found(tuple(found[query.skip : query.skip + query.size]), len(found))

    async def groups(self, principal: Principal, query: GroupQuery, door: Door = Door.PORTAL) -> Groups:
        self._check(query.table)
        as_rows = Query(query.table, (), query.filter, query.slots)
        found: dict[tuple[object, ...], list[Any]] = {}
        for row in self.rows.get(query.table, []):
            if self._holds(query.filter, as_rows, row):
                key = tuple(_part(row.values.get(name), part) for name, part in query.by)
                found.setdefault(key, []).append(row.values.get(query.column))
        groups = sorted(found.items(), key=lambda item: [_key(value) for value in item[0]])
        shown = [(key, len(own) if query.measure == "count" else sum(v or 0 for v in own)) for key, own in groups]
        return Groups(tuple(shown[: query.size]), len(shown) > query.size)

    async def row(
        self, principal: Principal, table: str, row_id: UUID, columns: tuple[str, ...], door: Door = Door.PORTAL
    ) -> Row:
        self._check(table)
        found = next((row for row in self.rows.get(table, []) if row.id == row_id), None)
        if found is None:
            raise not_found()
        return found

    async def update(
        self,
        principal: Principal,
        table: str,
        row_id: UUID,
        changes: Mapping[str, object],
        version: str | None = None,
        door: Door = Door.PORTAL,
        beneath: Sequence[Beneath] = (),
    ) -> None:
        self._check(table)
        if self.refuses is not None:
            raise self.refuses
        found = await self.row(principal, table, row_id, ())
        if version is not None and version != found.version:
            raise Refusal("FC4121", "The row has been changed by somebody else since it was read.")
        self.put(table, row_id, dict(changes))
        self._put_beneath(row_id, beneath)

    async def create(
        self,
        principal: Principal,
        table: str,
        values: Mapping[str, object],
        mark: bytes = b"",
        door: Door = Door.PORTAL,
        beneath: Sequence[Beneath] = (),
    ) -> UUID:
        self._check(table)
        if self.refuses is not None:
            raise self.refuses
        made = self.marks.get(mark) if mark else None
        if made is None:
            made = self.marks[mark] = row_id(table, 10_000 + len(self.rows.setdefault(table, [])))
            self.rows[table].append(Row(made, dict(values), "1"))
            self._put_beneath(made, beneath)
        return made

    def _put_beneath(self, above: UUID, beneath: Sequence[Beneath]) -> None:
        for item in beneath:
            rows = self.rows.setdefault(item.table, [])
            rows.append(Row(row_id(item.table, 10_000 + len(rows)), {**item.values, item.lookup: str(above)}, "1"))

    async def delete(
        self, principal: Principal, table: str, row_id: UUID, version: str | None = None, door: Door = Door.PORTAL
    ) -> None:
        self._check(table)
        found = await self.row(principal, table, row_id, ())
        if version is not None and version != found.version:
            raise Refusal("FC4121", "The row has been changed by somebody else since it was read.")
        self.rows[table].remove(found)

    def put(self, table: str, row_id: UUID, changes: Mapping[str, Any]) -> None:
        """Somebody changes a row."""
        rows = self.rows[table]
        at = next(index for index, row in enumerate(rows) if row.id == row_id)
        rows[at] = Row(row_id, {**rows[at].values, **changes}, str(int(rows[at].version) + 1))

    async def columns(self, principal: Principal, table: str, right: str) -> frozenset[str]:
        return frozenset(self.tables.by_name[table].entity.fields) - self.closed.get((table, right), frozenset())

    def hidden(self, principal: Principal, table: str) -> frozenset[str]:
        return self.closed.get((table, "read"), frozenset())

    def may(self, principal: Principal, table: str, right: str) -> bool:
        return principal.contact is not None and table not in (self.refused if right == "read" else self.denied)

    def _check(self, table: str) -> None:
        if self.fails is not None:
            raise self.fails
        if table in self.refused:
            raise Refusal("FC3001", "No right to this table.")

    def _below(self, row: Row, query: Query) -> bool:
        assert query.related is not None
        relation_name, parent_table, parent_id = query.related
        relation = self.tables.by_name[parent_table].entity.relations[relation_name]
        parent = next(item for item in self.rows[parent_table] if item.id == parent_id)
        return all(row.values.get(theirs) == parent.values.get(own) for own, theirs in relation.on)

    def _holds(self, item: Predicate, query: Query, row: Row) -> bool:
        def value(operand: object) -> Any:
            if isinstance(operand, Slot):
                return query.slots[operand.index]
            assert isinstance(operand, Field)
            column = self.tables.by_name[query.table].entity.fields[operand.path[0]]
            raw = row.values.get(operand.path[0])
            if column.enum is not None and raw is not None:
                return self.tables.enums[column.enum].by_choice[raw].value
            return raw

        match item:
            case Bool(truth):
                return truth
            case And(items):
                return all(self._holds(child, query, row) for child in items)
            case Or(items):
                return any(self._holds(child, query, row) for child in items)
            case Not(child):
                return not self._holds(child, query, row)
            case IsNull(operand):
                return value(operand) is None
            case In(operand, values):
                return value(operand) in [value(each) for each in values]
            case Match(_, left, right):
                return str(value(right)).casefold() in str(value(left) or "").casefold()
            case Compare(op, left, right):
                one, other = value(left), value(right)
                if one is None or other is None:
                    return op == "ne" and one is not other
                return {
                    "eq": one == other,
                    "ne": one != other,
                    "lt": one < other,
                    "le": one <= other,
                    "gt": one > other,
                    "ge": one >= other,
                }[op]
        raise NotImplementedError(type(item).__name__)


def _part(value: Any, part: str | None) -> Any:
    if value is None or part is None:
        return value
    return (value.month - 1) // 3 + 1 if part == "quarter" else getattr(value, part)


def _key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


@dataclass
class People:
    """Accounts, sessions and principals at once. ``people``: principal by user name."""

    people: dict[str, Principal]
    site: Site
    started: dict[str, Session] = field(default_factory=dict)
    trouble: Refusal | None = None

    async def sign_in(self, username: str, password: str, address: str) -> Credential:
        if username == "locked":
            raise Refusal("FC2004", "Too many failed sign-ins.", hint="Wait a while.", headers=(("Retry-After", "60"),))
        if username not in self.people or password != "demo":
            raise Refusal("FC2001", "The user name or the password is not right.")
        contact = self.people[username].contact
        assert contact is not None
        now = dt.datetime.now(dt.UTC)
        return Credential(contact.id, username, contact.id, None, True, 0, None, contact.id, now, now)

    async def start(
        self,
        credential: Credential,
        *,
        previous: str | None = None,
        persistent: bool = False,
        user_agent: str = "",
        proved: bool = False,
        provider: str = "",
    ) -> Session:
        self.started.pop(previous or "", None)
        now = dt.datetime.now(dt.UTC)
        cookie = secrets.token_urlsafe(32)
        session = Session(credential, now, now, now, persistent, cookie, random.randbytes(32), True)
        self.started[cookie] = replace(session, reissue=False)
        return session

    async def load(self, cookie: str | None) -> Session | None:
        return self.started.get(cookie or "")

    async def whose(self, cookie: str | None) -> UUID | None:
        return self.started[cookie].credential.id if cookie in self.started else None

    async def sign_out(self, cookie: str | None) -> None:
        self.started.pop(cookie or "", None)

    async def for_credential(self, credential: Credential) -> Principal:
        if self.trouble is not None:
            raise self.trouble
        principal = self.people[credential.username]
        return replace(principal, web_roles=principal.web_roles | self.site.web_roles.authenticated)

    async def anonymous(self) -> Principal:
        return Principal(web_roles=self.site.web_roles.anonymous)


class EchoRequests:
    """Answers the Web API with what was asked, or with ``answer``."""

    def __init__(self) -> None:
        self.answer: tuple[int, tuple[tuple[str, str], ...], bytes] | Refusal | None = None
        self.asked: list[tuple[str, bytes, bytes]] = []

    async def get(
        self, principal: Principal, raw_path: bytes, raw_query: bytes, headers: Mapping[str, str], door: Door
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        self.asked.append(("GET", raw_path, raw_query))
        return self._answer()

    async def change(
        self,
        principal: Principal,
        method: str,
        raw_path: bytes,
        raw_query: bytes,
        headers: Mapping[str, str],
        body: bytes,
    ) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        self.asked.append((method, raw_path, body))
        return self._answer()

    def _answer(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        if isinstance(self.answer, Refusal):
            raise self.answer
        return self.answer or (200, (("content-type", "application/json"),), b'{"value":[]}')


class MemoryTexts:
    """Ranks texts by how many of the words they begin with have."""

    async def ranked(
        self, titles: Sequence[str], bodies: Sequence[str], words: Sequence[str]
    ) -> tuple[tuple[int, float], ...]:
        plain = [word.strip("':*").casefold() for word in words]
        found = []
        for place, (title, body) in enumerate(zip(titles, bodies, strict=True)):
            text = f"{title} {body}".casefold()
            if all(word in text for word in plain):
                found.append((place, float(sum(text.count(word) for word in plain))))
        return tuple(sorted(found, key=lambda pair: -pair[1]))


class MemoryFetches:
    """FetchXML over :class:`MemoryRows`: filters of the entity itself, no links, no order, no pages."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows
        self.asked: list[str] = []

    async def page(self, principal: Principal, text: str) -> FetchedPage:
        self.asked.append(text)
        asked = wish(text)
        model = self._rows.tables.model
        name = root_of(asked.fetch).get("name")
        self._rows._check(name)
        parsed = plan(asked, table(model, name), model)
        query = Query(name, (), slots=parsed.bind(asked.texts, Asker(dt.datetime.now(dt.UTC), None)))
        primary = self._rows.tables.by_name[name].primary_id
        condition = parsed.plan.filter
        found = [
            {**row.values, primary: str(row.id)}
            for row in self._rows.rows.get(name, [])
            if condition is None or self._rows._holds(condition, query, row)
        ]
        columns = {key: field for key, field in parsed.result.fields.items() if not key.startswith("@")}
        shown = tuple({key: row[key] for key in columns if row.get(key) is not None} for row in found)
        return FetchedPage(name, columns, shown[: asked.top or asked.size], asked.page, "", None)


class MemoryFormSessions:
    """Sessions of multistep forms, in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[UUID, list[Any]] = {}

    async def load(self, session_id: UUID, form: UUID) -> tuple[bytes, str, int] | None:
        found = self._kept.get(session_id)
        return (found[0], found[3], found[5]) if found is not None and found[1] == form else None

    async def latest(self, owner: bytes, form: UUID, subject: str, finished: bool) -> UUID | None:
        matching = (key for key, kept in self._kept.items() if [*kept[:3], kept[4]] == [owner, form, subject, finished])
        return next(reversed([*matching]), None)

    async def begin(self, session_id: UUID, owner: bytes, form: UUID, subject: str, single: bool, state: str) -> bool:
        taken = any(kept[:3] == [owner, form, subject] for kept in self._kept.values())
        if session_id in self._kept or (single and taken):
            return False
        self._kept[session_id] = [owner, form, subject, state, False, 1]
        return True

    async def save(self, session_id: UUID, owner: bytes, state: str, finished: bool, version: int) -> bool:
        kept = self._kept.get(session_id)
        if kept is None or kept[0] != owner or kept[5] != version:
            return False
        kept[3:] = [state, finished, version + 1]
        return True

    async def drop(self, session_id: UUID, owner: bytes) -> None:
        if (kept := self._kept.get(session_id)) is not None and kept[0] == owner:
            del self._kept[session_id]


def person(name: str, roles: frozenset[str], account: str) -> Principal:
    contact_id = uuid5(NAMESPACE, name)
    host = (account or "home").split()[0].lower()
    contact = Contact(
        contact_id,
        name,
        f"{name.split()[0].lower()}@{host}.example",
        contact_id,
        (("firstname", name.split()[0]), ("fullname", name)),
        (("name", account),),
    )
    return Principal(contact, roles)


def sample_rows(tables: Tables, orders: int = 63) -> dict[str, list[Row]]:
    """Made-up rows of the sample company's tables."""
    draw = random.Random(7)
    found: dict[str, list[Row]] = {ORDERS: [], LINES: []}
    start = dt.date(2026, 11, 2)
    places = [
        ("Contoso Seattle Plant", "1200 Harbor Way", "98104", "Seattle"),
        ("Contoso Tacoma Parts Store", "88 Dock Street", "98402", "Tacoma"),
        ("Contoso Dayton Plant", "4100 Wright Avenue", "45402", "Dayton"),
    ]
    goods = [
        "Bearing housing, cast iron, 80 mm",
        "Deep-groove ball bearing 6204-2RS",
        "Hex bolt M8 × 40, zinc",
        "Shaft seal 25×40×7",
        "Aluminium profile 40×40, 6 m",
        "Hydraulic hose DN 12, 1.5 m",
    ]
    status = [member.choice for member in tables.enums["PurchStatus"].members if member.symbol != "None"]
    approval = [member.choice for member in tables.enums["VersioningDocumentState"].members]
    for number in range(orders):
        name, street, code, city = draw.choice(places)
        requested = start + dt.timedelta(days=draw.randrange(-40, 60))
        values: dict[str, Any] = {
            "mserp_purchaseordernumber": f"PO-{1000 + number:06d}",
            "mserp_dataareaid": "usmf",
            "mserp_ordervendoraccountnumber": "US-101",
            "mserp_purchaseordername": "Northwind Bearings Inc.",
            "mserp_purchaseorderstatus": status[0] if number % 3 else draw.choice(status),
            "mserp_documentapprovalstatus": draw.choice(approval),
            "mserp_vendororderreference": draw.choice([None, f"NB-{draw.randrange(7000, 9999)}"]),
            "mserp_currencycode": "USD",
            "mserp_languageid": "en-us",
            "mserp_paymenttermsname": "Net30",
            "mserp_requesteddeliverydate": requested,
            "mserp_confirmeddeliverydate": draw.choice([None, requested]),
            "mserp_requestedshipdate": requested,
            "mserp_confirmedshipdate": None,
            "mserp_deliveryaddressname": name,
            "mserp_deliveryaddressstreet": street,
            "mserp_deliveryaddresszipcode": code,
            "mserp_deliveryaddresscity": city,
            "mserp_deliveryaddresscountryregionid": "USA",
            "mserp_deliverymodeid": "Truck",
            "mserp_deliverytermsid": "FOB",
            "mserp_email": "purchasing@contoso.example",
        }
        found[ORDERS].append(Row(row_id(ORDERS, number), values, "1"))
        for line in range(1 + number % 5):
            quantity, price = Decimal(draw.randrange(1, 400)), Decimal(draw.randrange(90, 250000)) / 100
            fields = tables.by_name[LINES].entity.fields
            line_values: dict[str, Any] = {}
            for column in fields.values():
                if column.kind is Kind.DECIMAL:
                    line_values[column.name] = price if "price" in column.name else quantity
                elif column.kind is Kind.DATE:
                    line_values[column.name] = requested
                elif column.enum is not None:
                    members = tables.enums[column.enum].members
                    line_values[column.name] = members[min(1, len(members) - 1)].choice
                elif column.kind is Kind.STRING:
                    line_values[column.name] = ""
            line_values |= {
                "mserp_purchaseordernumber": values["mserp_purchaseordernumber"],
                "mserp_dataareaid": "usmf",
                "mserp_linenumber": line + 1,
                "mserp_itemnumber": f"B{draw.randrange(1000, 9999)}",
                "mserp_linedescription": goods[(number + line) % len(goods)],
                "mserp_purchaseunitsymbol": "ea",
                "mserp_linenetamount": (quantity * price).quantize(Decimal("0.01")),
                "mserp_currencycode": "USD",
            }
            found[LINES].append(Row(row_id(LINES, number * 10 + line), line_values, "1"))
    return found


@dataclass
class Preview:
    """A portal with its fakes at hand. ``faults``: what went wrong unexpectedly."""

    portal: Portal
    rows: MemoryRows
    people: People
    requests: EchoRequests
    definitions: Definitions
    observed: list[Observation]
    fetches: MemoryFetches

    @property
    def faults(self) -> list[Fault]:
        return [item for item in self.observed if isinstance(item, Fault)]


@cache
def contoso() -> Definitions:
    """The sample company's definitions."""
    return load_definitions(CONTOSO)


async def always_new() -> object:
    """Rows in memory change without a trace: no moment is as the one before."""
    return object()


def preview(site: Site | None = None, orders: int = 63) -> Preview:
    definitions = contoso()
    chosen = site or definitions.site
    assert chosen is not None
    rows = MemoryRows(definitions.tables, sample_rows(definitions.tables, orders))
    people = People(
        {
            "vendor": person("Anna Berg", frozenset({"Vendors"}), "Northwind Bearings Inc."),
            "customer": person("Luis Ortega", frozenset({"Customer representatives"}), "Harborview Hotels LLC"),
            "worker": person("Grace Miller", frozenset({"Workers"}), ""),
            "nobody": person("Noah Nobody", frozenset(), "Nothing Ltd."),
        },
        chosen,
    )
    fetches = MemoryFetches(rows)
    requests, observed = EchoRequests(), []  # type: tuple[EchoRequests, list[Observation]]
    portal = Portal(
        site=chosen,
        tables=definitions.tables,
        rows=rows,
        sessions=people,
        accounts=people,
        principals=people,
        requests=requests,
        fetches=fetches,
        form_sessions=MemoryFormSessions(),
        texts=MemoryTexts(),
        moments=always_new,
        options=PortalOptions(),
        observer=observed.append,
    )
    return Preview(portal, rows, people, requests, definitions, observed, fetches)


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(preview().portal, port=int(sys.argv[1]) if sys.argv[1:] else 8021, log_level="warning", lifespan="off")
