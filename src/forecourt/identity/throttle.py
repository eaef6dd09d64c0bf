"""Failed attempts per address: at most so many in a window, whoever they name.

An attempt is *charged* before it is decided and the charge is taken back when it succeeds. So attempts that run at
the same moment count each other, and an attempt whose process dies counts as failed. An advisory lock per address
makes count and insert one step; within a process attempts of one address take turns before they ask for a connection,
so that a flood from one address holds one connection.

An IPv6 address counts by its /64, which is what one subscriber holds. Defaults: 30 in 3 minutes; the portal's own
are in the reference (pages-and-dataverse A3.3, LoginThrottling).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
from typing import Final

from forecourt.identity.clock import Clock
from forecourt.kernel.errors import Refusal
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

_LOCK: Final = "select pg_advisory_xact_lock(hashtextextended('forecourt.sign_in_failure ' || $1, 0))"
_FORGET: Final = "delete from forecourt.sign_in_failure where address = $1 and at <= $2"
_COUNT: Final = "select count(*) as attempts, min(at) as first from forecourt.sign_in_failure where address = $1"
_CHARGE: Final = "insert into forecourt.sign_in_failure (address, at) values ($1, $2) returning id"
_REFUND: Final = "delete from forecourt.sign_in_failure where id = $1"
_PURGE: Final = "delete from forecourt.sign_in_failure where at <= $1"


#: No throttle looks back further.
LONGEST_WINDOW: Final = dt.timedelta(days=1)


class Throttle:
    """Counts failures by address in the database, hence across processes. ``name``: throttles of different names do not
    count each other's; ``refusal``: what is said to an address that has used up its attempts."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        limit: int = 30,
        window: dt.timedelta = dt.timedelta(minutes=3),
        name: str = "",
        refusal: str = "Too many failed sign-ins from this address.",
    ) -> None:
        if window > LONGEST_WINDOW:
            raise ValueError("a window is a day at most")
        self._database = database
        self._clock = clock
        self._limit = limit
        self._window = window
        self._prefix = f"{name} " if name else ""
        self._refusal = refusal
        self._turns = tuple(asyncio.Lock() for _ in range(256))

    async def charge(self, address: str) -> int:
        """Counts one attempt from ``address`` and gives its number, for :meth:`refund`.

        Raises Refusal FC2004 (429 with Retry-After) when the address has used up its failures.
        """
        now = self._clock()
        group = self._prefix + address_group(address)
        turn = self._turns[hash(group) % len(self._turns)]
        async with turn, self._database.transaction("count sign-in attempts of an address") as tx:
            await tx.execute(_LOCK, group)
            await tx.execute(_FORGET, group, now - self._window)
            [row] = await tx.fetch(_COUNT, group)
            if row["attempts"] < self._limit:
                [charged] = await tx.fetch(_CHARGE, group, now)
                return int(charged["id"])
        wait = max(1, int((row["first"] + self._window - now).total_seconds()) + 1)
        raise Refusal(
            "FC2004",
            self._refusal,
            hint="Wait some minutes and try again.",
            headers=(("Retry-After", str(wait)),),
        )

    async def refund(self, charge: int) -> None:
        """The attempt succeeded: it does not count."""
        await self._database.system(SystemPlan("take back a sign-in charge", _REFUND, (charge,)))

    async def purge(self) -> None:
        """Drops what no longer counts; for a timer."""
        oldest = self._clock() - LONGEST_WINDOW
        await self._database.system(SystemPlan("purge sign-in failures", _PURGE, (oldest,)))


def address_group(address: str) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 address, or other text as it is.

    >>> address_group("2001:db8:1:2:3::4"), address_group("::ffff:192.0.2.1")
    ('2001:db8:1:2::/64', '192.0.2.1')
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address.replace("\0", "").encode(errors="replace").decode()[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
