"""The databases of a solution: opened, and brought up to date."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from forecourt.app.definitions import read_header
from forecourt.dataverse.definitions import TableFile
from forecourt.dataverse.design import merged
from forecourt.dataverse.organization import settle
from forecourt.dataverse.schema_apply import bring_up
from forecourt.dataverse.solution import read_tables
from forecourt.identity.schema import SCRIPTS
from forecourt.kernel.model import Where
from forecourt.kernel.observe import Observer, nobody
from forecourt.kernel.solution import EMBEDDED, SolutionHeader, expand
from forecourt.operations.packages.schema import SCRIPTS as PACKAGES
from forecourt.settings import Settings
from forecourt.store.database import Database
from forecourt.store.embedded import EmbeddedServer
from forecourt.store.folder import Faults
from forecourt.store.form_sessions import SCRIPTS as FORM_SESSIONS
from forecourt.store.integration_log import SCRIPTS as INTEGRATION_LOG
from forecourt.store.migrate import migrate
from forecourt.store.seals import SCRIPTS as SEALS
from forecourt.store.security_log import SCRIPTS as SECURITY_LOG
from forecourt.store.servers import SCRIPTS as SERVERS
from forecourt.store.submissions import SCRIPTS as SUBMISSIONS
from forecourt.store.watched import SCRIPTS as WATCH
from forecourt.store.watched import watch
from forecourt.store.work import SCRIPTS as DECISIONS

DATABASE = "forecourt"

#: Held while a process prepares the schema or loads the sample, so that two at once do not meet.
PREPARING = 0x464F52455052


@dataclass(frozen=True)
class Databases:
    """The open databases of a solution; one object twice where both planes share a database."""

    operations: Database
    dataverse: Database
    server: EmbeddedServer | None

    @property
    def shared(self) -> bool:
        return self.operations is self.dataverse

    async def close(self) -> None:
        await self.operations.close()
        if not self.shared:
            await self.dataverse.close()
        if self.server is not None:
            self.server.stop()


async def connect(root: Path, data: Path, settings: Settings, observer: Observer = nobody) -> Databases:
    """Opens the databases that ``solution.yaml`` names, starting the embedded server where one is asked for."""
    header = read_header(root)
    place = Where((root / "solution.yaml").as_posix(), 1)
    names = header.connections
    server = None
    if EMBEDDED in (names.operations, names.dataverse):
        server = await asyncio.to_thread(_start, data)
    urls = [
        server.url(DATABASE) if server is not None and text == EMBEDDED else expand(text, place)
        for text in (names.operations, names.dataverse)
    ]
    size, limit = settings.lane_size, settings.statement_timeout
    operations = await Database.open(urls[0], observer, lane_size=size, statement_timeout=limit)
    same = urls[0] == urls[1]
    dataverse = operations if same else await Database.open(urls[1], observer, size, limit)
    return Databases(operations, dataverse, server)


def _start(data: Path) -> EmbeddedServer:
    data.mkdir(parents=True, exist_ok=True)
    server = EmbeddedServer.start(data / "postgres")
    server.ensure_database(DATABASE)
    return server


async def prepare(root: Path, databases: Databases) -> None:
    """Brings Forecourt's own schema and the native Dataverse tables up to date."""
    logs, forms = (*SECURITY_LOG, *SEALS, *WATCH), (*SUBMISSIONS, *FORM_SESSIONS)
    await migrate(databases.dataverse, (*SCRIPTS, *DECISIONS, *INTEGRATION_LOG, *PACKAGES, *logs, *SERVERS, *forms))
    header, files = read_header(root), read_table_files(root)
    await bring_up(databases.dataverse, files, base_currency(header))
    async with databases.dataverse.transaction("bring the Dataverse tables up to date") as tx:
        await tx.execute("select pg_advisory_xact_lock($1)", PREPARING)
        await settle(tx, root, header.title or header.name, merged(files))
        await watch(tx)


def read_table_files(root: Path) -> list[TableFile]:
    """The table files of a solution, built-in ones first. Raises DefinitionErrors."""
    faults = Faults()
    files = read_tables(root, faults)
    faults.raise_any()
    return [item.record for item in files]


def base_currency(header: SolutionHeader) -> str:
    """The base currency of a new database: that of the first legal entity that has one."""
    return next((item.currency for item in header.legal_entities if item.currency), "USD")
