"""The solution under measurement: its sample in a folder of its own, tokens, the SQL that it sends, its server.

Before anything is timed, every question is asked of every door, in this process, and compared with the rows that the
hand-written SQL gives.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from prometheus_client import CollectorRegistry

from forecourt.app import Forecourt
from forecourt.cli.benching.machine import parent, pin
from forecourt.cli.benching.pgbench import Sent, by_hand, from_sent
from forecourt.cli.benching.questions import Question
from forecourt.cli.benching.suite import Scenario, Suite, Variant, named, spread
from forecourt.cli.workspace import example, opened
from forecourt.identity.tokens import LONGEST_LIFETIME
from forecourt.kernel.plan import SystemPlan
from forecourt.server import Server
from forecourt.settings import from_environment
from forecourt.store.database import Database
from forecourt.store.lanes import Lane, Record

HOST = "127.0.0.1"

#: Who asks: a token of the operations user itself, or of a contact that is mapped to it.
IDENTITIES = ("operations user", "contact")
DOORS = ("/data", "virtual table")

#: Somebody whom no policy constrains, and who writes its predicate into ``$filter``.
UNCONSTRAINED = "no policy, its predicate in $filter"

#: Seconds that the server may take to start.
_PATIENCE = 120.0


@dataclass(frozen=True)
class Subject:
    """``url`` of the database, ``postmaster``: PostgreSQL's first process."""

    solution: Path
    data: Path
    port: int
    url: str
    postmaster: int
    postgresql: str
    questions: tuple[Question, ...]

    @property
    def origin(self) -> str:
        return f"http://{HOST}:{self.port}"


@asynccontextmanager
async def prepared(suite: Suite, names: Sequence[str], data: Path, scale: int) -> AsyncIterator[Subject]:
    """The solution, with its sample loaded and every answer checked. Raises ClickException for a wrong one."""
    solution, port = example(suite.solution), free_port()
    origin = f"http://{HOST}:{port}"
    settings = from_environment(host=HOST, port=port, base_url=origin)
    async with opened(solution, data, settings, scale=scale) as forecourt:
        database = forecourt.databases.operations
        tokens = await _tokens(forecourt, suite)
        chosen = [scenario for scenario in suite.scenarios if not names or scenario.name in names]
        asker = Asker(forecourt, origin)
        questions = tuple([await _question(scenario, database, tokens, asker) for scenario in chosen])
        yield await subject_of(forecourt, solution, data, port, questions)


async def subject_of(
    forecourt: Forecourt, solution: Path, data: Path, port: int, questions: tuple[Question, ...]
) -> Subject:
    """The subject with these questions. Raises ClickException without the embedded database."""
    server = forecourt.databases.server
    if server is None:
        raise click.ClickException("The benchmark measures solutions with the embedded database.")
    about = "select pg_backend_pid(), current_setting('server_version')"
    backend, version = (await system(forecourt.databases.operations, about))[0]
    return Subject(solution, data, port, server.url(), parent(backend), version, questions)


async def _tokens(forecourt: Forecourt, suite: Suite) -> Mapping[str, str]:
    found = await system(forecourt.databases.dataverse, suite.contact, suite.user)
    if not found:
        raise click.ClickException(f"No contact is mapped to {suite.user}.")
    issue = forecourt.tokens.issue
    free = {UNCONSTRAINED: issue(suite.unconstrained, "operations", client_id="bench", lifetime=LONGEST_LIFETIME)}
    return (free if suite.unconstrained else {}) | {
        "operations user": issue(suite.user, "operations", client_id="bench", lifetime=LONGEST_LIFETIME),
        "contact": issue(str(found[0][0]), "contact", client_id="bench", lifetime=LONGEST_LIFETIME),
    }


async def _question(scenario: Scenario, database: Database, tokens: Mapping[str, str], asker: Asker) -> Question:
    rows = [dict(row.items()) for row in await system(database, scenario.variants)]
    variants = spread([named(row, scenario.entity_id) for row in rows])
    if not variants:
        raise click.ClickException(f"{scenario.name}: the sample has no rows to ask for.")
    requests: dict[tuple[str, str], tuple[str, ...]] = {}
    sent: list[list[Sent]] = []
    for door, template in zip(DOORS, (scenario.data, scenario.virtual), strict=True):
        targets = [url(template, variant) for variant in variants]
        for identity in IDENTITIES:
            requests[door, identity] = await _asked(
                scenario, door, targets, variants, database, tokens[identity], asker
            )
        if door == DOORS[0]:
            with recorded(database) as log:
                for target in targets:
                    log.clear()
                    await asker.ask(target, tokens[IDENTITIES[0]])
                    sent.append(list(log))
    if scenario.filtered and UNCONSTRAINED in tokens:
        targets = [url(scenario.filtered, variant) for variant in variants]
        requests[DOORS[0], UNCONSTRAINED] = await _asked(
            scenario, DOORS[0], targets, variants, database, tokens[UNCONSTRAINED], asker
        )
    return Question(scenario.name, requests, from_sent(sent), by_hand(scenario.sql, variants))


async def _asked(
    scenario: Scenario,
    door: str,
    targets: Sequence[str],
    variants: Sequence[Variant],
    database: Database,
    token: str,
    asker: Asker,
) -> tuple[str, ...]:
    """The requests of one identity at one door, each of them asked and its answer checked."""
    for target, variant in zip(targets, variants, strict=True):
        status, body = await asker.ask(target, token)
        await _check(scenario, door, database, variant, status, body)
    return tuple(raw(asker.origin, target, token) for target in targets)


async def _check(scenario: Scenario, door: str, database: Database, variant: Variant, status: int, body: bytes) -> None:
    """The answer has the rows of the hand-written SQL, in their order."""
    work = by_hand(scenario.sql, [variant])[0].scripts[0]
    sql, values = work.text, []
    for place, (name, value) in enumerate(work.variables.items(), 1):
        sql = sql.replace(f":{name}", f"${place}")
        values.append(value)
    expected = [row[scenario.sql_id] for row in await system(database, sql, *values)]
    name = scenario.data_id if door == DOORS[0] else scenario.virtual_id
    answer = json.loads(body) if status == 200 else {}
    if scenario.rows is None:
        found, count = [answer.get(name)], 1
    else:
        found, count = [row.get(name) for row in answer.get("value", ())], scenario.rows
    if status != 200 or found != expected or len(found) != count:
        shown = body[:300].decode(errors="replace")
        told = f"{status} with {len(found)} rows; {count} were expected, those of the hand-written SQL"
        raise click.ClickException(f"{scenario.name}, {door}: {told}. Nothing was timed. {shown}")


async def system(database: Database, sql: str, *values: object) -> list[Record]:
    """The rows of a statement of the benchmark itself."""
    return await database.system(SystemPlan("benchmark", sql, values))


@contextmanager
def recorded(database: Database) -> Iterator[list[Sent]]:
    """Everything that requests send to the database meanwhile, with its lane."""
    log: list[Sent] = []
    lanes: Mapping[str, Lane] = database._lanes

    def watch(name: str, lane: Lane) -> None:
        send = lane.fetch

        async def fetch(sql: str, arguments: Sequence[object]) -> list[Record]:
            log.append(Sent(sql, tuple(arguments), name))
            return await send(sql, arguments)

        lane.fetch = fetch  # type: ignore[method-assign]

    for name, lane in lanes.items():
        watch(name, lane)
    try:
        yield log
    finally:
        for lane in lanes.values():
            del lane.fetch


class Asker:
    """Asks the ASGI application in this process."""

    def __init__(self, forecourt: Forecourt, origin: str) -> None:
        self._server = Server(forecourt, CollectorRegistry())
        self.origin = origin

    async def ask(self, target: str, token: str) -> tuple[int, bytes]:
        """Status and body of a GET with a token."""
        return await self.get(target, {"authorization": f"Bearer {token}"})

    async def get(self, target: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """The same, with headers of one's own."""
        path, _, query = target.partition("?")
        host = self.origin.partition("//")[2].encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", host), *((name.encode(), value.encode()) for name, value in headers.items())],
        }
        messages: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await self._server(scope, receive, send)
        return messages[0]["status"], b"".join(message.get("body", b"") for message in messages[1:])


def url(template: str, variant: Variant) -> str:
    """The path and query of a question.

    >>> url("/data/Orders('{n}')?$filter=A eq '{n}'", {"n": "ä 1"})
    "/data/Orders('%C3%A4%201')?$filter=A%20eq%20'%C3%A4%201'"
    """
    text = " ".join(template.split())
    for name, value in variant.items():
        text = text.replace("{" + name + "}", quote(value, safe=""))
    return text.replace(" ", "%20")


def raw(origin: str, target: str, token: str) -> str:
    """A whole HTTP request, with the headers that clients of these doors usually send."""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {origin.partition('//')[2]}\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\nOData-Version: 4.0\r\nOData-MaxVersion: 4.0\r\nUser-Agent: forecourt-bench\r\n\r\n"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(subject: Subject, core: int) -> Iterator[int]:
    """``forecourt serve``, one process on ``core``. Gives its process id. Raises ClickException."""
    command = ["serve", str(subject.solution), "--data", str(subject.data), "--port", str(subject.port)]
    code = "import sys; from forecourt.cli import main; main(sys.argv[1:])"
    log = subject.data / "bench-server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *command, "--base-url", subject.origin], stdout=output, stderr=output
        )
    try:
        pin(process.pid, core)
        _await_answer(process, subject, log)
        pin(process.pid, core)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(process: subprocess.Popen[bytes], subject: Subject, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{subject.origin}/health", timeout=5) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    end = log.read_bytes()[-1500:].decode(errors="replace").strip()
    raise click.ClickException(f"The server does not answer. Its log ends: {end}" + os.linesep)
