"""Offers over NATS JetStream: a work queue that workers on any machine pull from.

    stream     of one Dataverse database (``scope``), on disk; one message a map at most, the latest; an offer that is
               made again within the window is the same message
    consumer   one, shared by all workers: explicit acknowledgement; a worker that says nothing for half a minute loses
               its errand to another one; after a number of deliveries it is taken off the stream

The server may be away, come back empty, or deliver twice: what it holds are references (``transport``). What waits is
offered again every minute, under a new number, for as long as it waits.
Source: docs.nats.io, JetStream: streams, consumers, and message deduplication.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MsgAlreadyAckdError
from nats.errors import TimeoutError as NothingYet
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError

from forecourt.integration.dual_write.transport import Errand, Offer
from forecourt.kernel.errors import Unavailable
from forecourt.kernel.observe import Fault, Observer

#: Seconds: to reach the server, between two attempts, of one look for an errand, until a silent worker's errand goes to
#: another one, until an offer counts as a new one.
CONNECT = 5.0
PAUSE = 0.5
LOOK = 5.0
SILENCE = 30.0
WINDOW = 60.0

#: Deliveries of one message at most.
DELIVERIES = 10

#: Bytes of a message at most, and name of the consumer.
SIZE = 4096
WORKERS = "workers"


@dataclass(frozen=True, slots=True)
class Access:
    """Where servers are and how to get in. ``credentials``: path of a file with a JWT and its key, '' for none."""

    servers: tuple[str, ...]
    credentials: str = ""
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, urls: str, credentials: str = "", authority: str = "") -> Access:
        """``urls``: separated by commas, with a user and password or a token where needed; ``tls://`` for TLS.
        ``authority``: path of the certificates to trust, '' for the system's.

        Raises ValueError for what is no such URL, OSError for a file that cannot be read.
        """
        servers = tuple(url.strip() for url in urls.split(",") if url.strip())
        for server in servers:
            parts = urlsplit(server)
            if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.port == 0:
                raise ValueError(f"write nats://host:4222 or tls://host:4222, not {parts.scheme or 'text'}://...")
        if not servers:
            raise ValueError("no server is named")
        if credentials:
            Path(credentials).read_bytes()
        secure = authority or any(server.startswith("tls:") for server in servers)
        return cls(servers, credentials, ssl.create_default_context(cafile=authority or None) if secure else None)

    @property
    def options(self) -> dict[str, Any]:
        """For the client."""
        found: dict[str, Any] = {"servers": list(self.servers), "tls": self.tls}
        return found | {"user_credentials": self.credentials} if self.credentials else found


class JetStream:
    """A :class:`~forecourt.integration.dual_write.transport.Transport`. ``scope``: what tells this Dataverse database
    from others that use the same server."""

    def __init__(self, access: Access, scope: str, observer: Observer) -> None:
        self._access = access
        self._observer = observer
        self._stream = f"forecourt-{scope}"
        self._prefix = f"forecourt.{scope}"
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._making = asyncio.Lock()
        self._offered: dict[str, str] = {}
        self._away = False

    # -- the transport --------------------------------------------------------------------------------------------

    async def offer(self, offer: Offer) -> None:
        """Publishes an offer, once a minute at most. Raises Unavailable."""
        number = self._number(offer)
        if self._offered.get(offer.map) == number:
            return
        try:
            context = await self._ready()
            subject = f"{self._prefix}.{quote(offer.map, safe='').replace('.', '%2E')}"
            payload = msgspec.json.encode(offer)
            await context.publish(subject, payload, timeout=CONNECT, headers={"Nats-Msg-Id": number})
        except (NatsError, OSError, TimeoutError) as error:
            self._lost(error)
            raise Unavailable("The NATS server cannot be reached.") from error
        self._offered[offer.map] = number

    async def errands(self) -> AsyncIterator[Errand]:
        """One errand after the other. Waits while the server is away."""
        subscription: JetStreamContext.PullSubscription | None = None
        known: JetStreamContext | None = None
        try:
            while True:
                try:
                    context = await self._ready()
                    if subscription is None or context is not known:
                        subscription = await context.pull_subscribe_bind(WORKERS, self._stream)
                        known = context
                    (message,) = await subscription.fetch(1, timeout=LOOK)
                except NothingYet:
                    continue
                except (NatsError, OSError, TimeoutError) as error:
                    self._lost(error)
                    await asyncio.sleep(PAUSE)
                    continue
                errand = await _errand(message)
                if errand is not None:
                    yield errand
        finally:
            if subscription is not None:
                with suppress(NatsError, OSError):
                    await subscription.unsubscribe()

    async def close(self) -> None:
        """Lets go of the server."""
        client, self._client, self._context = self._client, None, None
        if client is not None:
            with suppress(NatsError, OSError, TimeoutError):
                await client.close()

    # -- the server -----------------------------------------------------------------------------------------------

    async def _ready(self) -> JetStreamContext:
        """The server, with stream and consumer made. Raises what the client raises."""
        async with self._making:
            if self._client is None or self._client.is_closed:
                self._client = await self._connected()
                self._context = None
            if self._context is None:
                context = self._client.jetstream(timeout=CONNECT)
                await self._make(context)
                self._context = context
                self._offered.clear()
                self._away = False
            return self._context

    async def _connected(self) -> Client:
        async def again() -> None:
            self._context = None  # it may have come back empty

        async def quiet(error: Exception) -> None:
            self._lost(error)

        client = Client()
        try:
            async with asyncio.timeout(CONNECT):
                await client.connect(
                    name="forecourt",
                    connect_timeout=2,
                    reconnect_time_wait=PAUSE,  # type: ignore[arg-type]
                    max_reconnect_attempts=-1,
                    reconnected_cb=again,
                    error_cb=quiet,
                    **self._access.options,
                )
        except BaseException:
            with suppress(Exception):
                await client.close()
            raise
        return client

    async def _make(self, context: JetStreamContext) -> None:
        stream = StreamConfig(
            name=self._stream,
            subjects=[f"{self._prefix}.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.OLD,
            storage=StorageType.FILE,
            max_msgs_per_subject=1,
            max_msg_size=SIZE,
            duplicate_window=WINDOW,
        )
        try:
            await context.add_stream(stream)
        except BadRequestError:  # of an earlier version
            await context.update_stream(stream)
        workers = ConsumerConfig(
            durable_name=WORKERS, ack_policy=AckPolicy.EXPLICIT, ack_wait=SILENCE, max_deliver=DELIVERIES
        )
        await context.add_consumer(self._stream, workers)

    def _lost(self, error: Exception) -> None:
        """Looks at everything anew; says once that the server is away."""
        self._context = None
        if not self._away:
            self._away = True
            self._observer(Fault("nats", error))

    @staticmethod
    def _number(offer: Offer) -> str:
        text = f"{offer.map}\0{offer.mark}\0{int(time.time() // WINDOW)}"
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


async def _errand(message: Msg) -> _Message | None:
    """The errand of a message; None for one that is none of ours."""
    try:
        return _Message(message, msgspec.json.decode(message.data, type=Offer).map)
    except (msgspec.DecodeError, msgspec.ValidationError):
        await _Message(message, "").drop()
        return None


class _Message:
    """An errand."""

    def __init__(self, message: Msg, map: str) -> None:
        self._message = message
        self.map = map

    async def busy(self) -> None:
        with suppress(NatsError, OSError):
            await self._message.in_progress()

    async def done(self) -> None:
        with suppress(NatsError, MsgAlreadyAckdError, OSError):
            await self._message.ack()

    async def later(self, seconds: float) -> None:
        if self._message.metadata.num_delivered >= DELIVERIES:
            await self.drop()
            return
        with suppress(NatsError, MsgAlreadyAckdError, OSError):
            await self._message.nak(seconds)

    async def drop(self) -> None:
        with suppress(NatsError, MsgAlreadyAckdError, OSError):
            await self._message.term()
