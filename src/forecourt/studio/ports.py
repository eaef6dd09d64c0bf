"""What the studio needs of others, as protocols: sign-in, users, and who explains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from forecourt.kernel.principal import OperationsUser
from forecourt.security.explain import Asked

if TYPE_CHECKING:
    from forecourt.identity.accounts import Credential
    from forecourt.identity.pending import Purpose
    from forecourt.identity.people import Person
    from forecourt.identity.sessions import Session


class Sessions(Protocol):
    """Signed-in browsers. ``identity.sessions.Sessions``."""

    async def start(
        self, credential: Credential, *, previous: str | None = None, persistent: bool = False, user_agent: str = ""
    ) -> Session: ...

    async def load(self, cookie: str | None) -> Session | None: ...

    async def sign_out(self, cookie: str | None) -> None: ...


class Accounts(Protocol):
    """Local accounts. ``identity.accounts.Accounts``."""

    async def sign_in(self, username: str, password: str, address: str) -> Credential: ...


class Pending(Protocol):
    """Sign-ins that wait for a code. ``identity.pending.Pending``."""

    async def start(self, purpose: Purpose, detail: Mapping[str, str], credential: Credential | None = None) -> str: ...


class Mail(Protocol):
    """Mail that is not sent. ``identity.mail.outbox.Outbox``."""

    async def count(self) -> tuple[int, int]:
        """How many messages wait, and how many were set aside."""
        ...


class Users(Protocol):
    """The operations users."""

    async def get(self, user_id: str, fresh: bool = False) -> OperationsUser | None: ...


class People(Protocol):
    """Identities to ask about. ``identity.people.People``."""

    async def find(self, text: str) -> Asked: ...

    async def search(self, text: str, limit: int = 10) -> list[Person]: ...
