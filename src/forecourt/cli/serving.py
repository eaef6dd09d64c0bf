"""The application of a server process, which takes up changed rules without a stop.

It is built once, and built again when somebody asks for a reload (``store/servers``): from the files as they are then,
over the same databases. Requests that are running go on as they began; every later one is decided by the new rules. A
reload that cannot be built is refused, and the server goes on as before and says so.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final

from prometheus_client import CollectorRegistry

from forecourt.app import Forecourt, build
from forecourt.cli.background import background
from forecourt.cli.rule_files import digest_of, rule_digests
from forecourt.kernel.errors import ForecourtError, Refusal, Unavailable
from forecourt.kernel.observe import Fault, Observer
from forecourt.security.http import AsgiScope, Receive, Send
from forecourt.server import Server
from forecourt.store.servers import Servers, here

#: Seconds between two looks at whether a reload is wanted, and looks after which the server says that it runs.
POLL: Final = 0.5
LOOKS: Final = 6


class Serving:
    """A solution, served. An async context manager: what runs in the background runs inside of it."""

    def __init__(self, root: Path, forecourt: Forecourt, registry: CollectorRegistry, observer: Observer) -> None:
        self._root = root
        self._registry = registry
        self._observer = observer
        self.forecourt = forecourt
        self._app = Server(forecourt, registry)
        self._servers = Servers(forecourt.databases.dataverse)
        self._running = AsyncExitStack()

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def __aenter__(self) -> Serving:
        digests = rule_digests(self._root)
        await self.forecourt.security_log.note_rules(digests)
        self._id, self._served = here(await self._servers.last(), digest_of(digests))
        await self._servers.beat(self._id, self._served)
        await self._running.enter_async_context(background(self.forecourt))
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)
        await self._running.aclose()
        try:
            await self._servers.leave(self._id)
        except (Refusal, Unavailable) as failed:
            self._observer(Fault("servers", failed))

    async def _follow(self) -> None:
        """Takes up what is asked for."""
        for look in count(1):
            await asyncio.sleep(POLL)
            try:
                if look % LOOKS == 0:
                    await self._servers.beat(self._id, self._served)
                wanted = await self._servers.last()
                if wanted > self._served.reload:
                    await self._reload(wanted)
                    await self._servers.beat(self._id, self._served)
            except (Refusal, Unavailable) as error:
                self._observer(Fault("reload", error))

    async def _reload(self, number: int) -> None:
        old, digests = self.forecourt, rule_digests(self._root)
        try:
            forecourt = await build(self._root, old.databases, old.settings, self._observer)
            app = Server(forecourt, self._registry)
        except (Refusal, Unavailable):
            raise
        except Exception as error:  # whatever is wrong with the files, their Python among them: as it was before
            if not isinstance(error, ForecourtError):
                self._observer(Fault("reload", error))
            self._served = replace(self._served, reload=number, refused=str(error) or type(error).__name__)
            return
        self.forecourt, self._app = forecourt, app
        await self._exchange(digests)
        self._served = replace(self._served, reload=number, digest=digest_of(digests), refused="")

    async def _exchange(self, digests: Mapping[str, str]) -> None:
        """What runs in the background is the new one's."""
        await self._running.aclose()
        self._running = AsyncExitStack()
        await self._running.enter_async_context(background(self.forecourt))
        await self.forecourt.security_log.note_rules(digests)
        gc.unfreeze()
        gc.collect()
        gc.freeze()
