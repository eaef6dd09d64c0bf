"""OAuth clients: programs that prove a secret and act as one operations user.

A secret is kept as an argon2id hash like a password, since it may be one that a person wrote into an environment
variable. Programs ask for tokens often, so a secret that was proved is remembered in this process, as an HMAC under a
key of the process and together with the stored hash: a changed secret is never taken for proved. Attempts that fail
count against their address, and the answer to an unknown client is that to a wrong secret, at the same cost.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final

from forecourt.identity.clock import Clock
from forecourt.identity.passwords import Passwords
from forecourt.identity.throttle import Throttle
from forecourt.kernel.errors import Refusal, not_found
from forecourt.kernel.observe import Observer, SignIn
from forecourt.kernel.plan import SystemPlan
from forecourt.store.database import Database

#: The public client of the command line: it has no secret, so nobody may register it with one.
COMMAND_LINE: Final = "forecourt-cli"

_REMEMBERED = 1_000

_REGISTER: Final = """
insert into forecourt.application (client_id, secret_hash, operations_user, created_at) values ($1, $2, $3, $4)
on conflict (client_id) do update
set secret_hash = excluded.secret_hash, operations_user = excluded.operations_user
"""
_FIND: Final = "select client_id, secret_hash, operations_user from forecourt.application where client_id = $1"
_LIST: Final = "select client_id, operations_user from forecourt.application order by client_id"
_REMOVE: Final = "delete from forecourt.application where client_id = $1 returning client_id"


@dataclass(frozen=True, slots=True)
class Application:
    """A registered client and the operations user that it acts as."""

    client_id: str
    operations_user: str


def generate_secret() -> str:
    """A client secret of 256 bits."""
    return secrets.token_urlsafe(32)


def client_refused() -> Refusal:
    """The one answer to an unknown client and a wrong secret."""
    return Refusal("FC2001", "The client id or the client secret is not right.")


class Applications:
    """Registers clients and checks their secrets."""

    def __init__(
        self, database: Database, clock: Clock, observer: Observer, passwords: Passwords, throttle: Throttle
    ) -> None:
        self._database = database
        self._clock = clock
        self._observer = observer
        self._passwords = passwords
        self._throttle = throttle
        self._process_key = secrets.token_bytes(32)
        self._proved: dict[str, bytes] = {}

    async def register(self, client_id: str, secret: str, operations_user: str) -> Application:
        """A new client, or a new secret or user for a known one. Raises Refusal FC1003 for an unusable id or secret."""
        if not _usable(client_id) or client_id.casefold() == COMMAND_LINE:
            raise Refusal("FC1003", "The client id cannot be used.", source="client_id")
        if not 8 <= len(secret) <= 256:
            raise Refusal("FC1003", "A client secret has 8 to 256 characters.", source="client_secret")
        hashed = await self._passwords.hash(secret)
        await self._database.system(
            SystemPlan("register an application", _REGISTER, (client_id, hashed, operations_user, self._clock()))
        )
        return Application(client_id, operations_user)

    async def check(self, client_id: str, secret: str, address: str) -> Application:
        """The client that proves ``secret``. Raises Refusal FC2001, or FC2004 when the address failed too often."""
        rows = await self._database.system(
            SystemPlan("find an application", _FIND, (client_id if _usable(client_id) else None,))
        )
        row = rows[0] if rows else None
        if row and hmac.compare_digest(
            self._proved.get(client_id, b""), self._mark(client_id, secret, row["secret_hash"])
        ):
            return Application(client_id, row["operations_user"])
        with self._passwords.seat():
            charge = await self._throttle.charge(address)
            right = await self._passwords.verify(row["secret_hash"] if row else None, secret)
        if row is None or not right:
            self._observer(SignIn(client_id if row else "(unknown)", "client", "refused"))
            raise client_refused()
        await self._throttle.refund(charge)
        if len(self._proved) >= _REMEMBERED:
            del self._proved[next(iter(self._proved))]
        self._proved[client_id] = self._mark(client_id, secret, row["secret_hash"])
        self._observer(SignIn(client_id, "client", "ok"))
        return Application(client_id, row["operations_user"])

    async def list(self) -> tuple[Application, ...]:
        """All clients by id."""
        rows = await self._database.system(SystemPlan("list applications", _LIST))
        return tuple(Application(row["client_id"], row["operations_user"]) for row in rows)

    async def remove(self, client_id: str) -> None:
        """The client gets no further token; those it has run out by themselves."""
        if not await self._database.system(SystemPlan("remove an application", _REMOVE, (client_id,))):
            raise not_found("The application")

    def _mark(self, client_id: str, secret: str, stored: str) -> bytes:
        text = "\0".join((client_id, stored, secret)).encode("utf-8", "surrogatepass")
        return hmac.new(self._process_key, text, hashlib.sha256).digest()


def _usable(client_id: str) -> bool:
    return 0 < len(client_id) <= 128 and client_id.isprintable() and client_id.isascii()
