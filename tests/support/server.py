"""An installed solution for tests: databases cloned from a template, the application, and people at its doors.

A template is loaded once per run, by whichever worker comes first, and is never opened again; each worker has one
clone for all its tests. So a test that changes rows takes a person (``Installation.someone``) whom no other test has,
and changes nothing but what is that person's.

Requests go to the ASGI application as a server hands them over, byte for byte; only ``serving`` opens a port.
"""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import socket
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

import asyncpg
import uvicorn
from prometheus_client import CollectorRegistry

from forecourt.app import Databases, Forecourt, build
from forecourt.identity import csrf, sessions
from forecourt.identity.passwords import generate_password
from forecourt.kernel.observe import Fault, Observation
from forecourt.kernel.principal import Door, Principal
from forecourt.odata import record_id
from forecourt.server import Server
from forecourt.settings import Settings
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from support.postgres import VARIABLE

#: Small lanes: a worker's tests run one after the other, and all workers share one server.
SETTINGS = Settings(password_grant=True, lane_size=4)

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


# ----------------------------------------------------------------------------------------------- requests


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. ``headers``: lower-case names; ``cookies``: those set, by name."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[dict[str, Any]]:
        assert self.status == 200, (self.status, self.text[:500])
        return list(self.json["value"])

    @property
    def refusal(self) -> str:
        """Our code of a refused OData request, of whichever surface."""
        error = self.json["error"]
        return str(error.get("@Forecourt.code") or error["code"])


async def ask(
    app: App,
    method: str,
    target: str | bytes,
    headers: Mapping[str, str] | Sequence[tuple[bytes, bytes]] = {},
    body: bytes = b"",
) -> Answer:
    """One request. ``target``: path and query as on the wire, percent-encoded (or, as bytes, whatever they are)."""
    raw = target.encode("ascii") if isinstance(target, str) else target
    path, _, query = raw.partition(b"?")
    pairs = (
        [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        if isinstance(headers, Mapping)
        else list(headers)
    )
    if not any(name == b"host" for name, _ in pairs):
        pairs.insert(0, (b"host", b"portal.test"))
    if body and not any(name == b"content-length" for name, _ in pairs):
        pairs.append((b"content-length", str(len(body)).encode()))
    scope: MutableMapping[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": pairs,
        "client": ("127.0.0.1", 40000),
        "server": ("portal.test", 80),
    }
    started: list[MutableMapping[str, Any]] = []
    chunks: list[bytes] = []
    sent = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            chunks.append(message.get("body", b""))

    await app(scope, receive, send)
    (start,) = started
    found = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in start["headers"]]
    cookies = {}
    for name, value in found:
        if name == "set-cookie":
            key, _, rest = value.partition("=")
            cookies[key] = rest.partition(";")[0]
    return Answer(start["status"], dict(found), b"".join(chunks), cookies)


async def send(
    person: Person, method: str, target: str, body: object = None, headers: Mapping[str, str] = {}
) -> Answer:
    """A request of a person with a JSON body, or with bytes as they are."""
    given = {**await person.headers(target), "content-type": "application/json", **headers}
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return await person.site.ask(method, target, given, raw)


def url(path: str, **options: object) -> str:
    """A path with query options; a leading ``_`` stands for ``$``.

    >>> url("/data/X", _filter="a eq 'b'", cross_company=True)
    "/data/X?$filter=a%20eq%20'b'&cross-company=true"
    """
    parts = []
    for name, value in options.items():
        shown = "$" + name[1:] if name.startswith("_") else name.replace("_", "-")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parts.append(f"{shown}={quote(text, safe=chr(39) + '(),/:*')}")
    return f"{path}?{'&'.join(parts)}" if parts else path


# ------------------------------------------------------------------------------------------- installation


@dataclass
class Person:
    """Somebody at the doors, with a token and a session of their own, got when first needed.

    ``doors``: by name ``data``, ``web`` and ``api``: (prefix, how to authenticate).
    """

    site: Installation
    username: str
    password: str
    operations_user: str | None
    contact: uuid.UUID | None
    _token: str = ""
    _cookie: str = ""
    _proof: str = ""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def token(self) -> str:
        async with self._turn:
            return await self._granted()

    async def _granted(self) -> str:
        if not self._token:
            form = {
                "grant_type": "password",
                "client_id": "forecourt-cli",
                "username": self.username,
                "password": self.password,
            }
            answer = await self.site.ask(
                "POST",
                f"/{self.site.forecourt.header.tenant}/oauth2/v2.0/token",
                {"content-type": "application/x-www-form-urlencoded"},
                urlencode(form).encode(),
            )
            assert answer.status == 200, answer.text
            self._token = answer.json["access_token"]
        return self._token

    async def cookie(self) -> str:
        """The Cookie header of a session, made by the sign-in form."""
        async with self._turn:
            return await self._signed_in()

    async def _signed_in(self) -> str:
        if not self._cookie:
            fragment = await self.site.ask("GET", "/_layout/tokenhtml")
            visitor = fragment.cookies[csrf.COOKIE]
            form = {"username": self.username, "password": self.password, csrf.FIELD: _proof(fragment.text)}
            answer = await self.site.ask(
                "POST",
                "/SignIn",
                {"content-type": "application/x-www-form-urlencoded", "cookie": f"{csrf.COOKIE}={visitor}"},
                urlencode(form).encode(),
            )
            assert answer.status == 303, answer.text
            self._cookie = f"{sessions.COOKIE}={answer.cookies[sessions.COOKIE]}"
        return self._cookie

    async def proof(self) -> str:
        """The anti-forgery token of the session."""
        async with self._turn:
            if not self._proof:
                fragment = await self.site.ask("GET", "/_layout/tokenhtml", {"cookie": await self._signed_in()})
                self._proof = _proof(fragment.text)
            return self._proof

    async def headers(self, path: str | bytes) -> dict[str, str]:
        """What a client of this person sends to a path: a token for the OData doors, else the session."""
        text = path if isinstance(path, str) else path.decode("latin-1")
        if text.startswith(("/data", "/api/data/")):
            return {"authorization": f"Bearer {await self.token()}"}
        return {"cookie": await self.cookie()}

    async def get(self, target: str | bytes, headers: Mapping[str, str] = {}) -> Answer:
        return await self.site.ask("GET", target, {**await self.headers(target), **headers})

    async def patch(self, target: str, changes: object, headers: Mapping[str, str] = {}) -> Answer:
        """``changes``: a value to be sent as JSON, or bytes to be sent as they are."""
        given = {**await self.headers(target), "content-type": "application/json", **headers}
        if target.startswith("/_api"):
            given.setdefault(csrf.HEADER, await self.proof())
        body = changes if isinstance(changes, bytes) else json.dumps(changes).encode()
        return await self.site.ask("PATCH", target, given, body)

    async def pages(self, target: str, headers: Mapping[str, str] = {}) -> list[Answer]:
        """Every page of a set, following ``@odata.nextLink``."""
        answers = [await self.get(target, headers)]
        while (link := answers[-1].json.get("@odata.nextLink")) is not None:
            assert len(answers) < 500, "the pages never end"
            assert link.startswith("http://portal.test/")
            answers.append(await self.get(link.removeprefix("http://portal.test"), headers))
        return answers

    async def everything(self, target: str, headers: Mapping[str, str] = {}) -> list[dict[str, Any]]:
        """The rows of all pages of a set."""
        return [row for page in await self.pages(target, headers) for row in page.rows]

    async def principal(self, door: Door = Door.PORTAL) -> Principal:
        """The principal as identity makes it for the person's next request."""
        if self.contact is not None and door in (Door.PORTAL, Door.PORTAL_API):
            return await self.site.forecourt.principals.for_contact(self.contact)
        return await self.site.forecourt.principals.for_operations_user(self.operations_user or "")


def _proof(fragment: str) -> str:
    found = re.search(r'value="([^"]+)"', fragment)
    assert found is not None, fragment
    return found.group(1)


@dataclass
class Installation:
    """A solution with databases of its own. ``url``/``dataverse_url``: of the two planes, maybe one database."""

    root: Path
    forecourt: Forecourt
    url: str
    dataverse_url: str
    observed: list[Observation]
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    app: App = field(init=False)
    _people: dict[str, Person] = field(default_factory=dict)
    _plain: dict[str, asyncpg.Connection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = Server(self.forecourt, CollectorRegistry())

    async def ask(
        self,
        method: str,
        target: str | bytes,
        headers: Mapping[str, str] | Sequence[tuple[bytes, bytes]] = {},
        body: bytes = b"",
    ) -> Answer:
        return await ask(self.app, method, target, headers, body)

    @property
    def header_name(self) -> str:
        return self.forecourt.header.name

    @property
    def faults(self) -> list[Fault]:
        """Exceptions that became a 500, since the last look."""
        found = [item for item in self.observed if isinstance(item, Fault)]
        self.observed.clear()
        return found

    # -- plain SQL: what is really in the databases, seen by a superuser ---------------------------------------

    async def sql(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Rows of the operations database, around everything that is tested."""
        return list(await (await self._connection(self.url)).fetch(statement, *values))

    async def dataverse(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """The same of the Dataverse database."""
        return list(await (await self._connection(self.dataverse_url)).fetch(statement, *values))

    async def value(self, statement: str, *values: object) -> Any:
        return (await self.sql(statement, *values))[0][0]

    async def _connection(self, address: str) -> asyncpg.Connection:
        if address not in self._plain:
            self._plain[address] = await asyncpg.connect(address)
        return self._plain[address]

    # -- people ------------------------------------------------------------------------------------------------

    def signed_up(self, username: str) -> Person:
        """Somebody of the sample's sign-ins."""
        if username not in self._people:
            entry = self.credentials[username]
            contact = entry.get("contactid")
            self._people[username] = Person(
                self, username, entry["password"], entry["operations_user"], uuid.UUID(contact) if contact else None
            )
        return self._people[username]

    def in_role(self, role: str, number: int = 0) -> Person:
        """The n-th sign-in of a web role that is mapped, '' for people of the operations side."""
        found = [
            name
            for name, entry in self.credentials.items()
            if entry["web_roles"] == ([role] if role else []) and entry["operations_user"]
        ]
        return self.signed_up(found[number])

    async def operations_user(self, user_id: str) -> Person:
        """A person who has a token for an operations user, and no contact."""
        name = f"direct-{user_id}"
        if name not in self._people:
            password = generate_password()
            await self.forecourt.accounts.create(name, password, operations_user=user_id)
            self._people[name] = Person(self, name, password, user_id, None)
        return self._people[name]

    async def contact_of(self, user_id: str) -> Person:
        """The contact that is mapped to an operations user, with a new sign-in unless it has one."""
        for name, entry in self.credentials.items():
            if entry["operations_user"] == user_id and entry.get("contactid"):
                return self.signed_up(name)
        name = f"contact-{user_id}"
        if name not in self._people:
            rows = await self.dataverse(
                "select msdyn_contactid from dataverse.msdyn_externalportalusermapping where msdyn_userid = $1", user_id
            )
            contact = uuid.UUID(str(rows[0][0]))
            password = generate_password()
            await self.forecourt.accounts.create(name, password, contact_id=contact)
            self._people[name] = Person(self, name, password, user_id, contact)
        return self._people[name]

    def row_id(self, table: str, record: int) -> uuid.UUID:
        """The id of a virtual table's row, from the number of the root row."""
        entity = self.forecourt.definitions.tables.by_name[table].entity
        number = entity.fields[entity.key[0]].record_of
        assert number is not None
        return record_id.encode(number, record)

    async def close(self) -> None:
        for connection in self._plain.values():
            await connection.close()
        await self.forecourt.databases.close()


@asynccontextmanager
async def installed(
    root: Path,
    operations_url: str,
    dataverse_url: str = "",
    credentials: Sequence[Mapping[str, Any]] = (),
    settings: Settings = SETTINGS,
) -> AsyncIterator[Installation]:
    """A solution's folder over databases that are loaded already. Raises DefinitionErrors."""
    observed: list[Observation] = []
    operations = await Database.open(operations_url, observed.append, settings.lane_size)
    shared = not dataverse_url or dataverse_url == operations_url
    dataverse = operations if shared else await Database.open(dataverse_url, observed.append, settings.lane_size)
    databases = Databases(operations, dataverse, None)
    try:
        forecourt = await build(root, databases, settings, observed.append)
    except BaseException:
        await databases.close()
        raise
    site = Installation(
        root,
        forecourt,
        operations_url,
        dataverse_url or operations_url,
        observed,
        {entry["username"]: dict(entry) for entry in credentials},
    )
    try:
        yield site
    finally:
        await site.close()


# ---------------------------------------------------------------------------------------------- databases


def run_folder(name: str) -> Path:
    """A folder of the test run that all its workers share."""
    return Path(os.environ[VARIABLE]) / "templates" / name


async def ensure_template(
    server: EmbeddedServer, name: str, load: Callable[[str], Awaitable[None]], basis: str = "template1"
) -> None:
    """Makes the database ``name`` once per run; ``load`` fills it, given the address of one that is as ``basis``.

    Half-loaded ones never carry the name, so a worker that dies in the middle leaves the work to the next.
    """
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute("select pg_advisory_lock(hashtext($1))", name)
        if await connection.fetchval("select 1 from pg_database where datname = $1", name):
            return
        await connection.execute(f'drop database if exists "{name}_draft" with (force)')
        await connection.execute(f'create database "{name}_draft" template "{basis}"')
        await load(server.url(f"{name}_draft"))
        await connection.execute(f'alter database "{name}_draft" rename to "{name}"')
    finally:
        await connection.close()


@asynccontextmanager
async def cloned(server: EmbeddedServer, template: str) -> AsyncIterator[str]:
    """The address of a copy of a template, dropped afterwards."""
    name = f"{template}_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(f'create database "{name}" template "{template}" strategy file_copy')
        try:
            yield server.url(name)
        finally:
            await connection.execute(f'drop database "{name}" with (force)')
    finally:
        await connection.close()


# ------------------------------------------------------------------------------------------- a real server


@contextmanager
def serving(start: Callable[[Settings], Any], certificate: tuple[Path, Path] | None = None) -> Iterator[str]:
    """The address of a real server on a free loopback port, in a thread with an event loop of its own.

    ``start(settings)`` is an async context manager that gives the Installation to serve; ``certificate`` and its key
    make it speak TLS.
    """
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    settings = Settings(host="127.0.0.1", port=port, password_grant=True, lane_size=4)
    ready = threading.Event()
    failures: list[BaseException] = []
    stopping: list[Callable[[], None]] = []

    async def run() -> None:
        async with start(settings) as site:
            config = uvicorn.Config(
                site.app,
                loop="none",
                http="httptools",
                lifespan="off",
                log_level="warning",
                access_log=False,
                ssl_certfile=certificate[0] if certificate else None,
                ssl_keyfile=certificate[1] if certificate else None,
                timeout_graceful_shutdown=1,
            )
            server = uvicorn.Server(config)
            loop = asyncio.get_running_loop()
            stopping.append(lambda: loop.call_soon_threadsafe(setattr, server, "should_exit", True))
            listener.listen(128)
            ready.set()
            await server.serve(sockets=[listener])

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=main, name="portal", daemon=True)
    thread.start()
    ready.wait(120)
    if failures:
        raise failures[0]
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        for stop in stopping:
            stop()
        thread.join(30)
        listener.close()


# ------------------------------------------------------------------------------- the same promise, two solutions


@dataclass(frozen=True)
class Known:
    """A purchase order as plain SQL knows it: the values of its key in order, and its record id."""

    key: tuple[str | int, ...]
    recid: int


@dataclass(frozen=True)
class Surface:
    """One OData door as it shows one solution: ``data`` (/data), ``web`` (/api/data/v9.2) or ``api`` (/_api)."""

    case: Case
    name: str

    @property
    def root(self) -> str:
        return {"data": "/data", "web": "/api/data/v9.2", "api": "/_api"}[self.name]

    @property
    def options(self) -> dict[str, object]:
        return {"cross_company": True} if self.name == "data" else {}

    def table(self, entity: str) -> str:
        """The virtual table of a data entity."""
        tables = self.case.site.forecourt.definitions.tables.by_name.values()
        return next(table.name for table in tables if table.entity.virtual_of == entity)

    def set(self, entity: str) -> str:
        """The address of a data entity's set."""
        definitions = self.case.site.forecourt.definitions
        if self.name == "data":
            return f"{self.root}/{definitions.operations.model.entities[entity].collection}"
        return f"{self.root}/{definitions.tables.by_name[self.table(entity)].entity.collection}"

    def column(self, field_name: str) -> str:
        """A field, or a relation, under the name that it has here."""
        return field_name if self.name == "data" else f"mserp_{field_name.lower()}"

    def row(self, order: Known) -> str:
        """The address of a purchase order."""
        case = self.case
        if self.name != "data":
            return f"{self.set(case.orders)}({case.site.row_id(self.table(case.orders), order.recid)})"
        if len(order.key) == 1:
            return f"{self.set(case.orders)}({literal(order.key[0])})"
        pairs = ",".join(f"{name}={literal(value)}" for name, value in zip(case.key, order.key, strict=True))
        return f"{self.set(case.orders)}({pairs})"

    def orders(self, **options: object) -> str:
        """The address of the purchase orders, of all companies, with options."""
        return url(self.set(self.case.orders), **options, **self.options)

    def selecting(self, **options: object) -> str:
        """The same, with the key's columns alone."""
        return self.orders(_select=",".join(map(self.column, self.case.key)), **options)

    def keys(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str | int, ...]]:
        return [tuple(row[self.column(name)] for name in self.case.key) for row in rows]


@dataclass(frozen=True)
class Case:
    """Where a solution keeps purchase orders, and who may see which.

    ``vendors``: sign-ins; ``own``/``others``: plain SQL that gives key and record id of a person's own orders and of
    some others; ``version``/``written``: a row's version and the writable column's text, by record id.
    """

    site: Installation
    orders: str
    lines: str
    vendor: str
    key: tuple[str, ...]
    account: str
    to_lines: str
    to_vendor: str
    to_order: str
    to_orders: str
    hidden: str
    writable: str
    value: str
    closed: str
    closed_value: object
    table: str
    record: str
    column: str
    usernames: tuple[str, ...]
    own_sql: str
    others_sql: str
    list_path: str

    def surface(self, name: str) -> Surface:
        return Surface(self, name)

    def person(self, number: int = 0) -> Person:
        return self.site.signed_up(self.usernames[number])

    async def own(self, person: Person) -> list[Known]:
        """A person's own orders, by plain SQL."""
        return [Known(tuple(row)[:-1], row[-1]) for row in await self.site.sql(self.own_sql, self.subject(person))]

    async def others(self, person: Person, count: int = 5) -> list[Known]:
        """Orders of other vendors, those that a forgetful rule would show first."""
        rows = await self.site.sql(self.others_sql, self.subject(person), count)
        return [Known(tuple(row)[:-1], row[-1]) for row in rows]

    def subject(self, person: Person) -> str:
        """What the hand-written SQL starts from: the user's id or e-mail address."""
        return person.username if "emailaddress" in self.own_sql else str(person.operations_user)

    async def stored(self, order: Known) -> dict[str, Any]:
        """The whole row of an order, with its version, as it is in the database."""
        rows = await self.site.sql(f"select xmin, * from {self.table} where {self.record} = $1", order.recid)
        return dict(rows[0])


def literal(value: object) -> str:
    """A value in a URL.

    >>> literal("O'Hara"), literal(5)
    ("'O''Hara'", '5')
    """
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def table_rows(page: str) -> list[tuple[uuid.UUID, str]]:
    """The rows of a list page, as (id in the row's link, text of its first cell)."""
    found = re.findall(r'<a class="fc-row-link" href="[^"]*[?&;]id=([0-9a-f-]{36})[^"]*">([^<]*)</a>', page)
    return [(uuid.UUID(number), text) for number, text in found]


def next_page(page: str) -> str | None:
    """The address behind a list page's link to the next one."""
    found = re.search(r'<a class="btn[^"]*" href="([^"]+)" rel="next">', page)
    return None if found is None else html.unescape(found.group(1))
